/*
 * run.c: run rows: loading, leaving their place, ending.
 * Runs in: store.     Owns: table runs, the state of journal rows.
 * Never: decides what runs next (queue.c, sched.c) or who works on it (lease.c).
 * Tested in: tests/unit/store/test_ingest.c
 */
#include "workers/store/cron.h"

bool run_get(struct tx *tx, sv run_id, struct run *run)
{
    *run = (struct run){0};
    if (!rec_get(tx, T_RUNS, run_id, MSG_R_RUN, &run->r) || run->r.pub_n != 1) {
        return false;
    }
    run->pub = run->r.pub[0];
    return true;
}

void run_put(struct tx *tx, struct run *run)
{
    run->r.pub = &run->pub;
    run->r.pub_n = 1;
    rec_put(tx, T_RUNS, run->pub.run_id, MSG_R_RUN, &run->r);
}

bool run_ended(const struct run *run)
{
    return sv_eqc(run->r.place, "end");
}

static sv seq_key(uint64_t *seq)
{
    return sv_mem(seq, sizeof(*seq)); /* INTEGERKEY: native order */
}

bool run_input(struct tx *tx, const struct run *run, struct msg_r_journal *j, struct msg_ingest *in)
{
    uint64_t seq = run->r.seq;
    if (!rec_get(tx, T_JOURNAL, seq_key(&seq), MSG_R_JOURNAL, j)) {
        return false;
    }
    *in = j->in_n == 1 ? j->in[0] : (struct msg_ingest){0};
    return j->in_n == 1;
}

/* What a waiting message takes: the texts that can be long. */
static uint64_t waiting_bytes(const struct msg_r_journal *j)
{
    const struct msg_ingest *in = j->in_n == 1 ? &j->in[0] : NULL;
    return in && sv_eqc(j->state, "pending") ? in->text.n + in->history.n + in->raw.n + in->extra_system.n : 0;
}

void journal_put(struct tx *tx, uint64_t seq, struct msg_r_journal *j)
{
    uint64_t bytes = waiting_bytes(j);
    tx->s->state.waiting_bytes += bytes - j->bytes; /* unsigned: right in both directions */
    j->bytes = bytes;
    rec_put(tx, T_JOURNAL, seq_key(&seq), MSG_R_JOURNAL, j);
}

static bool failed(const struct run *run)
{
    return sv_eqc(run->pub.state, "error") || sv_eqc(run->pub.state, "timeout");
}

/* The tombstone keeps what a repeat of the message must be told; a message without an answer is kept itself. */
static void journal_done(struct tx *tx, const struct run *run)
{
    struct msg_r_journal j;
    uint64_t seq = run->r.seq;
    if (!rec_get(tx, T_JOURNAL, seq_key(&seq), MSG_R_JOURNAL, &j)) {
        return;
    }
    if (failed(run) && j.in_n == 1) {
        dead_add(tx, seq, &j);
    } else {
        j.state = SV("done");
        j.in_n = 0;
    }
    journal_put(tx, seq, &j);
}

void run_push(struct tx *tx, const struct run *run)
{
    push_watchers(tx, false, MSG_RUN, &run->pub);
}

/* ---- what the run row remembers for those who ask later ---- */

#define HELD_MAX 8
#define SENT_MAX 64

void run_sent(struct tx *tx, struct run *run, sv key, sv delivery_id, sv hash)
{
    if (sv_empty(delivery_id) || run->r.sent_n == SENT_MAX) {
        return;
    }
    struct msg_r_sent *rows = arena_alloc(tx->a, (run->r.sent_n + 1) * sizeof(*rows));
    for (size_t i = 0; i < run->r.sent_n; i++) {
        rows[i] = run->r.sent[i];
    }
    rows[run->r.sent_n++] = (struct msg_r_sent){.key = key, .delivery_id = delivery_id, .hash = hash};
    run->r.sent = rows;
}

void run_held(struct tx *tx, struct run *run)
{
    size_t keep = run->r.held_n < HELD_MAX ? run->r.held_n : HELD_MAX - 1;
    size_t skip = run->r.held_n - keep;
    struct msg_r_held *rows = arena_alloc(tx->a, (keep + 1) * sizeof(*rows));
    for (size_t i = 0; i < keep; i++) {
        rows[i] = run->r.held[skip + i];
    }
    rows[keep] = (struct msg_r_held){.worker = run->pub.worker, .fence = run->pub.fence, .at_ms = tx->now,
                                     .step = run->pub.step};
    run->r.held = rows;
    run->r.held_n = keep + 1;
}

