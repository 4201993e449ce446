/*
 * test_cron.c: jobs in the store: state that a change keeps, starts by hand, how runs went, pauses, news.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common/err.h"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    hx_open(&h);
    hx_watch(&h, "edge", false);
    hx_agent(&h, "agent-1", 4);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static const struct msg_cron_job *put(struct hx *h, struct msg_cron_job job)
{
    return hx_ask(h, "edge", MSG_CRON_JOB, &job, MSG_CRON_JOB);
}

static struct msg_cron_job every_minute(struct hx *h)
{
    return (struct msg_cron_job){.job_id = SV("j1"), .kind = SV("every"), .every_ms = 60000, .due_ms = h->real + 60000,
                                 .text = SV("tick"), .name = SV("minutes")};
}

static const struct msg_cron_jobs *ask(struct hx *h)
{
    struct msg_cron_list l = {.job_id = SV("j1")};
    return hx_ask(h, "edge", MSG_CRON_LIST, &l, MSG_CRON_JOBS);
}

/* The job as it is now; it must be there. A copy: its strings live until the end of the test. */
static struct msg_cron_job look(struct hx *h)
{
    const struct msg_cron_jobs *m = ask(h);
    if (m == NULL || m->rows_n != 1) {
        fail_msg("the job is not there");
        return (struct msg_cron_job){0};
    }
    return m->rows[0];
}

static void news(struct hx *h, const char *action)
{
    const struct msg_cron_news *n = hx_push(h, "edge", MSG_CRON_NEWS);
    assert_non_null(n);
    assert_true(sv_eqc(n->action, action));
}

/* What the worker does at the due time: the message, then the report. */
static void fire(struct hx *h, const char *run, int64_t next)
{
    struct msg_ingest in = {.channel = SV("cron"), .account = SV("default"), .event_id = sv_of(run), .run_id = sv_of(run),
                            .text = SV("tick"), .session_key = SV("agent:main:cron:j1"), .lane = SV("cron"),
                            .queue_mode = SV("followup")};
    (void)hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    struct msg_cron_done d = {.job_id = SV("j1"), .due_ms = look(h).due_ms, .run_id = sv_of(run), .next_ms = next};
    hx_done(h, "cron", MSG_CRON_DONE, &d, false);
}

static void a_run_goes_into_the_log(void **state)
{
    struct hx *h = *state;
    (void)put(h, every_minute(h));
    news(h, "added");
    fire(h, "cron:j1:1", h->real + 120000);
    news(h, "started");
    assert_true(sv_eqc(look(h).active_run, "cron:j1:1"));
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "done");
    news(h, "finished");
    struct msg_cron_job j = look(h);
    assert_true(sv_empty(j.active_run));
    assert_true(sv_eqc(j.last_status, "ok"));
    assert_int_equal(j.due_ms, h->real + 120000);
    struct msg_cron_runs q = {.job_id = SV("j1")};
    const struct msg_cron_entries *e = hx_ask(h, "edge", MSG_CRON_RUNS, &q, MSG_CRON_ENTRIES);
    assert_int_equal(e->total, 1);
    assert_true(sv_eqc(e->rows[0].summary, "done"));
    hx_sleep(h, 7 * 24 * 3600 * 1000LL + 1000);
    hx_idle(h);
    e = hx_ask(h, "edge", MSG_CRON_RUNS, &q, MSG_CRON_ENTRIES);
    assert_int_equal(e->total, 0);
}

static void a_run_that_ends_before_the_report_counts_too(void **state)
{
    struct hx *h = *state;
    (void)put(h, every_minute(h));
    struct msg_ingest in = {.channel = SV("cron"), .account = SV("default"), .event_id = SV("cron:j1:1"),
                            .run_id = SV("cron:j1:1"), .text = SV("tick"), .session_key = SV("agent:main:cron:j1"),
                            .lane = SV("cron")};
    (void)hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "quick");
    struct msg_cron_done d = {.job_id = SV("j1"), .due_ms = look(h).due_ms, .run_id = SV("cron:j1:1"), .next_ms = 0};
    hx_done(h, "cron", MSG_CRON_DONE, &d, false);
    assert_true(sv_eqc(look(h).last_status, "ok"));
    assert_true(sv_empty(look(h).active_run));
    hx_done(h, "cron", MSG_CRON_DONE, &d, true);
}

static void failures_pause_and_in_the_end_switch_off(void **state)
{
    struct hx *h = *state;
    (void)put(h, every_minute(h));
    char run[32];
    for (int i = 1; i <= 10; i++) {
        snprintf(run, sizeof run, "cron:j1:%d", i);
        fire(h, run, h->real + 1000);
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "error", "");
        assert_int_equal(look(h).errors, i);
        if (i == 1) {
            assert_int_equal(look(h).due_ms, h->real + 30000);
        } else if (i < 10) {
            assert_true(look(h).due_ms >= h->real + 60000);
        }
    }
    assert_true(look(h).off);
    assert_int_equal(look(h).due_ms, 0);
    struct msg_cron_job on = every_minute(h);
    (void)put(h, on);
    assert_int_equal(look(h).errors, 0);
    assert_false(look(h).off);
}

