/*
 * receipt.c: what a channel worker reports about the parts of a delivery.
 * Runs in: store.     Owns: nothing (rows: outbox.c).
 * Never: believes a worker that does not hold the delivery; counts a repeat twice.
 * Tested in: tests/unit/store/test_outbox.c
 */
#include "common/id.h"
#include "workers/store/outbox.h"

/* channels.md 1.5: base 400 ms, doubled, at most 30 s, 10 % jitter; a wait the platform names always wins. */
#define RETRY_BASE_MS 400
#define RETRY_CAP_MS 30000
#define TRIES_MAX 8

/* 0: row is loaded and held by `from`; ERR_EXISTS: the delivery has ended; ERR_GONE, ERR_FENCED. */
static int held_row(struct tx *tx, const struct client *from, sv id, struct msg_out_row *row)
{
    if (!rec_get(tx, T_OUT, id, MSG_OUT_ROW, row)) {
        return rec_get(tx, T_OUTD, id, MSG_OUT_ROW, row) ? ERR_EXISTS : ERR_GONE;
    }
    if (sv_eqc(row->state, "unknown") || sv_eqc(row->state, "dead")) {
        return ERR_EXISTS;
    }
    bool flying = sv_eqc(row->state, "claimed") || sv_eqc(row->state, "started");
    return flying && sv_eqc(row->worker, from->name) && row->inc == from->inc ? OK : ERR_FENCED;
}

int receipt_begin(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_begin *m = msg;
    struct msg_out_row row;
    int rc = held_row(tx, from, m->delivery_id, &row);
    if (rc != OK) {
        return rc == ERR_EXISTS ? ERR_FENCED : rc;
    }
    if (m->part != row.part) {
        return refuse(tx, ERR_FENCED, "part", "this part is not the next one");
    }
    if (sv_eqc(row.state, "started")) {
        reply_done(tx, true);
        return OK;
    }
    row.state = SV("started");
    row.parts = m->parts ? m->parts : row.parts;
    out_log(tx, &row, "begun", SV_NULL);
    out_put_row(tx, &row);
    reply_done(tx, false);
    return OK;
}

static int64_t retry_wait(uint64_t attempt, uint64_t asked_ms)
{
    uint64_t wait = RETRY_CAP_MS;
    uint16_t jitter;
    if (attempt < 8) {
        wait = (uint64_t)RETRY_BASE_MS << (attempt > 0 ? attempt - 1 : 0);
    }
    wait = wait > RETRY_CAP_MS ? RETRY_CAP_MS : wait;
    id_random(&jitter, sizeof(jitter));
    wait += wait * (jitter % 101) / 1000;
    if (asked_ms > 24ULL * 3600 * 1000) {
        asked_ms = 24ULL * 3600 * 1000;
    }
    return (int64_t)(asked_ms > wait ? asked_ms : wait);
}

/* The platform did not want this text; perhaps it takes a short one, so that the reader is not left waiting. */
static void tell_chat(struct tx *tx, const struct msg_out_row *row)
{
    struct route to = {row->channel, row->account, row->chat_id, row->thread_id, SV_NULL};
    if (!row->note && !sv_empty(row->run_id)) {
        out_add_note(tx, &to, SV("An answer to you could not be delivered. It is kept; whoever runs this gateway can send "
                                 "it again."));
    }
}

static void apply(struct tx *tx, const struct client *from, struct msg_out_row *row, const struct msg_receipt *m)
{
    bool unknown = sv_eqc(m->outcome, "unknown");
    row->parts = m->parts;
    row->error = m->error;
    row->platform_id = sv_empty(m->platform_id) ? row->platform_id : m->platform_id;
    if (sv_eqc(m->outcome, "delivered")) {
        out_log(tx, row, "delivered", m->platform_id);
        part_arrived(tx, row);
        return;
    }
    if ((sv_eqc(m->outcome, "retryable") || (unknown && from->resend)) && row->attempt < TRIES_MAX) {
        out_log(tx, row, unknown ? "lost" : "retryable", m->error);
        out_requeue(tx, row, tx->now + retry_wait(row->attempt, m->retry_after_ms));
        return;
    }
    if (unknown) {
        part_unsure(tx, row, m->error);
        return;
    }
    out_log(tx, row, "rejected", m->error);
    row->state = SV("dead");
    out_end(tx, row);
    if (sv_eqc(m->outcome, "rejected")) {
        tell_chat(tx, row);
    }
}

int receipt_put(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_receipt *m = msg;
    struct msg_out_row row;
    bool known = sv_eqc(m->outcome, "delivered") || sv_eqc(m->outcome, "rejected") ||
                 sv_eqc(m->outcome, "retryable") || sv_eqc(m->outcome, "unknown");
    if (!known) {
        return refuse(tx, ERR_BAD, "outcome", "outcome must be delivered, rejected, retryable or unknown");
    }
    if (m->parts == 0 || m->part >= m->parts) {
        return refuse(tx, ERR_BAD, "parts", "parts must be greater than part");
    }
    int rc = held_row(tx, from, m->delivery_id, &row);
    if (rc == ERR_EXISTS || (rc == OK && m->part < row.part)) {
        reply_done(tx, true);
        return OK;
    }
    if (rc != OK) {
        return rc;
    }
    if (m->part > row.part) {
        return refuse(tx, ERR_BAD, "part", "receipts come part by part");
    }
    apply(tx, from, &row, m);
    reply_done(tx, false);
    return OK;
}