void run_lost(struct tx *tx, struct run *run)
{
    bool same = run->r.lost_times > 0 && run->r.lost_step == run->pub.step;
    run->r.lost_times = same ? run->r.lost_times + 1 : 1;
    run->r.lost_step = run->pub.step;
    if (run->r.held_n > 0) {
        run->r.held[run->r.held_n - 1].lost_ms = tx->now;
    }
}

/* ---- places ---- */

static struct key place_key(const struct sess *s, const struct run *run)
{
    struct key k = {.n = 0};
    if (sv_eqc(run->r.place, "wait")) {
        key_add(&k, s->hash);
    } else {
        key_u8(&k, (uint8_t)lane_of(run->r.lane));
    }
    key_u64(&k, run->r.order);
    return k;
}

static void release_lease(struct tx *tx, struct run *run)
{
    struct msg_r_lease lease;
    if (!rec_get(tx, T_LEASE, run->pub.run_id, MSG_R_LEASE, &lease)) {
        return;
    }
    (void)tx_del(tx, T_LEASE, run->pub.run_id);
    tx->s->lane_used[lane_of(lease.lane)]--;
    struct client *c = client_find(tx->s, lease.worker);
    if (c != NULL && c->inc == lease.inc && c->used > 0) {
        c->used--;
    }
}

void run_release(struct tx *tx, struct sess *s, struct run *run)
{
    struct key k = place_key(s, run);
    if (sv_eqc(run->r.place, "lease")) {
        release_lease(tx, run);
        tx->s->state.running--;
    } else if (sv_eqc(run->r.place, "wait")) {
        (void)tx_del(tx, T_SESQ, key_sv(&k));
        s->pub.queued -= s->pub.queued > 0;
        tx->s->state.queued--;
    } else if (sv_eqc(run->r.place, "ready")) {
        (void)tx_del(tx, T_RUNQ, key_sv(&k));
        tx->s->state.queued--;
    } else if (sv_eqc(run->r.place, "later")) {
        tx->s->state.queued--;
    }
    run->r.place = SV("");
}

/* Error runs tell the sender too; an abort that somebody asked for needs no words. */
static void deliver_error(struct tx *tx, struct run *run, const struct run_end *end)
{
    if (!run->r.deliver || !failed(run) || end->quiet) {
        return;
    }
    struct route to = {run->r.channel, run->r.account, run->r.chat_id, run->r.thread_id, run->r.reply_to};
    sv text = sv_empty(run->pub.error) ? SV("Something went wrong; there is no answer to this message.")
                                       : run->pub.error;
    run_sent(tx, run, SV_NULL, out_add_row(tx, &to, text, SV("plain"), run->pub.run_id), SV_NULL);
}

static sv session_status(sv run_state)
{
    static const struct {
        const char *run, *session;
    } rows[] = {{"ok", "done"}, {"error", "failed"}, {"aborted", "killed"}, {"timeout", "timeout"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (sv_eqc(run_state, rows[i].run)) {
            return sv_of(rows[i].session);
        }
    }
    return SV("done");
}

/* Why there is no answer belongs into the transcript, so that whoever comes later sees it; agents skip such rows. */
static void append_error(struct tx *tx, struct sess *s, const struct run *run)
{
    if (failed(run) && run->r.user_n != 0 && !sv_empty(run->pub.error) && sv_eq(s->pub.session_id, run->pub.session_id)) {
        struct msg_entry e = {.role = SV("system"), .kind = SV("error"), .text = run->pub.error, .run_id = run->pub.run_id,
                              .ts_ms = tx->now};
        (void)tran_append(tx, s, &e);
    }
}

void run_finish(struct tx *tx, struct sess *s, struct run *run, const struct run_end *end)
{
    struct store *st = tx->s;
    run_release(tx, s, run);
    run->pub.state = sv_of(end->state);
    run->pub.error_kind = end->error_kind;
    run->pub.error = end->error;
    run->pub.stop = end->stop;
    run->pub.merged_into = end->merged_into;
    run->pub.ended_ms = tx->now;
    run->pub.worker = SV_NULL;
    run->r.place = SV("end");
    if (sv_eqc(run->pub.state, "ok")) {
        st->state.answered++;
    } else if (!sv_eqc(run->pub.state, "merged")) {
        st->state.failed++;
    }
    journal_done(tx, run);
    append_error(tx, s, run);
    deliver_error(tx, run, end);
    run_put(tx, run);
    run_push(tx, run);
    if (sv_eqc(run->r.lane, "cron")) {
        cron_ended(tx, run);
    }
    s->pub.updated_ms = tx->now;
    if (sv_eq(s->pub.active_run, run->pub.run_id)) {
        s->pub.active_run = SV_NULL;
        s->pub.status = session_status(run->pub.state);
        queue_next(tx, s);
    }
    sess_keep(tx, s);
}
