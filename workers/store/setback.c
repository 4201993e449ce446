/*
 * setback.c: the wall clock was set back: waits that were written down under the old time would last for hours.
 * Runs in: store.     Owns: state.clock_ms, the latest time a turn has seen.
 * Never: ends a wait that people were told in hours (pairing codes, tombstones, kept sessions): those only last longer.
 * Tested in: tests/unit/store/test_setback.c; scenario f5-clock
 *
 * Everything in the process counts with the monotonic clock. What must outlast a restart can only be written down as
 * wall time; all of it is short (seconds; a retry of a delivery: minutes), so after a setback it counts as over.
 * A clock that goes forward needs nothing: waits end early.
 */
#include "common/clock.h"
#include "common/log.h"
#include "workers/store/outbox.h"

/* Less is what a time service does while it steers the clock; waits are that much longer. */
#define SETBACK_MS 1000
/* More than this between two turns that lie closer together by the monotonic clock is worth a line. */
#define LEAP_MS 60000

static void later_is_now(struct tx *tx, sv run_id)
{
    struct run run;
    if (run_get(tx, run_id, &run) && sv_eqc(run.r.place, "later")) {
        run.r.later_ms = tx->now;
        run_put(tx, &run);
    }
}

static void drain_is_now(struct tx *tx, sv session_hash)
{
    struct msg_r_session r;
    struct sess s;
    if (rec_get(tx, T_SESS, session_hash, MSG_R_SESSION, &r) && r.pub_n == 1 && r.drain_ms > tx->now &&
        sess_get(tx, r.pub[0].key, &s)) {
        s.r.drain_ms = tx->now;
        sess_put(tx, &s);
    }
}

static void abort_is_now(struct tx *tx, sv run_id)
{
    struct msg_r_lease lease;
    if (rec_get(tx, T_LEASE, run_id, MSG_R_LEASE, &lease) && lease.abort_ms > tx->now) {
        lease.abort_ms = tx->now;
        rec_put(tx, T_LEASE, run_id, MSG_R_LEASE, &lease);
    }
}

/* The short waits. The others (pairing, known chats, tombstones, kept sessions) are counted in hours and stay. */
static const struct {
    enum timer_kind kind;
    void (*is_now)(struct tx *tx, sv id);
} SHORT[] = {{TIMER_LATER, later_is_now}, {TIMER_DRAIN, drain_is_now}, {TIMER_ABORT, abort_is_now}};

/* Keys of a table from `from` on, copied, so that the caller may write. */
static size_t keys_from(struct tx *tx, enum table t, sv from, sv **keys)
{
    size_t n = 0;
    size_t cap = tx_count(tx, t);
    struct scan sc;
    sv k;
    sv v;
    *keys = arena_alloc(tx->a, (cap + 1) * sizeof(**keys));
    scan_open(&sc, tx, t, from, 0, false);
    while (n < cap && scan_next(&sc, &k, &v)) {
        (*keys)[n++] = arena_sv(tx->a, k);
    }
    scan_close(&sc);
    return n;
}

static void timers_setback(struct tx *tx)
{
    struct key later = {.n = 0};
    sv *keys;
    key_u64(&later, (uint64_t)tx->now + 1);
    size_t n = keys_from(tx, T_TIMER, key_sv(&later), &keys);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(SHORT) && keys[i].n > 9; k++) {
            if (SHORT[k].kind == (enum timer_kind)keys[i].p[8]) {
                sv id = sv_sub(keys[i], 9, keys[i].n);
                (void)tx_del(tx, T_TIMER, keys[i]);
                SHORT[k].is_now(tx, id);
                timer_add(tx, tx->now, SHORT[k].kind, id);
            }
        }
    }
}

/* Deliveries that wait for their next attempt: [account hash][due][id]. */
static void out_setback(struct tx *tx)
{
    sv *keys;
    size_t n = keys_from(tx, T_OUTQ, SV(""), &keys);
    for (size_t i = 0; i < n; i++) {
        sv account = sv_sub(keys[i], 0, KEY_HASH);
        sv id = sv_sub(keys[i], KEY_HASH + 8, keys[i].n);
        struct msg_out_row row;
        if (key_get_u64(keys[i], KEY_HASH) <= (uint64_t)tx->now || !rec_get(tx, T_OUT, id, MSG_OUT_ROW, &row)) {
            continue;
        }
        struct key k = outq_key(account, tx->now, id);
        (void)tx_del(tx, T_OUTQ, keys[i]);
        tx_put(tx, T_OUTQ, key_sv(&k), SV(""));
        row.due_ms = tx->now;
        out_put_row(tx, &row);
        timer_add(tx, tx->now, TIMER_OUT, account);
    }
}

static void log_jump(int64_t back, int64_t forward)
{
    char text[32];
    duration_print(back >= SETBACK_MS ? back : forward, text, sizeof text);
    if (back >= SETBACK_MS) {
        log_warn("the clock was set back by %s: waits under way count as over", text);
    } else {
        log_warn("the clock went forward by %s (it was set, or the machine slept): what is due meanwhile happens now", text);
    }
}

void clock_check(struct tx *tx)
{
    struct store *s = tx->s;
    int64_t seen = s->state.clock_ms;
    int64_t mono = clock_mono_ms();
    int64_t forward = s->turn_mono == 0 ? 0 : tx->now - seen - (mono - s->turn_mono);
    s->state.clock_ms = tx->now;
    s->turn_mono = mono;
    if (seen - tx->now < SETBACK_MS && forward < LEAP_MS) {
        return;
    }
    log_jump(seen - tx->now, forward);
    if (seen - tx->now >= SETBACK_MS) {
        timers_setback(tx);
        out_setback(tx);
    }
}
