/*
 * stats.c: how the store is doing.
 * Runs in: store.     Owns: nothing.
 * Never: walks a table, unless the caller asked for the check.
 * Tested in: tests/unit/store/test_turn.c
 */
#include <stdlib.h>

#include "workers/store/check.h"

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void latencies(struct tx *tx, struct msg_store_info *info)
{
    size_t n = tx->s->commits < LATENCIES ? (size_t)tx->s->commits : LATENCIES;
    if (n == 0) {
        return;
    }
    uint32_t *v = arena_alloc(tx->a, n * sizeof(*v));
    memcpy(v, tx->s->latency, n * sizeof(*v));
    qsort(v, n, sizeof(*v), by_value);
    info->commit_p50_us = v[n / 2];
    info->commit_p99_us = v[n * 99 / 100];
}

int stats_get(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_store_stats *m = msg;
    const struct msg_r_state *st = &tx->s->state;
    struct buf findings = BUF_INIT(60000);
    UNUSED(from);
    struct msg_store_info info = {.received = st->received,
                                  .answered = st->answered,
                                  .failed = st->failed,
                                  .queued = st->queued,
                                  .running = st->running,
                                  .out_queued = st->out_queued,
                                  .out_unknown = st->out_unknown,
                                  .out_dead = st->out_dead,
                                  .dead_in = tx_count(tx, T_DEAD),
                                  .sessions = st->sessions,
                                  .commits = tx->s->commits,
                                  .degraded = sv_of(tx->s->degraded)};
    latencies(tx, &info);
    db_size(&tx->s->db, &info.db_bytes, &info.map_bytes);
    if (m->check) {
        check_all(tx, false, &findings);
        tx->unfit = false; /* what cannot be read is among the findings */
        info.findings = buf_view(&findings);
    }
    reply(tx, MSG_STORE_INFO, &info);
    buf_free(&findings);
    return OK;
}
