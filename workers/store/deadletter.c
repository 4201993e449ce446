/*
 * deadletter.c: accepted messages whose run failed: kept for the operator, who has them answered after all or drops
 *               them (channels.md 1.13).
 * Runs in: store.     Owns: table dead.
 * Never: resubmits by itself; forgets the key of a message: a redelivery is still a repeat.
 * Tested in: tests/unit/store/test_decide.c
 */
#include "common/log.h"
#include "common/text.h"
#include "workers/store/model.h"

#define KEEP_MAX 1000 /* the oldest goes when there are more: its text, not its tombstone */
#define BATCH_MAX 50  /* DEAD_DECIDE: messages of one request */
#define LIST_BYTES (700UL * 1024)

static sv dead_key(struct tx *tx, uint64_t seq)
{
    struct key k = {.n = 0};
    key_u64(&k, seq);
    return arena_sv(tx->a, key_sv(&k));
}

static bool load(struct tx *tx, uint64_t seq, struct msg_r_journal *j)
{
    return rec_get(tx, T_JOURNAL, sv_mem(&seq, sizeof(seq)), MSG_R_JOURNAL, j) && sv_eqc(j->state, "dead") &&
           j->in_n == 1;
}

/* The journal row becomes an ordinary tombstone. */
static void drop(struct tx *tx, uint64_t seq)
{
    struct msg_r_journal j;
    (void)tx_del(tx, T_DEAD, dead_key(tx, seq));
    if (load(tx, seq, &j)) {
        j.state = SV("done");
        j.in_n = 0;
        journal_put(tx, seq, &j);
    }
}

void dead_add(struct tx *tx, uint64_t seq, struct msg_r_journal *j)
{
    sv key;
    sv val;
    if (j->in[0].keep_ms > 0) { /* a program that brings its own conversation has the error already */
        j->state = SV("done");
        j->in_n = 0;
        return;
    }
    if (tx_count(tx, T_DEAD) >= KEEP_MAX && tx_seek(tx, T_DEAD, SV(""), 0, &key, &val)) {
        drop(tx, key_get_u64(key, 0));
    }
    j->state = SV("dead");
    tx_put(tx, T_DEAD, dead_key(tx, seq), j->run_id);
}

void dead_forget(struct tx *tx, uint64_t seq)
{
    (void)tx_del(tx, T_DEAD, dead_key(tx, seq));
}

/* ---- DEAD_LIST ---- */

static bool row_of(struct tx *tx, uint64_t seq, bool whole, struct msg_dead_row *row)
{
    struct msg_r_journal j;
    struct run run;
    if (!load(tx, seq, &j)) {
        return false;
    }
    const struct msg_ingest *in = &j.in[0];
    *row = (struct msg_dead_row){.seq = seq,
                                 .run_id = j.run_id,
                                 .session_key = j.session_key,
                                 .channel = in->channel,
                                 .account = in->account,
                                 .chat_id = in->chat_id,
                                 .sender = sv_empty(in->sender_name) ? in->sender_id : in->sender_name,
                                 .text = whole || in->text.n <= 256 ? in->text : sv_sub(in->text, 0, utf8_cut(in->text, 256)),
                                 .at_ms = j.at_ms};
    if (run_get(tx, j.run_id, &run)) {
        row->error_kind = run.pub.error_kind;
        row->error = run.pub.error;
        row->ended_ms = run.pub.ended_ms;
    }
    return true;
}

int dead_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_dead_list *m = msg;
    size_t limit = m->seq != 0 ? 1 : m->limit ? (size_t)m->limit : 100;
    struct msg_dead_row *rows = arena_alloc(tx->a, limit * sizeof(*rows));
    struct msg_dead answer = {.rows = rows};
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    if (m->seq != 0) {
        if (!row_of(tx, m->seq, true, &rows[0])) {
            return refuse(tx, ERR_GONE, "seq", "there is no such dead letter");
        }
        answer.rows_n = 1;
        reply(tx, MSG_DEAD, &answer);
        return OK;
    }
    scan_open(&sc, tx, T_DEAD, SV(""), 0, true);
    while (answer.rows_n < limit && bytes < LIST_BYTES && scan_next(&sc, &k, &v)) {
        struct msg_dead_row *row = &rows[answer.rows_n];
        if (row_of(tx, key_get_u64(k, 0), false, row)) {
            bytes += row->text.n + row->error.n + row->session_key.n + row->chat_id.n + 512;
            answer.rows_n++;
        }
    }
    scan_close(&sc);
    reply(tx, MSG_DEAD, &answer);
    return OK;
}

/* ---- DEAD_DECIDE ---- */

static int resubmit(struct tx *tx, uint64_t seq)
{
    struct msg_r_journal j;
    struct sess s;
    struct run run;
    if (!load(tx, seq, &j)) {
        return ERR_GONE;
    }
    struct msg_ingest in = j.in[0];
    sv before = j.run_id;
    sess_open(tx, j.session_key, in.agent_id, &s);
    if (s.pub.queued >= tx->s->conf.cap) {
        tx->retry_ms = 5000;
        return refuse(tx, ERR_BUSY, "seq", "too many messages wait in that conversation; try again later");
    }
    run_make(tx, &s, &in, seq, SV_NULL, &run);
    run.r.prev = before;
    j.state = SV("pending");
    j.run_id = run.pub.run_id;
    j.session_id = s.pub.session_id;
    j.in = &in;
    j.in_n = 1;
    journal_put(tx, seq, &j);
    (void)tx_del(tx, T_DEAD, dead_key(tx, seq));
    int rc = queue_add(tx, &s, &run, &in);
    if (rc != OK) {
        return rc;
    }
    sess_put(tx, &s);
    log_info("message %llu is resubmitted: run %.*s, before %.*s", (unsigned long long)seq, SV_ARG(run.pub.run_id),
             SV_ARG(before));
    return OK;
}

static size_t all(struct tx *tx, uint64_t *seqs, size_t max, bool *more)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    *more = false;
    scan_open(&sc, tx, T_DEAD, SV(""), 0, false);
    while (!*more && scan_next(&sc, &k, &v)) {
        *more = n == max;
        if (n < max) {
            seqs[n++] = key_get_u64(k, 0);
        }
    }
    scan_close(&sc);
    return n;
}

int dead_decide(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_dead_decide *m = msg;
    struct msg_decided answer = {0};
    struct msg_r_journal j;
    bool again = sv_eqc(m->action, "resubmit");
    uint64_t seqs[BATCH_MAX] = {m->seq};
    UNUSED(from);
    if (!again && !sv_eqc(m->action, "drop")) {
        return refuse(tx, ERR_BAD, "action", "action must be resubmit or drop");
    }
    size_t n = m->seq != 0 ? 1 : all(tx, seqs, BATCH_MAX, &answer.more);
    for (size_t i = 0; i < n; i++) {
        if (!load(tx, seqs[i], &j)) {
            return refuse(tx, ERR_GONE, "seq", "there is no such dead letter");
        }
        int rc = again ? resubmit(tx, seqs[i]) : OK;
        if (rc == ERR_BUSY && answer.count > 0) {
            answer.more = true; /* the rest when there is room */
            break;
        }
        if (rc != OK) {
            return rc;
        }
        if (!again) {
            drop(tx, seqs[i]);
        }
        answer.count++;
    }
    reply(tx, MSG_DECIDED, &answer);
    return OK;
}
