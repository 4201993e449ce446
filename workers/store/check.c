/*
 * check.c: invariants of runs, sessions, transcripts and the journal.
 * Runs in: store.     Owns: nothing.
 * Never: repairs; it only tells.
 * Tested in: after every test of tests/unit/store
 */
#include "workers/store/check.h"

#define FINDING(...)                                                                               \
    do {                                                                                           \
        (void)buf_printf(out, __VA_ARGS__);                                                        \
        (void)buf_ch(out, '\n');                                                                   \
    } while (0)

static bool points_to(struct tx *tx, enum table t, struct key *k, sv run_id)
{
    sv val;
    return tx_get(tx, t, key_sv(k), &val) && sv_eq(val, run_id);
}

static bool in_its_place(struct tx *tx, const struct run *run)
{
    struct key k = {.n = 0};
    sv val;
    struct msg_r_lease lease;
    if (sv_eqc(run->r.place, "wait")) {
        key_add(&k, tx_hash(tx, &run->pub.session_key, 1));
        key_u64(&k, run->r.order);
        return points_to(tx, T_SESQ, &k, run->pub.run_id);
    }
    if (sv_eqc(run->r.place, "ready")) {
        key_u8(&k, (uint8_t)lane_of(run->r.lane));
        key_u64(&k, run->r.order);
        return points_to(tx, T_RUNQ, &k, run->pub.run_id);
    }
    if (sv_eqc(run->r.place, "later")) {
        key_u64(&k, (uint64_t)run->r.later_ms);
        key_u8(&k, TIMER_LATER);
        key_add(&k, run->pub.run_id);
        return tx_get(tx, T_TIMER, key_sv(&k), &val);
    }
    return sv_eqc(run->r.place, "lease") && rec_get(tx, T_LEASE, run->pub.run_id, MSG_R_LEASE, &lease) &&
           lease.fence == run->pub.fence;
}

static void check_one_run(struct tx *tx, struct buf *out, struct run *run)
{
    struct msg_r_journal j;
    struct msg_ingest in;
    struct sess s;
    sv val;
    sv id = run->pub.run_id;
    if (run_ended(run)) {
        if (tx_get(tx, T_LEASE, id, &val)) {
            FINDING("run %.*s has ended and still has a lease", SV_ARG(id));
        }
        return;
    }
    if (!in_its_place(tx, run)) {
        FINDING("run %.*s is not where it says it is (%.*s)", SV_ARG(id), SV_ARG(run->r.place));
    }
    if (!run_input(tx, run, &j, &in) || !sv_eqc(j.state, "pending")) {
        FINDING("run %.*s has not ended and has no pending journal row", SV_ARG(id));
    }
    if (!sess_get(tx, run->pub.session_key, &s)) {
        FINDING("run %.*s has no session", SV_ARG(id));
    } else if (!sv_eqc(run->r.place, "wait") && !sv_eq(s.pub.active_run, id)) {
        FINDING("run %.*s is active and its session does not know it", SV_ARG(id));
    }
}

static void check_runs(struct tx *tx, struct buf *out)
{
    struct scan sc;
    sv k;
    sv v;
    uint64_t queued = 0;
    uint64_t running = 0;
    scan_open(&sc, tx, T_RUNS, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct run run = {0};
        if (!rec_decode(tx, v, MSG_R_RUN, &run.r) || run.r.pub_n != 1) {
            FINDING("run %.*s cannot be read", SV_ARG(k));
            continue;
        }
        run.pub = run.r.pub[0];
        bool leased = sv_eqc(run.r.place, "lease");
        running += leased;
        queued += !leased && !run_ended(&run);
        check_one_run(tx, out, &run);
    }
    scan_close(&sc);
    if (queued != tx->s->state.queued || running != tx->s->state.running) {
        FINDING("counters say %llu queued and %llu running, the runs say %llu and %llu",
                (unsigned long long)tx->s->state.queued, (unsigned long long)tx->s->state.running,
                (unsigned long long)queued, (unsigned long long)running);
    }
}

/* Rows of a queue whose run stands elsewhere. */
static void check_queue(struct tx *tx, struct buf *out, enum table t, const char *place)
{
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, t, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct run run;
        sv id = t == T_LEASE ? k : v;
        if (!run_get(tx, id, &run) || !sv_eqc(run.r.place, place)) {
            FINDING("table %s has a row for run %.*s, which is not there", table_name(t), SV_ARG(id));
        }
    }
    scan_close(&sc);
}

static uint64_t count_prefix(struct tx *tx, enum table t, sv prefix)
{
    uint64_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, t, prefix, prefix.n, false);
    while (scan_next(&sc, &k, &v)) {
        n++;
    }
    scan_close(&sc);
    return n;
}

