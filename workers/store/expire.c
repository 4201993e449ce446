/*
 * expire.c: what has served its time leaves, in bounded slices.
 * Runs in: store.     Owns: nothing.
 * Never: removes a message that is not done, one that is younger than any platform's redelivery, or an ordinary session.
 * Tested in: tests/unit/store/test_care.c, test_given.c
 *
 * Rows that end by a timer of their own are not here: delivered rows (outbox.c), pairing codes (pairing.c).
 * Sessions and transcripts do not expire, but for those that were made to be kept for a while only.
 */
#include "workers/store/body.h"
#include "workers/store/model.h"

/* channels.md 1.4: 30 days, or a cap whichever comes first; the cap is far above a week of a busy gateway. */
#define KEEP_MS (30LL * 24 * 3600 * 1000)
#define KEEP_ROWS 1000000
#define SLICE_ROWS 200

/* True: this row stays, and so do all that are younger. */
static bool journal_row(struct tx *tx, sv key, sv val)
{
    struct msg_r_journal j;
    struct run run;
    uint64_t seq;
    if (!rec_decode(tx, val, MSG_R_JOURNAL, &j)) {
        return false; /* the check names it */
    }
    if (tx->now - j.at_ms < KEEP_MS && tx->s->state.journal_rows <= KEEP_ROWS) {
        return true;
    }
    if (sv_eqc(j.state, "pending")) {
        return false;
    }
    memcpy(&seq, key.p, sizeof(seq));
    (void)tx_del(tx, T_JOURNAL, key);
    (void)tx_del(tx, T_IDEM, j.idem);
    tx->s->state.journal_rows--;
    dead_forget(tx, seq);
    for (sv id = j.run_id; !sv_empty(id) && run_get(tx, id, &run) && run.r.seq == seq && run_ended(&run);
         id = run.r.prev) {
        (void)tx_del(tx, T_RUNS, id);
    }
    return false;
}

/* Tombstones of messages with their idempotency keys and ended runs. */
static bool sweep_journal(struct tx *tx)
{
    struct store *s = tx->s;
    uint64_t from = s->sweep_seq;
    sv key;
    sv val;
    for (int i = 0; i < SLICE_ROWS; i++) {
        if (!tx_seek(tx, T_JOURNAL, sv_mem(&from, sizeof(from)), 0, &key, &val) || key.n != sizeof(from) ||
            journal_row(tx, key, val)) {
            s->sweep_seq = 0;
            return false;
        }
        memcpy(&from, key.p, sizeof(from));
        from++;
    }
    s->sweep_seq = from;
    return true;
}

/* Jobs that have run and will not run again. */
static bool sweep_jobs(struct tx *tx)
{
    struct key *at = &tx->s->sweep_job;
    sv key;
    sv val;
    for (int i = 0; i < SLICE_ROWS; i++) {
        struct msg_cron_job job;
        if (!tx_seek(tx, T_CRON, key_sv(at), 0, &key, &val)) {
            at->n = 0;
            return false;
        }
        if (rec_decode(tx, val, MSG_CRON_JOB, &job) && sv_eqc(job.kind, "at") && job.due_ms == 0 && job.fired_ms != 0 &&
            !job.off &&
            tx->now - job.fired_ms >= KEEP_MS) {
            (void)tx_del(tx, T_CRON, key);
        }
        at->n = 0;
        key_add(at, key);
        key_u8(at, 0); /* behind this one */
    }
    return true;
}

static bool sweep_files(struct tx *tx)
{
    body_sweep(tx);
    return false; /* nobody waits for them: a slice a minute will do */
}

bool expire_slice(struct tx *tx)
{
    static bool (*const sweeps[])(struct tx * tx) = {sweep_journal, sweep_jobs, sweep_files};
    bool more = false;
    for (size_t i = 0; i < ARRAY_LEN(sweeps) && tx->db_err == 0; i++) {
        more = sweeps[i](tx) || more;
    }
    tx->unfit = false; /* a row that cannot be read is no reason to refuse anything here */
    return more;
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
    for (int i = 0; i < SLICE_ROWS; i++) {
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