static void by_hand_besides_the_schedule(void **state)
{
    struct hx *h = *state;
    struct msg_cron_job job = every_minute(h);
    (void)put(h, job);
    struct msg_cron_run r = {.job_id = SV("j1"), .run_id = SV("manual:j1:1")};
    const struct msg_cron_job *j = hx_ask(h, "edge", MSG_CRON_RUN, &r, MSG_CRON_JOB);
    assert_int_equal(j->due_ms, h->real);
    (void)hx_ask(h, "edge", MSG_CRON_RUN, &r, MSG_CRON_JOB); /* a repeat */
    struct msg_cron_run other = {.job_id = SV("j1"), .run_id = SV("manual:j1:2")};
    (void)hx_refused(h, "edge", MSG_CRON_RUN, &other, ERR_CONFLICT);
    job.text = SV("changed meanwhile");
    job.due_ms = h->real + 90000;
    (void)put(h, job);
    assert_int_equal(look(h).due_ms, h->real);
    fire(h, "manual:j1:1", h->real + 5);
    assert_int_equal(look(h).due_ms, h->real + 90000); /* the schedule goes on as it was */
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    assert_true(sv_eqc(look(h).last_run, "manual:j1:1"));
    r.job_id = SV("none");
    (void)hx_refused(h, "edge", MSG_CRON_RUN, &r, ERR_GONE);
}

static void once_and_gone(void **state)
{
    struct hx *h = *state;
    (void)put(h, (struct msg_cron_job){.job_id = SV("j1"), .kind = SV("at"), .due_ms = h->real + 1, .text = SV("x"),
                                       .delete_after = true});
    fire(h, "cron:j1:1", 0);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    assert_int_equal(ask(h)->rows_n, 0);
    struct msg_cron_runs q = {.job_id = SV_NULL};
    assert_int_equal(((const struct msg_cron_entries *)hx_ask(h, "edge", MSG_CRON_RUNS, &q, MSG_CRON_ENTRIES))->total, 1);
}

static void skipped_times_are_written_down(void **state)
{
    struct hx *h = *state;
    (void)put(h, every_minute(h));
    struct msg_cron_done d = {.job_id = SV("j1"), .due_ms = look(h).due_ms, .next_ms = h->real + 7};
    hx_done(h, "cron", MSG_CRON_DONE, &d, false);
    struct msg_cron_runs q = {.job_id = SV("j1"), .status = SV("skipped")};
    assert_int_equal(((const struct msg_cron_entries *)hx_ask(h, "edge", MSG_CRON_RUNS, &q, MSG_CRON_ENTRIES))->total, 1);
    struct msg_cron_list all = {.all = true};
    assert_int_equal(((const struct msg_cron_jobs *)hx_ask(h, "edge", MSG_CRON_LIST, &all, MSG_CRON_JOBS))->total, 1);
    struct msg_cron_job bad = every_minute(h);
    bad.kind = SV("often");
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_CRON_JOB, &bad, ERR_BAD)->field, "kind"));
}

/* Who adds a job names it, and repeats the request until it is answered: also long after the job has run. */
static void a_repeated_addition_is_one_job_and_one_run(void **state)
{
    struct hx *h = *state;
    struct msg_cron_job job = {.job_id = SV("j1"), .kind = SV("at"), .due_ms = h->real + 1000, .text = SV("once")};
    (void)put(h, job);
    (void)put(h, job);
    struct msg_cron_list all = {.all = true};
    assert_int_equal(((const struct msg_cron_jobs *)hx_ask(h, "edge", MSG_CRON_LIST, &all, MSG_CRON_JOBS))->rows_n, 1);
    struct msg_ingest in = {.channel = SV("cron"), .account = SV("default"), .event_id = SV("j1:1"), .text = SV("once"),
                            .session_key = SV("agent:main:clock"), .lane = SV("cron"), .run_id = SV("cron:j1:1")};
    (void)hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    struct msg_cron_done done = {.job_id = SV("j1"), .due_ms = job.due_ms, .run_id = SV("cron:j1:1")};
    hx_done(h, "cron", MSG_CRON_DONE, &done, false);
    hx_sleep(h, 30000);
    (void)put(h, job);
    /* It is due once more, under the same key: the door knows it. */
    const struct msg_ingested *again = hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    assert_true(again->dup);
    assert_sv(again->run_id, "cron:j1:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_repeated_addition_is_one_job_and_one_run, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_goes_into_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_that_ends_before_the_report_counts_too, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_pause_and_in_the_end_switch_off, setup, teardown),
        cmocka_unit_test_setup_teardown(by_hand_besides_the_schedule, setup, teardown),
        cmocka_unit_test_setup_teardown(once_and_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(skipped_times_are_written_down, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
