/*
 * main.c: tenaza-cron: reads what is due from the store and puts it in at the one door.
 * Runs in: the cron worker.     Owns: one timer and the jobs it is firing now.
 * Never: keeps a plan of its own: after a kill the due rows are still in the store, and firing one again
 *        changes nothing.
 * Tested in: tests/unit/cron/test_due.c; scenario t1
 */
#include "common/buf.h"
#include "common/clock.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/log.h"
#include "common/map.h"
#include "common/tz.h"
#include "workers/cron/due.h"
#include "workers/runtime/worker.h"

#define BATCH_MAX 20       /* jobs fired at the same time; the store's lane decides how many run */
#define WITHIN_MS 30000    /* of one request to the store */
#define RETRY_MS 1000      /* after a failure */

struct cron {
    struct worker *w;
    struct loop_timer timer;
    struct list firing;
    size_t firing_n;
    bool enabled;
    bool asking;   /* CRON_LIST is under way */
    bool stale;    /* jobs changed while we asked or fired */
    bool failed;   /* something of this batch failed: wait before asking again */
    bool draining;
    size_t fired;  /* since the start, for the status line */
};

/* A job on its way in; a copy, because the list dies with its callback. */
struct shot {
    struct list link;
    struct cron *c;
    struct arena arena;
    struct msg_ingest m;
    sv job_id;
    int64_t due_ms, next_ms;
    char run_id[136];
};

static void ask(struct cron *c);

static void sleep_until(struct cron *c, int64_t next_due_ms)
{
    loop_timer_start(&c->timer, due_sleep_ms(clock_real_ms(), next_due_ms));
}

static void shot_free(struct shot *s)
{
    store_forget(worker_store(s->c->w), s);
    list_del(&s->link);
    s->c->firing_n--;
    arena_free(&s->arena);
    xfree(s);
}

/* One job of the batch is through; after the last one the store is asked what is next. */
static void shot_end(struct shot *s, bool ok)
{
    struct cron *c = s->c;
    c->failed = c->failed || !ok;
    c->fired += ok ? 1 : 0;
    shot_free(s);
    if (c->firing_n > 0) {
        return;
    }
    if (c->draining) {
        worker_drained(c->w);
    } else if (c->failed) {
        c->failed = false;
        loop_timer_start(&c->timer, RETRY_MS);
    } else {
        ask(c);
    }
}

static void on_done(void *ctx, int err, uint16_t type, const void *body)
{
    struct shot *s = (struct shot *)ctx;
    UNUSED(type);
    UNUSED(body);
    if (err != OK && err != ERR_GONE) {
        log_warn("job %.*s fired, but its row is still due (%s); it is repeated, without a second run",
                 SV_ARG(s->job_id), err_name(err));
    }
    shot_end(s, err == OK || err == ERR_GONE);
}

static void tell_done(struct shot *s, sv run_id)
{
    if (!sv_copy(s->run_id, sizeof s->run_id, run_id)) {
        s->run_id[0] = '\0';
    }
    struct msg_cron_done m = {.job_id = s->job_id, .due_ms = s->due_ms, .run_id = sv_of(s->run_id),
                              .next_ms = s->next_ms};
    counter_add(C_cron_fired, 1);
    crash_point("cron.after_ingest");
    store_call(worker_store(s->c->w), MSG_CRON_DONE, &m, WITHIN_MS, on_done, s);
}

static void on_ingested(void *ctx, int err, uint16_t type, const void *body)
{
    struct shot *s = (struct shot *)ctx;
    if (err == OK && type == MSG_INGESTED) {
        const struct msg_ingested *a = (const struct msg_ingested *)body;
        log_info("job %.*s fired%s", SV_ARG(s->job_id), a->dup ? " (it had been before)" : "");
        tell_done(s, a->run_id);
        return;
    }
    if (err_retryable(err)) {
        log_warn("job %.*s could not be put in: %s; it is tried again", SV_ARG(s->job_id), err_name(err));
        shot_end(s, false);
        return;
    }
    /* It will never be accepted: say so, and do not try it for ever. */
    worker_alarm(s->c->w, "job %.*s was refused by the store: %s", SV_ARG(s->job_id), err_text(err));
    tell_done(s, SV_NULL);
}

