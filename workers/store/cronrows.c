/*
 * cronrows.c: rows of clock work and their order by due time; edge and cron worker decide, the store keeps.
 * Runs in: store.     Owns: tables cron and due.
 * Never: fires a job; computes a time (but for the pause after failures).
 * Tested in: tests/unit/store/test_cron.c, test_turn.c
 */
#include "common/id.h"
#include "workers/store/cron.h"

#define ERRORS_MAX 10 /* in a row: the job is switched off (automation.md 1.6) */
#define JOBS_MAX 1000
#define SUMMARY_MAX 1000

static sv due_key(struct tx *tx, int64_t due_ms, sv job_id)
{
    struct key k = {.n = 0};
    key_u64(&k, (uint64_t)due_ms);
    key_add(&k, job_id);
    return arena_sv(tx->a, key_sv(&k));
}

static int64_t next_due(struct tx *tx)
{
    sv k;
    sv v;
    return tx_seek(tx, T_DUE, SV(""), 0, &k, &v) ? (int64_t)key_get_u64(k, 0) : 0;
}

/* The cron worker sleeps until this time. */
static void wake_worker(struct tx *tx)
{
    const struct client *c = client_find(tx->s, SV("cron"));
    if (c != NULL) {
        struct msg_cron_jobs m = {.next_due_ms = next_due(tx)};
        push(tx, c, MSG_CRON_JOBS, &m);
    }
}

static void put_job(struct tx *tx, const struct msg_cron_job *job, int64_t old_due)
{
    if (old_due > 0 && old_due != job->due_ms) {
        (void)tx_del(tx, T_DUE, due_key(tx, old_due, job->job_id));
    }
    if (job->due_ms > 0) {
        tx_put(tx, T_DUE, due_key(tx, job->due_ms, job->job_id), SV(""));
    }
    rec_put(tx, T_CRON, job->job_id, MSG_CRON_JOB, job);
    wake_worker(tx);
}

static void drop_job(struct tx *tx, const struct msg_cron_job *job, bool log_too)
{
    if (job->due_ms > 0) {
        (void)tx_del(tx, T_DUE, due_key(tx, job->due_ms, job->job_id));
    }
    (void)tx_del(tx, T_CRON, job->job_id);
    if (log_too) {
        cron_log_drop(tx, job->job_id);
    }
    wake_worker(tx);
    cron_tell(tx, job->job_id, &(struct cron_told){.action = "removed"});
}

/* ---- put, delete, list ---- */

static int validate(struct tx *tx, const struct msg_cron_job *job)
{
    if (!sv_eqc(job->kind, "at") && !sv_eqc(job->kind, "every") && !sv_eqc(job->kind, "cron")) {
        return refuse(tx, ERR_BAD, "kind", "kind must be at, every or cron");
    }
    if (job->due_ms < 0) {
        return refuse(tx, ERR_BAD, "due_ms", "due_ms must not be negative");
    }
    if (sv_chr(job->job_id, ':') >= 0) {
        return refuse(tx, ERR_BAD, "job_id", "a job id has no colon");
    }
    return OK;
}

/* A put changes what a job is, never how its runs went. */
static void keep_state(struct msg_cron_job *job, const struct msg_cron_job *old)
{
    job->created_ms = old->created_ms;
    job->fired_ms = old->fired_ms;
    job->last_run = old->last_run;
    job->active_run = old->active_run;
    job->last_status = old->last_status;
    job->last_error = old->last_error;
    job->last_took_ms = old->last_took_ms;
    job->errors = old->off && !job->off ? 0 : old->errors; /* switching on is a fresh start */
    if (!sv_empty(old->force_run)) {
        job->force_run = old->force_run;
        job->resume_ms = job->due_ms;
        job->due_ms = old->due_ms;
    }
}

int cron_put(struct tx *tx, struct client *from, const void *msg)
{
    struct msg_cron_job job = *(const struct msg_cron_job *)msg;
    struct msg_cron_job old;
    int64_t old_due = 0;
    char uuid[ID_UUID_LEN];
    bool known = false;
    UNUSED(from);
    int rc = validate(tx, &job);
    if (rc != OK) {
        return rc;
    }
    if (sv_empty(job.job_id)) {
        id_uuid(uuid);
        job.job_id = arena_sv(tx->a, sv_of(uuid));
    } else if (rec_get(tx, T_CRON, job.job_id, MSG_CRON_JOB, &old)) {
        known = true;
        old_due = old.due_ms;
        keep_state(&job, &old);
    }
    if (!known && tx_count(tx, T_CRON) >= JOBS_MAX) {
        return refuse(tx, ERR_DENIED, NULL, "there are too many jobs; remove some first");
    }
    job.created_ms = job.created_ms ? job.created_ms : tx->now;
    job.updated_ms = tx->now;
    job.at_ms = sv_eqc(job.kind, "at") && job.at_ms == 0 ? job.due_ms : job.at_ms;
    put_job(tx, &job, old_due);
    reply(tx, MSG_CRON_JOB, &job);
    cron_tell(tx, job.job_id, &(struct cron_told){.action = known ? "updated" : "added", .job = &job});
    return OK;
}

