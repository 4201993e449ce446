/*
 * check_out.c: invariants of the outbox and of clock work.
 * Runs in: store.     Owns: nothing.
 * Never: repairs; it only tells.
 * Tested in: after every test of tests/unit/store
 */
#include "workers/store/check.h"
#include "workers/store/outbox.h"

#define CHAT_PREFIX (2UL * KEY_HASH) /* account and chat */

#define FINDING(...)                                                                               \
    do {                                                                                           \
        (void)buf_printf(out, __VA_ARGS__);                                                        \
        (void)buf_ch(out, '\n');                                                                   \
    } while (0)

/* True: no row of the same chat stands before this one. */
static bool is_head(struct tx *tx, const struct msg_out_row *row)
{
    struct key c = outc_key(tx, row);
    sv k;
    sv v;
    return tx_seek(tx, T_OUTC, sv_sub(key_sv(&c), 0, CHAT_PREFIX), CHAT_PREFIX, &k, &v) && sv_eq(k, key_sv(&c));
}

static void check_row(struct tx *tx, struct buf *out, const struct msg_out_row *row, uint64_t counts[3])
{
    sv account = out_account_hash(tx, row->channel, row->account);
    struct key c = outc_key(tx, row);
    struct key q = outq_key(account, row->due_ms, row->delivery_id);
    struct key f = outf_key(account, row->delivery_id);
    sv val;
    bool chained = tx_get(tx, T_OUTC, key_sv(&c), &val);
    bool due = tx_get(tx, T_OUTQ, key_sv(&q), &val);
    bool flying = tx_get(tx, T_OUTF, key_sv(&f), &val);
    bool queued = sv_eqc(row->state, "queued");
    bool held = sv_eqc(row->state, "claimed") || sv_eqc(row->state, "started");
    bool open = queued || held;
    counts[0] += open;
    counts[1] += sv_eqc(row->state, "unknown");
    counts[2] += sv_eqc(row->state, "dead");
    if (chained != open || flying != held || due != (queued && is_head(tx, row)) || (held && !is_head(tx, row))) {
        FINDING("delivery %.*s (%.*s) is not in the tables it should be in", SV_ARG(row->delivery_id),
                SV_ARG(row->state));
    }
}

void check_outbox(struct tx *tx, struct buf *out)
{
    uint64_t counts[3] = {0};
    const struct msg_r_state *st = &tx->s->state;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_OUT, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct msg_out_row row;
        if (!rec_decode(tx, v, MSG_OUT_ROW, &row)) {
            FINDING("delivery %.*s cannot be read", SV_ARG(k));
        } else {
            check_row(tx, out, &row, counts);
        }
    }
    scan_close(&sc);
    if (counts[0] != st->out_queued || counts[1] != st->out_unknown || counts[2] != st->out_dead) {
        FINDING("counters of the outbox say %llu open, %llu unknown, %llu dead; the rows say %llu, %llu, %llu",
                (unsigned long long)st->out_queued, (unsigned long long)st->out_unknown,
                (unsigned long long)st->out_dead, (unsigned long long)counts[0], (unsigned long long)counts[1],
                (unsigned long long)counts[2]);
    }
    if (tx_count(tx, T_OUTC) != counts[0]) {
        FINDING("the order of chats has %zu rows for %llu open deliveries", tx_count(tx, T_OUTC),
                (unsigned long long)counts[0]);
    }
}

void check_dead(struct tx *tx, struct buf *out)
{
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_DEAD, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_r_journal j;
        uint64_t seq = key_get_u64(k, 0);
        if (!rec_get(tx, T_JOURNAL, sv_mem(&seq, sizeof(seq)), MSG_R_JOURNAL, &j) || !sv_eqc(j.state, "dead") ||
            j.in_n != 1) {
            FINDING("dead letter %llu has no message", (unsigned long long)seq);
        }
    }
    scan_close(&sc);
}

/* Whoever waits for an answer must not wait for ever. */
void check_approvals(struct tx *tx, struct buf *out)
{
    struct scan sc;
    sv id;
    sv v;
    scan_open(&sc, tx, T_APPROVAL, SV(""), 0, false);
    while (scan_next(&sc, &id, &v)) {
        struct msg_approval a;
        struct key k = {.n = 0};
        if (!rec_decode(tx, v, MSG_APPROVAL, &a)) {
            FINDING("approval %.*s cannot be read", SV_ARG(id));
            continue;
        }
        bool pending = sv_eqc(a.state, "pending");
        if (pending != (a.resolved_ms == 0)) {
            FINDING("approval %.*s is %.*s and %s", SV_ARG(id), SV_ARG(a.state), pending ? "has ended" : "has not ended");
        }
        key_u64(&k, (uint64_t)a.expires_ms);
        key_u8(&k, TIMER_APPROVAL);
        key_add(&k, id);
        if (pending && !tx_get(tx, T_TIMER, key_sv(&k), &v)) {
            FINDING("approval %.*s waits and nothing ends it", SV_ARG(id));
        }
    }
    scan_close(&sc);
}

void check_clock(struct tx *tx, struct buf *out)
{
    struct scan sc;
    sv k;
    sv v;
    uint64_t planned = 0;
    scan_open(&sc, tx, T_CRON, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        arena_reset(tx->a);
        struct msg_cron_job job;
        struct key due = {.n = 0};
        sv val;
        if (!rec_decode(tx, v, MSG_CRON_JOB, &job)) {
            FINDING("job %.*s cannot be read", SV_ARG(k));
            continue;
        }
        key_u64(&due, (uint64_t)job.due_ms);
        key_add(&due, job.job_id);
        planned += job.due_ms > 0;
        if (job.due_ms > 0 && !tx_get(tx, T_DUE, key_sv(&due), &val)) {
            FINDING("job %.*s is due and not in the list by time", SV_ARG(k));
        }
    }
    scan_close(&sc);
    if (tx_count(tx, T_DUE) != planned) {
        FINDING("%zu due times for %llu planned jobs", tx_count(tx, T_DUE), (unsigned long long)planned);
    }
}
