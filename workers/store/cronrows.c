/*
 * cronrows.c: rows of clock work and their order by due time; the cron worker decides, the store keeps.
 * Runs in: store.     Owns: tables cron and due.
 * Never: fires a job.
 * Tested in: tests/unit/store/test_turn.c
 */
#include "common/id.h"
#include "workers/store/model.h"

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
static void tell_cron(struct tx *tx)
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
    tell_cron(tx);
}

int cron_put(struct tx *tx, struct client *from, const void *msg)
{
    struct msg_cron_job job = *(const struct msg_cron_job *)msg;
    struct msg_cron_job old;
    int64_t old_due = 0;
    char uuid[ID_UUID_LEN];
    UNUSED(from);
    if (!sv_eqc(job.kind, "at")) {
        return refuse(tx, ERR_BAD, "kind", "kind must be at");
    }
    if (job.due_ms < 0) {
        return refuse(tx, ERR_BAD, "due_ms", "due_ms must not be negative");
    }
    if (sv_empty(job.job_id)) {
        id_uuid(uuid);
        job.job_id = arena_sv(tx->a, sv_of(uuid));
    } else if (rec_get(tx, T_CRON, job.job_id, MSG_CRON_JOB, &old)) {
        old_due = old.due_ms;
        job.created_ms = old.created_ms;
    }
    job.created_ms = job.created_ms ? job.created_ms : tx->now;
    put_job(tx, &job, old_due);
    reply(tx, MSG_CRON_JOB, &job);
    return OK;
}

/* Room for jobs in one answer; texts are up to 64 KiB each. */
#define LIST_BYTES (700UL * 1024)

int cron_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_list *m = msg;
    size_t limit = m->limit ? (size_t)m->limit : 100;
    sv *rows = arena_alloc(tx->a, limit * sizeof(*rows));
    struct msg_cron_jobs answer = {.next_due_ms = next_due(tx)};
    size_t n = 0;
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    scan_open(&sc, tx, T_DUE, SV(""), 0, false);
    while (n < limit && scan_next(&sc, &k, &v)) {
        sv row;
        if (m->due_before_ms > 0 && key_get_u64(k, 0) > (uint64_t)m->due_before_ms) {
            break;
        }
        if (tx_get(tx, T_CRON, sv_sub(k, 8, k.n), &row) && bytes + row.n < LIST_BYTES) {
            bytes += row.n;
            rows[n++] = row;
        }
    }
    scan_close(&sc);
    reply_spliced(tx, MSG_CRON_JOBS, &answer, "rows", rows, n);
    return OK;
}

int cron_done(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_done *m = msg;
    struct msg_cron_job job;
    UNUSED(from);
    if (!rec_get(tx, T_CRON, m->job_id, MSG_CRON_JOB, &job)) {
        return ERR_GONE;
    }
    if (job.due_ms != m->due_ms) {
        reply_done(tx, true); /* fired before, or planned anew since */
        return OK;
    }
    job.fired_ms = tx->now;
    job.last_run = m->run_id;
    job.due_ms = 0;
    put_job(tx, &job, m->due_ms);
    reply_done(tx, false);
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
    if (job.due_ms > 0) {
        (void)tx_del(tx, T_DUE, due_key(tx, job.due_ms, job.job_id));
    }
    (void)tx_del(tx, T_CRON, m->job_id);
    tell_cron(tx);
    reply_done(tx, false);
    return OK;
}
