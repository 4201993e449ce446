/*
 * stats.c: how the store is doing.
 * Runs in: store.     Owns: nothing.
 * Never: walks a table, unless the caller asked for the check (beside a running store `tenaza store check` looks at a
 *        snapshot in a process of its own).
 * Tested in: tests/unit/store/test_turn.c
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/counter.h"
#include "workers/store/check.h"
#include "workers/store/disk.h"

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

/* When the first row of the journal was accepted. */
static int64_t oldest_key(struct tx *tx)
{
    sv key;
    sv val;
    struct msg_r_journal j;
    return tx_seek(tx, T_JOURNAL, SV(""), 0, &key, &val) && rec_decode(tx, val, MSG_R_JOURNAL, &j) ? j.at_ms : 0;
}

/* Rows looked at for the oldest delivery: the first of the table are the oldest, but given-up ones lie there too. */
#define OUT_LOOK 32

static int64_t older(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t oldest_run(struct tx *tx)
{
    int64_t oldest = 0;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        struct key k = {.n = 0};
        struct msg_r_run run;
        sv key, run_id;
        key_u8(&k, (uint8_t)lane);
        if (tx_seek(tx, T_RUNQ, key_sv(&k), 1, &key, &run_id) && rec_get(tx, T_RUNS, run_id, MSG_R_RUN, &run) &&
            run.pub_n > 0) {
            oldest = older(oldest, run.pub[0].accepted_ms);
        }
    }
    return oldest;
}

static int64_t oldest_delivery(struct tx *tx)
{
    int64_t oldest = 0;
    struct scan sc;
    sv key, val;
    scan_open(&sc, tx, T_OUT, SV(""), 0, false);
    for (int i = 0; i < OUT_LOOK && scan_next(&sc, &key, &val); i++) {
        struct msg_out_row row;
        if (rec_decode(tx, val, MSG_OUT_ROW, &row) && !sv_eqc(row.state, "unknown") && !sv_eqc(row.state, "dead")) {
            oldest = older(oldest, row.created_ms);
        }
    }
    scan_close(&sc);
    return oldest;
}

static void describe_tables(struct tx *tx, struct msg_store_info *info)
{
    struct msg_table_info *rows = arena_alloc(tx->a, T_COUNT * sizeof(*rows));
    for (int t = 0; t < T_COUNT; t++) {
        MDB_stat st = {0};
        (void)mdb_stat(tx->txn, tx->s->db.dbi[t], &st);
        rows[t].name = sv_of(table_name((enum table)t));
        rows[t].rows = st.ms_entries;
        rows[t].bytes = (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) * st.ms_psize;
    }
    info->tables = rows;
    info->tables_n = T_COUNT;
    info->oldest_key_ms = oldest_key(tx);
    info->oldest_wait_ms = oldest_run(tx);
    info->oldest_out_ms = oldest_delivery(tx);
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
                                  .bodies = st->bodies,
                                  .map_max = tx->s->db.map_cap,
                                  .disk_free = disk_free(tx->s->db.dir),
                                  .degraded = sv_of(tx->s->degraded)};
    if (sv_empty(info.degraded)) {
        info.degraded = sv_of(pressure_store(tx->s));
    }
    info.waiting_bytes = st->waiting_bytes;
    latencies(tx, &info);
    db_size(&tx->s->db, &info.db_bytes, &info.map_bytes);
    if (m->tables) {
        describe_tables(tx, &info);
    }
    if (m->check) {
        check_all(tx, false, &findings);
        tx->unfit = false; /* what cannot be read is among the findings */
        info.findings = buf_view(&findings);
    }
    reply(tx, MSG_STORE_INFO, &info);
    buf_free(&findings);
    return OK;
}

/* ---- what is always known, for /metrics --------------------------------------------------------------- */

/* The oldest entries are looked up at most this often. */
#define OLDEST_MS 1000

void stats_gauges(struct tx *tx)
{
    static int64_t looked_ms;
    const struct msg_r_state *st = &tx->s->state;
    uint64_t used, map;
    counter_set(C_accepted, st->received);
    counter_set(C_runs_ok, st->answered);
    counter_set(C_runs_failed, st->failed);
    counter_set(C_runs_queued, st->queued);
    counter_set(C_runs_running, st->running);
    counter_set(C_out_queued, st->out_queued);
    counter_set(C_out_unknown, st->out_unknown);
    counter_set(C_out_dead, st->out_dead);
    counter_set(C_sessions, st->sessions);
    counter_set(C_journal_pending, st->queued + st->running);
    db_size(&tx->s->db, &used, &map);
    counter_set(C_db_bytes, used);
    counter_set(C_map_bytes, map);
    int64_t now = clock_mono_ms();
    if (tx->db_err == 0 && (now - looked_ms >= OLDEST_MS || st->queued == 0 || st->out_queued == 0)) {
        looked_ms = now;
        counter_set(C_runs_oldest, st->queued > 0 ? (uint64_t)oldest_run(tx) : 0);
        counter_set(C_out_oldest, st->out_queued > 0 ? (uint64_t)oldest_delivery(tx) : 0);
    }
}