int cron_del(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_del *m = msg;
    struct msg_cron_job job;
    UNUSED(from);
    if (!rec_get(tx, T_CRON, m->job_id, MSG_CRON_JOB, &job)) {
        return ERR_GONE;
    }
    drop_job(tx, &job, true);
    reply_done(tx, false);
    return OK;
}

/* Room for jobs in one answer; texts are up to 64 KiB each. */
#define LIST_BYTES (700UL * 1024)

static bool add_row(struct tx *tx, sv job_id, sv *rows, size_t *n, size_t *bytes)
{
    sv row;
    if (!tx_get(tx, T_CRON, job_id, &row)) {
        return true;
    }
    if (*bytes + row.n > LIST_BYTES) {
        return false;
    }
    *bytes += row.n;
    rows[(*n)++] = row;
    return true;
}

static size_t list_all(struct tx *tx, const struct msg_cron_list *m, sv *rows, size_t limit)
{
    size_t n = 0;
    size_t bytes = 0;
    uint64_t skip = m->offset;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_CRON, SV(""), 0, false);
    while (n < limit && scan_next(&sc, &k, &v)) {
        if (skip > 0) {
            skip--;
        } else if (!add_row(tx, k, rows, &n, &bytes)) {
            break;
        }
    }
    scan_close(&sc);
    return n;
}

static size_t list_due(struct tx *tx, const struct msg_cron_list *m, sv *rows, size_t limit)
{
    size_t n = 0;
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_DUE, SV(""), 0, false);
    while (n < limit && scan_next(&sc, &k, &v)) {
        if (m->due_before_ms > 0 && key_get_u64(k, 0) > (uint64_t)m->due_before_ms) {
            break;
        }
        if (!add_row(tx, sv_sub(k, 8, k.n), rows, &n, &bytes)) {
            break;
        }
    }
    scan_close(&sc);
    return n;
}

int cron_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_list *m = msg;
    size_t limit = m->limit ? (size_t)m->limit : 100;
    sv *rows = arena_alloc(tx->a, limit * sizeof(*rows));
    struct msg_cron_jobs answer = {.next_due_ms = next_due(tx), .total = tx_count(tx, T_CRON)};
    size_t n = 0;
    size_t bytes = 0;
    UNUSED(from);
    if (!sv_empty(m->job_id)) {
        (void)add_row(tx, m->job_id, rows, &n, &bytes);
    } else {
        n = m->all ? list_all(tx, m, rows, limit) : list_due(tx, m, rows, limit);
    }
    reply_spliced(tx, MSG_CRON_JOBS, &answer, "rows", rows, n);
    return OK;
}

/* ---- runs ---- */

int cron_run_now(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_run *m = msg;
    struct msg_cron_job job;
    UNUSED(from);
    if (!rec_get(tx, T_CRON, m->job_id, MSG_CRON_JOB, &job)) {
        return ERR_GONE;
    }
    if (!sv_eq(job.force_run, m->run_id) && !sv_eq(job.active_run, m->run_id)) {
        if (!sv_empty(job.force_run) || !sv_empty(job.active_run)) {
            tx->retry_ms = 5000;
            return refuse(tx, ERR_CONFLICT, "job_id", "the job is running already");
        }
        int64_t old_due = job.due_ms;
        job.force_run = m->run_id;
        job.resume_ms = old_due;
        job.due_ms = tx->now;
        put_job(tx, &job, old_due);
    }
    reply(tx, MSG_CRON_JOB, &job);
    return OK;
}

sv cron_job_of(sv run_id)
{
    sv rest = run_id;
    sv head = sv_cut(&rest, ':');
    return sv_eqc(head, "cron") || sv_eqc(head, "manual") ? sv_cut(&rest, ':') : SV_NULL;
}

