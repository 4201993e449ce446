/*
 * expire.c: old tombstones leave the journal, with their idempotency keys and run rows; sessions that are kept for a
 *           while only leave with their transcript.
 * Runs in: store.     Owns: nothing.
 * Never: removes a row that is not done, one that is younger than any platform's redelivery, or an ordinary session.
 * Tested in: tests/unit/store/test_turn.c, test_given.c
 */
#include "workers/store/model.h"

/* channels.md 1.4: 30 days, or a cap whichever comes first; the cap is far above a week of a busy gateway. */
#define KEEP_MS (30LL * 24 * 3600 * 1000)
#define KEEP_ROWS 1000000
#define SWEEP_ROWS 500

void journal_sweep(struct tx *tx)
{
    sv key;
    sv val;
    for (int i = 0; i < SWEEP_ROWS && tx_seek(tx, T_JOURNAL, SV(""), 0, &key, &val); i++) {
        struct msg_r_journal j;
        struct run run;
        uint64_t seq;
        if (key.n != sizeof(seq) || !rec_decode(tx, val, MSG_R_JOURNAL, &j) || !sv_eqc(j.state, "done") ||
            (tx->now - j.at_ms < KEEP_MS && tx->s->state.journal_rows <= KEEP_ROWS)) {
            return;
        }
        memcpy(&seq, key.p, sizeof(seq));
        (void)tx_del(tx, T_JOURNAL, key);
        (void)tx_del(tx, T_IDEM, j.idem);
        tx->s->state.journal_rows--;
        if (run_get(tx, j.run_id, &run) && run.r.seq == seq && run_ended(&run)) {
            (void)tx_del(tx, T_RUNS, j.run_id);
        }
    }
}

/* ---- sessions that are kept for a while only ---- */

void sess_keep(struct tx *tx, const struct sess *s)
{
    if (s->r.keep_ms > 0) {
        timer_add(tx, tx->now + (int64_t)s->r.keep_ms, TIMER_KEEP, s->hash);
    }
}

/* Removes a bounded number of rows; false: there are more. */
static bool drop_rows(struct tx *tx, struct sess *s)
{
    sv key;
    sv val;
    for (int i = 0; i < SWEEP_ROWS; i++) {
        if (!tx_seek(tx, T_TRAN, s->pub.session_id, s->pub.session_id.n, &key, &val)) {
            return true;
        }
        (void)tx_del(tx, T_TRAN, key);
        s->pub.entries -= s->pub.entries > 0;
    }
    return false;
}

void sess_expire(struct tx *tx, sv session_hash)
{
    struct msg_r_session r;
    struct sess s;
    if (!rec_get(tx, T_SESS, session_hash, MSG_R_SESSION, &r) || r.pub_n != 1 || r.keep_ms == 0 ||
        !sess_get(tx, r.pub[0].key, &s)) {
        return;
    }
    /* Something goes on, or went on meanwhile: the end of that sets a timer of its own. */
    if (!sv_empty(s.pub.active_run) || s.pub.queued > 0 || s.pub.updated_ms + (int64_t)s.r.keep_ms > tx->now) {
        return;
    }
    if (drop_rows(tx, &s)) {
        (void)tx_del(tx, T_SESS, s.hash);
        return;
    }
    sess_put(tx, &s);
    timer_add(tx, tx->now + 1, TIMER_KEEP, s.hash);
}