static void fire(struct cron *c, const struct msg_cron_job *job)
{
    struct shot *s = (struct shot *)xcalloc(1, sizeof *s);
    s->c = c;
    s->arena = ARENA_INIT;
    list_add_tail(&c->firing, &s->link);
    c->firing_n++;
    struct msg_cron_job own = {
        .job_id = arena_sv(&s->arena, job->job_id),
        .name = arena_sv(&s->arena, job->name),
        .text = arena_sv(&s->arena, job->text),
        .agent_id = arena_sv(&s->arena, job->agent_id),
        .session_key = arena_sv(&s->arena, job->session_key),
        .deliver_channel = arena_sv(&s->arena, job->deliver_channel),
        .deliver_account = arena_sv(&s->arena, job->deliver_account),
        .deliver_to = arena_sv(&s->arena, job->deliver_to),
        .target = arena_sv(&s->arena, job->target),
        .model = arena_sv(&s->arena, job->model),
        .force_run = arena_sv(&s->arena, job->force_run),
        .timeout_ms = job->timeout_ms,
        .due_ms = job->due_ms,
    };
    s->job_id = own.job_id;
    s->due_ms = own.due_ms;
    s->next_ms = due_next(job, clock_real_ms());
    if (due_skip(job, clock_real_ms())) {
        log_info("job %.*s is due and its run before has not ended: this time is skipped", SV_ARG(s->job_id));
        tell_done(s, SV_NULL);
        return;
    }
    crash_point("cron.before_ingest");
    due_ingest(&own, &s->arena, &s->m);
    store_call(worker_store(c->w), MSG_INGEST, &s->m, WITHIN_MS, on_ingested, s);
}

static void on_jobs(void *ctx, int err, uint16_t type, const void *body)
{
    struct cron *c = (struct cron *)ctx;
    c->asking = false;
    if (err != OK || type != MSG_CRON_JOBS) {
        loop_timer_start(&c->timer, RETRY_MS);
        return;
    }
    const struct msg_cron_jobs *jobs = (const struct msg_cron_jobs *)body;
    int64_t now = clock_real_ms();
    for (size_t i = 0; i < jobs->rows_n && !c->draining; i++) {
        if (jobs->rows[i].due_ms > 0 && jobs->rows[i].due_ms <= now) {
            fire(c, &jobs->rows[i]);
        }
    }
    char next[CLOCK_ISO_LEN] = "none";
    if (jobs->next_due_ms > 0) {
        clock_iso(jobs->next_due_ms, next);
    }
    worker_status(c->w, "next job: %s; fired since start: %zu", next, c->fired);
    if (c->firing_n > 0) {
        return; /* shot_end goes on */
    }
    if (c->stale) {
        c->stale = false;
        ask(c);
        return;
    }
    sleep_until(c, jobs->next_due_ms);
}

static void ask(struct cron *c)
{
    if (!c->enabled || c->draining) {
        return;
    }
    if (c->asking || c->firing_n > 0) {
        c->stale = true;
        return;
    }
    c->asking = true;
    c->stale = false;
    loop_timer_stop(&c->timer);
    struct msg_cron_list m = {.due_before_ms = clock_real_ms(), .limit = BATCH_MAX};
    store_call(worker_store(c->w), MSG_CRON_LIST, &m, WITHIN_MS, on_jobs, c);
}

static void on_timer(void *ctx)
{
    ask((struct cron *)ctx);
}

static void on_push(void *ctx, uint16_t type, const void *body)
{
    UNUSED(type);
    UNUSED(body);
    ask((struct cron *)ctx);
}

static void on_up(void *ctx)
{
    ask((struct cron *)ctx);
}

static int on_init(struct worker *w)
{
    struct cron *c = (struct cron *)xcalloc(1, sizeof *c);
    c->w = w;
    c->enabled = conf_bool(worker_conf(w), "cron.enabled", true);
    list_init(&c->firing);
    loop_timer_init(&c->timer, worker_loop(w), on_timer, c);
    worker_set_ctx(w, c);
    store_on_push(worker_store(w), MSG_CRON_JOBS, on_push, c);
    store_on_up(worker_store(w), on_up, c);
    if (!c->enabled) {
        worker_status(w, "off (cron.enabled = false)");
    }
    worker_ready(w);
    return 0;
}

static void on_drain(struct worker *w, int64_t within_ms)
{
    struct cron *c = (struct cron *)worker_ctx(w);
    UNUSED(within_ms);
    c->draining = true;
    loop_timer_stop(&c->timer);
    if (c->firing_n == 0) {
        worker_drained(w);
    }
}

static void on_stop(struct worker *w)
{
    struct cron *c = (struct cron *)worker_ctx(w);
    if (!c) {
        return;
    }
    loop_timer_stop(&c->timer);
    store_forget(worker_store(w), c);
    LIST_EACH(e, &c->firing) {
        shot_free(CONTAINER_OF(e, struct shot, link));
    }
    worker_set_ctx(w, NULL);
    tz_free_all();
    xfree(c);
}

int main(int argc, char **argv)
{
    static const struct worker_ops ops = {
        .kind = "cron",
        .planes = PLANES_BOTH,
        .init = on_init,
        .drain = on_drain,
        .stop = on_stop,
    };
    return worker_main(argc, argv, &ops);
}