static int64_t pause_ms(uint64_t errors)
{
    static const int64_t steps[] = {30000, 60000, 300000, 900000, 3600000}; /* automation.md 1.6 */
    return errors == 0 ? 0 : steps[errors < ARRAY_LEN(steps) ? errors - 1 : ARRAY_LEN(steps) - 1];
}

static void count_failure(struct tx *tx, struct msg_cron_job *job)
{
    job->errors++;
    if (job->errors >= ERRORS_MAX) {
        job->off = true;
        job->due_ms = 0;
        job->last_error = SV("switched off after ten failures in a row; switch it on again when the cause is gone");
    } else if (job->due_ms > 0 && sv_empty(job->force_run)) {
        int64_t earliest = tx->now + pause_ms(job->errors);
        job->due_ms = job->due_ms > earliest ? job->due_ms : earliest;
    }
}

static void settle(struct tx *tx, struct msg_cron_job *job, struct msg_cron_entry *e)
{
    int64_t old_due = job->due_ms;
    bool good = sv_eqc(e->status, "ok");
    job->active_run = SV_NULL;
    job->last_status = e->status;
    job->last_error = e->error;
    job->last_took_ms = e->started_ms > 0 ? e->at_ms - e->started_ms : 0;
    if (good) {
        job->errors = 0;
    } else {
        count_failure(tx, job);
    }
    e->next_ms = job->due_ms;
    cron_log(tx, e);
    cron_tell(tx, job->job_id, &(struct cron_told){"finished", job, e});
    if (good && job->delete_after && sv_eqc(job->kind, "at") && job->due_ms == 0) {
        drop_job(tx, job, false);
    } else {
        put_job(tx, job, old_due);
    }
}

void cron_ended(struct tx *tx, const struct run *run)
{
    struct msg_cron_job job;
    const struct msg_run *r = &run->pub;
    sv id = cron_job_of(r->run_id);
    /* Not told yet that it was fired (cron_done looks itself), or not of a job. */
    if (sv_empty(id) || !rec_get(tx, T_CRON, id, MSG_CRON_JOB, &job) || !sv_eq(job.active_run, r->run_id)) {
        return;
    }
    bool good = sv_eqc(r->state, "ok");
    struct msg_cron_entry e = {
        .job_id = id,
        .job_name = job.name,
        .run_id = r->run_id,
        .status = good ? SV("ok") : SV("error"),
        .error = good ? SV_NULL : sv_empty(r->error) ? r->state : fold_text(tx, r->error, 1000),
        .summary = fold_text(tx, r->reply, SUMMARY_MAX),
        .session_key = r->session_key,
        .session_id = r->session_id,
        .provider = r->provider,
        .model = r->model,
        .in_tokens = r->in_tokens,
        .out_tokens = r->out_tokens,
        .deliver = run->r.deliver,
        .at_ms = tx->now,
        .started_ms = r->started_ms ? r->started_ms : r->accepted_ms,
    };
    settle(tx, &job, &e);
}

static void log_skipped(struct tx *tx, struct msg_cron_job *job)
{
    struct msg_cron_entry e = {.job_id = job->job_id,
                               .job_name = job->name,
                               .status = SV("skipped"),
                               .error = SV("the run before had not ended"),
                               .at_ms = tx->now,
                               .next_ms = job->due_ms};
    cron_log(tx, &e);
    cron_tell(tx, job->job_id, &(struct cron_told){"finished", job, &e});
}

int cron_done(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_done *m = msg;
    struct msg_cron_job job;
    struct run run;
    UNUSED(from);
    if (!rec_get(tx, T_CRON, m->job_id, MSG_CRON_JOB, &job)) {
        return ERR_GONE;
    }
    if (job.due_ms != m->due_ms) {
        reply_done(tx, true); /* fired before, or planned anew since */
        return OK;
    }
    bool by_hand = !sv_empty(job.force_run);
    job.due_ms = by_hand ? job.resume_ms : job.off ? 0 : m->next_ms;
    job.force_run = SV_NULL;
    job.resume_ms = 0;
    if (!sv_empty(m->run_id)) {
        job.fired_ms = tx->now;
        job.last_run = m->run_id;
        job.active_run = m->run_id;
        cron_tell(tx, job.job_id, &(struct cron_told){.action = "started", .job = &job});
    } else {
        log_skipped(tx, &job);
    }
    put_job(tx, &job, m->due_ms);
    if (!sv_empty(m->run_id) && (!run_get(tx, m->run_id, &run) || run_ended(&run))) {
        run.pub.run_id = m->run_id; /* it ended before we heard that it began */
        cron_ended(tx, &run);
    }
    reply_done(tx, false);
    return OK;
}