static void check_one_session(struct tx *tx, struct buf *out, sv hash, const struct msg_r_session *r)
{
    const struct msg_session *pub = &r->pub[0];
    struct run run;
    struct key k = {.n = 0};
    sv val;
    uint64_t rows = count_prefix(tx, T_TRAN, pub->session_id);
    uint64_t waiting = count_prefix(tx, T_SESQ, hash);
    if (rows != pub->entries) {
        FINDING("session %.*s counts %llu rows and has %llu", SV_ARG(pub->key), (unsigned long long)pub->entries,
                (unsigned long long)rows);
    }
    if (waiting != pub->queued) {
        FINDING("session %.*s counts %llu waiting inputs and has %llu", SV_ARG(pub->key),
                (unsigned long long)pub->queued, (unsigned long long)waiting);
    }
    if (!sv_empty(pub->active_run) &&
        (!run_get(tx, pub->active_run, &run) || run_ended(&run) || sv_eqc(run.r.place, "wait"))) {
        FINDING("session %.*s names an active run that is not active", SV_ARG(pub->key));
    }
    if (sv_empty(pub->active_run) && waiting > 0) {
        key_u64(&k, (uint64_t)r->drain_ms);
        key_u8(&k, TIMER_DRAIN);
        key_add(&k, hash);
        if (r->drain_ms == 0 || !tx_get(tx, T_TIMER, key_sv(&k), &val)) {
            FINDING("session %.*s has waiting inputs and nothing that wakes them", SV_ARG(pub->key));
        }
    }
    k.n = 0;
    key_u64(&k, ~(uint64_t)pub->updated_ms);
    key_add(&k, hash);
    if (tx_get(tx, T_SESSU, key_sv(&k), &val) != sess_is_listed(r, pub)) {
        FINDING("session %.*s is %s the list by time", SV_ARG(pub->key), !sess_is_listed(r, pub) ? "wrongly in" : "missing in");
    }
}

static void check_sessions(struct tx *tx, struct buf *out)
{
    struct scan sc;
    sv k;
    sv v;
    uint64_t listed = 0;
    scan_open(&sc, tx, T_SESS, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct msg_r_session r;
        if (!rec_decode(tx, v, MSG_R_SESSION, &r) || r.pub_n != 1) {
            FINDING("a session row cannot be read");
        } else {
            listed += sess_is_listed(&r, &r.pub[0]);
            check_one_session(tx, out, k, &r);
        }
    }
    scan_close(&sc);
    if (listed != tx->s->state.sessions || tx_count(tx, T_SESSU) != tx->s->state.sessions) {
        FINDING("counters say %llu sessions, the tables have %llu and %zu",
                (unsigned long long)tx->s->state.sessions, (unsigned long long)listed, tx_count(tx, T_SESSU));
    }
}

/* A journal key is a number in native order, one of table dead is big endian. */
static bool listed_dead(struct tx *tx, sv journal_key)
{
    struct key k = {.n = 0};
    uint64_t seq;
    sv val;
    memcpy(&seq, journal_key.p, sizeof(seq));
    key_u64(&k, seq);
    return tx_get(tx, T_DEAD, key_sv(&k), &val);
}

static void check_journal(struct tx *tx, struct buf *out)
{
    uint64_t waiting = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_JOURNAL, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct msg_r_journal j;
        struct run run;
        if (!rec_decode(tx, v, MSG_R_JOURNAL, &j)) {
            FINDING("a journal row cannot be read");
            continue;
        }
        waiting += j.bytes;
        bool has_run = !sv_empty(j.run_id) && run_get(tx, j.run_id, &run);
        bool pending = sv_eqc(j.state, "pending");
        if (sv_eqc(j.state, "dead") && !listed_dead(tx, k)) {
            FINDING("message of run %.*s failed and is not listed", SV_ARG(j.run_id));
        }
        if (pending && !has_run) {
            FINDING("message of run %.*s waits and has no run", SV_ARG(j.run_id));
        } else if (has_run && pending == run_ended(&run)) {
            FINDING("message and run %.*s do not agree whether it has ended", SV_ARG(j.run_id));
        }
    }
    scan_close(&sc);
    if (waiting != tx->s->state.waiting_bytes) {
        FINDING("counters say %llu bytes wait for an answer, the messages have %llu",
                (unsigned long long)tx->s->state.waiting_bytes, (unsigned long long)waiting);
    }
    if (tx_count(tx, T_JOURNAL) != tx->s->state.journal_rows) {
        FINDING("counters say %llu journal rows, there are %zu", (unsigned long long)tx->s->state.journal_rows,
                tx_count(tx, T_JOURNAL));
    }
    if (tx_count(tx, T_IDEM) > tx_count(tx, T_JOURNAL)) {
        FINDING("more idempotency keys than journal rows");
    }
}

/* A session key may stand in one lease only, and what the lanes count must be what is leased. */
static void check_leases(struct tx *tx, struct buf *out)
{
    uint64_t used[LANE_COUNT] = {0};
    struct map seen = MAP_INIT;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_LEASE, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct msg_r_lease lease;
        if (!rec_decode(tx, v, MSG_R_LEASE, &lease)) {
            FINDING("the lease of run %.*s cannot be read", SV_ARG(k));
            continue;
        }
        used[lane_of(lease.lane)]++;
        if (map_put(&seen, lease.session_key, out) != NULL) {
            FINDING("session %.*s has two runs in progress", SV_ARG(lease.session_key));
        }
    }
    scan_close(&sc);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        if (!tx->s->recount && used[lane] != tx->s->lane_used[lane]) {
            FINDING("lane %d counts %llu runs in progress, there are %llu", lane,
                    (unsigned long long)tx->s->lane_used[lane], (unsigned long long)used[lane]);
        }
    }
    map_free(&seen);
}

void check_all(struct tx *tx, bool deep, struct buf *out)
{
    struct arena row = ARENA_INIT; /* emptied with each row: a database has more rows than memory has room */
    struct arena *outer = tx->a;
    tx->a = &row;
    check_runs(tx, out);
    check_queue(tx, out, T_SESQ, "wait");
    check_queue(tx, out, T_RUNQ, "ready");
    check_queue(tx, out, T_LEASE, "lease");
    check_leases(tx, out);
    check_sessions(tx, out);
    check_journal(tx, out);
    check_outbox(tx, out);
    check_dead(tx, out);
    check_clock(tx, out);
    check_bodies(tx, deep, out);
    check_approvals(tx, out);
    tx->a = outer;
    arena_free(&row);
}
