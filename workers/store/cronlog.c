/*
 * cronlog.c: how the runs of jobs went: one entry each, kept for seven days.
 * Runs in: store.     Owns: table cronlog.
 * Never: keeps an answer whole (it stands in the transcript).
 * Tested in: tests/unit/store/test_cron.c
 */
#include "workers/store/cron.h"

#define KEEP_MS (7LL * 24 * 3600 * 1000) /* automation.md 1.7 */
#define LISTED_MAX 200
#define SEPARATOR 0xff /* behind the job id: no byte of UTF-8 */

static struct key log_prefix(sv job_id)
{
    struct key k = {.n = 0};
    key_add(&k, job_id);
    key_u8(&k, SEPARATOR);
    return k;
}

void cron_log(struct tx *tx, const struct msg_cron_entry *e)
{
    struct key k = log_prefix(e->job_id);
    key_u64(&k, ~(uint64_t)e->at_ms);
    key_add(&k, e->run_id);
    rec_put(tx, T_CRONLOG, key_sv(&k), MSG_CRON_ENTRY, e);
    timer_add(tx, e->at_ms + KEEP_MS, TIMER_CRONLOG, key_sv(&k));
}

void cron_expire(struct tx *tx, sv key)
{
    (void)tx_del(tx, T_CRONLOG, key);
}

void cron_log_drop(struct tx *tx, sv job_id)
{
    struct key prefix = log_prefix(job_id);
    sv k;
    sv v;
    while (tx_seek(tx, T_CRONLOG, key_sv(&prefix), prefix.n, &k, &v)) {
        (void)tx_del(tx, T_CRONLOG, k);
    }
}

void cron_tell(struct tx *tx, sv job_id, const struct cron_told *t)
{
    const struct msg_cron_news news = {.action = sv_of(t->action),
                                       .job_id = job_id,
                                       .job = t->job,
                                       .job_n = t->job != NULL ? 1 : 0,
                                       .entry = t->entry,
                                       .entry_n = t->entry != NULL ? 1 : 0};
    push_watchers(tx, false, MSG_CRON_NEWS, &news);
}

/* Keeps the newest `max` in order; of all jobs together the order has to be made here. */
static void insert(struct msg_cron_entry *rows, size_t *n, size_t max, const struct msg_cron_entry *e)
{
    size_t at = *n;
    while (at > 0 && rows[at - 1].at_ms < e->at_ms) {
        at--;
    }
    if (at >= max) {
        return;
    }
    if (*n < max) {
        (*n)++;
    }
    for (size_t i = *n - 1; i > at; i--) {
        rows[i] = rows[i - 1];
    }
    rows[at] = *e;
}

int cron_history(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cron_runs *m = msg;
    size_t limit = m->limit ? (size_t)m->limit : 50;
    size_t skip = m->offset < LISTED_MAX * 10 ? (size_t)m->offset : LISTED_MAX * 10;
    struct msg_cron_entry *rows = arena_alloc(tx->a, (limit + skip + 1) * sizeof(*rows));
    struct key prefix = log_prefix(m->job_id);
    struct msg_cron_entries answer = {.total = 0};
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    size_t prefix_n = sv_empty(m->job_id) ? 0 : prefix.n;
    scan_open(&sc, tx, T_CRONLOG, sv_sub(key_sv(&prefix), 0, prefix_n), prefix_n, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_cron_entry e;
        if (!rec_decode(tx, v, MSG_CRON_ENTRY, &e)) {
            break;
        }
        if ((sv_empty(m->run_id) || sv_eq(m->run_id, e.run_id)) && (sv_empty(m->status) || sv_eq(m->status, e.status))) {
            answer.total++;
            insert(rows, &n, limit + skip, &e);
        }
    }
    answer.rows = rows + (skip < n ? skip : n);
    answer.rows_n = n > skip ? n - skip : 0;
    reply(tx, MSG_CRON_ENTRIES, &answer); /* the views point into the map: encode before the walk ends */
    scan_close(&sc);
    return OK;
}
