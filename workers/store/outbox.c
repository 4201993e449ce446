/*
 * outbox.c: deliveries: per chat in order and one at a time, per account as many as its worker accepts.
 * Runs in: store.     Owns: tables out, outd, outc, outq, outf.
 * Never: sends a started part again on a platform without idempotency keys, unless told to; forgets a delivery.
 * Tested in: tests/unit/store/test_outbox.c
 *
 * A row stands in OUTC from its birth to its end. The first of each chat stands in OUTQ while it waits, or in
 * OUTF while its worker has it.
 */
#include "workers/store/outbox.h"

#include "common/id.h"
#include "common/log.h"
#include "common/text.h"

#define TOMBSTONE_MS (7LL * 24 * 3600 * 1000) /* so long `tenaza trace` knows what became of it */
#define LOG_MAX 32                            /* OUT_ROW.log */
#define RESENDS_MAX 8 /* unknownOutcome = "resend": attempts of one part, as in receipt.c */
#define IN_FLIGHT_MAX 64 /* OUT_WANT.window */

sv out_account_hash(struct tx *tx, sv channel, sv account)
{
    const sv parts[] = {channel, account};
    return tx_hash(tx, parts, ARRAY_LEN(parts));
}

static sv row_account(struct tx *tx, const struct msg_out_row *row)
{
    return out_account_hash(tx, row->channel, row->account);
}

static struct key chat_prefix(struct tx *tx, const struct msg_out_row *row)
{
    const sv parts[] = {row->chat_id, row->thread_id};
    struct key k = {.n = 0};
    key_add(&k, row_account(tx, row));
    key_add(&k, tx_hash(tx, parts, ARRAY_LEN(parts)));
    return k;
}

struct key outc_key(struct tx *tx, const struct msg_out_row *row)
{
    struct key k = chat_prefix(tx, row);
    key_add(&k, sv_empty(row->order) ? row->delivery_id : row->order);
    return k;
}

struct key outq_key(sv account_hash, int64_t due_ms, sv id)
{
    struct key k = {.n = 0};
    key_add(&k, account_hash);
    key_u64(&k, (uint64_t)due_ms);
    key_add(&k, id);
    return k;
}

struct key outf_key(sv account_hash, sv id)
{
    struct key k = {.n = 0};
    key_add(&k, account_hash);
    key_add(&k, id);
    return k;
}

void out_put_row(struct tx *tx, const struct msg_out_row *row)
{
    rec_put(tx, T_OUT, row->delivery_id, MSG_OUT_ROW, row);
}

void out_log(struct tx *tx, struct msg_out_row *row, const char *what, sv detail)
{
    size_t n = row->log_n < LOG_MAX ? row->log_n : LOG_MAX - 1;
    struct msg_out_step *log = arena_alloc(tx->a, (n + 1) * sizeof(*log));
    for (size_t i = 0; i < n; i++) {
        /* full: the first half stays, the second moves up */
        log[i] = row->log[i < LOG_MAX / 2 || n == row->log_n ? i : i + 1];
    }
    log[n] = (struct msg_out_step){.what = sv_of(what),
                                   .at_ms = tx->now,
                                   .part = row->part,
                                   .attempt = row->attempt,
                                   .worker = row->worker,
                                   .detail = sv_sub(detail, 0, detail.n > 256 ? utf8_cut(detail, 256) : detail.n)};
    row->log = log;
    row->log_n = n + 1;
}

static bool row_get(struct tx *tx, sv id, struct msg_out_row *row)
{
    return rec_get(tx, T_OUT, id, MSG_OUT_ROW, row);
}

/* Puts the head of a chat where claims look for it. */
static void make_due(struct tx *tx, struct msg_out_row *row, int64_t due_ms)
{
    sv account = row_account(tx, row);
    struct key k = outq_key(account, due_ms, row->delivery_id);
    row->state = SV("queued");
    row->due_ms = due_ms;
    row->worker = SV_NULL;
    row->inc = 0;
    tx_put(tx, T_OUTQ, key_sv(&k), SV(""));
    out_put_row(tx, row);
    if (due_ms > tx->now) {
        timer_add(tx, due_ms, TIMER_OUT, account);
    }
}

/* A new row, or one that comes back, takes the last place in its chat. */
static void enqueue(struct tx *tx, struct msg_out_row *row)
{
    struct key chat = chat_prefix(tx, row);
    struct key c = outc_key(tx, row);
    sv k;
    sv v;
    bool first = !tx_seek(tx, T_OUTC, key_sv(&chat), chat.n, &k, &v);
    tx_put(tx, T_OUTC, key_sv(&c), sv_empty(row->order) ? SV("") : row->delivery_id);
    tx->s->state.out_queued++;
    row->state = SV("queued");
    if (first) {
        make_due(tx, row, tx->now);
        out_pump(tx, row_account(tx, row));
    } else {
        out_put_row(tx, row);
    }
}

void out_revive(struct tx *tx, struct msg_out_row *row)
{
    row->order = arena_printf(tx->a, "%016llx", (unsigned long long)++tx->s->state.next_order);
    row->attempt = 0;
    row->due_ms = 0;
    row->ended_ms = 0;
    row->error = SV_NULL;
    row->worker = SV_NULL;
    enqueue(tx, row);
}

static sv add(struct tx *tx, const struct route *to, struct msg_out_row *row)
{
    char random[9];
    if (sv_empty(to->channel) || sv_empty(to->account) || sv_empty(to->chat_id)) {
        return SV_NULL;
    }
    id_code(random, 8, "abcdefghijklmnopqrstuvwxyz234567");
    row->delivery_id = arena_printf(tx->a, "%016llx%s", (unsigned long long)++tx->s->state.next_order, random);
    row->channel = to->channel;
    row->account = to->account;
    row->chat_id = to->chat_id;
    row->thread_id = to->thread_id;
    row->reply_to = to->reply_to;
    row->created_ms = tx->now;
    enqueue(tx, row);
    return row->delivery_id;
}

sv out_add_row(struct tx *tx, const struct route *to, sv text, sv format, sv run_id)
{
    struct msg_out_row row = {.text = text, .format = format, .run_id = run_id};
    return add(tx, to, &row);
}

void out_add_note(struct tx *tx, const struct route *to, sv text)
{
    struct msg_out_row row = {.text = text, .format = SV("plain"), .note = true};
    (void)add(tx, to, &row);
}

/* ---- claims ---- */

static struct client *worker_of(struct tx *tx, sv account_hash)
{
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&tx->s->clients, &it, &name, &value)) {
        struct client *c = value;
        if (c->out && sv_eq(account_hash, sv_mem(c->account_hash, KEY_HASH))) {
            return c;
        }
    }
    return NULL;
}

/* Ids of the rows in flight, copied. */
static size_t in_flight(struct tx *tx, sv account_hash, sv *ids)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_OUTF, account_hash, KEY_HASH, false);
    while (n < IN_FLIGHT_MAX && scan_next(&sc, &k, &v)) {
        ids[n++] = arena_sv(tx->a, sv_sub(k, KEY_HASH, k.n));
    }
    scan_close(&sc);
    return n;
}

static void push_deliver(struct tx *tx, const struct client *to, const struct msg_out_row *row)
{
    struct msg_deliver d = {
        .delivery_id = row->delivery_id,
        .op = SV("send"),
        .chat_id = row->chat_id,
        .thread_id = row->thread_id,
        .reply_to = row->reply_to,
        .text = row->text,
        .format = row->format,
        .run_id = row->run_id,
        .part = row->part,
        .attempt = row->attempt,
        .stop = part_stop(row),
    };
    push(tx, to, MSG_DELIVER, &d);
}

static void claim(struct tx *tx, struct msg_out_row *row, sv account_hash, struct client *to)
{
    struct key f = outf_key(account_hash, row->delivery_id);
    row->state = SV("claimed");
    row->worker = sv_of(to->name);
    row->inc = to->inc;
    row->attempt++;
    row->due_ms = tx->now;
    tx_put(tx, T_OUTF, key_sv(&f), SV(""));
    out_put_row(tx, row);
    push_deliver(tx, to, row);
}

void out_pump(struct tx *tx, sv account_hash)
{
    struct client *to = worker_of(tx, account_hash);
    sv ids[IN_FLIGHT_MAX];
    if (to == NULL) {
        return;
    }
    for (size_t n = in_flight(tx, account_hash, ids); n < to->window && n < IN_FLIGHT_MAX;) {
        sv k;
        sv v;
        struct msg_out_row row;
        if (!tx_seek(tx, T_OUTQ, account_hash, KEY_HASH, &k, &v) ||
            key_get_u64(k, KEY_HASH) > (uint64_t)tx->now) {
            return;
        }
        (void)tx_del(tx, T_OUTQ, k);
        if (row_get(tx, sv_sub(k, KEY_HASH + 8, k.n), &row)) {
            claim(tx, &row, account_hash, to);
            n++;
        }
    }
}

void out_timer(struct tx *tx, sv account_hash)
{
    out_pump(tx, account_hash);
}

/* ---- leaving the flight ---- */

static void land(struct tx *tx, const struct msg_out_row *row)
{
    struct key f = outf_key(row_account(tx, row), row->delivery_id);
    (void)tx_del(tx, T_OUTF, key_sv(&f));
}

void out_requeue(struct tx *tx, struct msg_out_row *row, int64_t due_ms)
{
    land(tx, row);
    make_due(tx, row, due_ms);
    out_pump(tx, row_account(tx, row));
}

void out_bury(struct tx *tx, struct msg_out_row *row)
{
    row->text = SV_NULL;
    (void)tx_del(tx, T_OUT, row->delivery_id);
    rec_put(tx, T_OUTD, row->delivery_id, MSG_OUT_ROW, row);
    timer_add(tx, tx->now + TOMBSTONE_MS, TIMER_OUTD, row->delivery_id);
}

/* What is left of a delivery that has ended. */
static void keep(struct tx *tx, struct msg_out_row *row)
{
    bool unknown = sv_eqc(row->state, "unknown");
    if (row->note && !unknown) {
        (void)tx_del(tx, T_OUT, row->delivery_id);
        return;
    }
    if (sv_eqc(row->state, "delivered")) {
        out_bury(tx, row);
        return;
    }
    tx->s->state.out_unknown += unknown;
    tx->s->state.out_dead += !unknown;
    out_put_row(tx, row);
    log_warn("delivery %.*s to %.*s/%.*s ended as %.*s: %.*s", SV_ARG(row->delivery_id), SV_ARG(row->channel),
             SV_ARG(row->account), SV_ARG(row->state), SV_ARG(row->error));
}

void out_end(struct tx *tx, struct msg_out_row *row)
{
    sv account = row_account(tx, row);
    struct key c = outc_key(tx, row);
    struct key chat = chat_prefix(tx, row);
    land(tx, row);
    (void)tx_del(tx, T_OUTC, key_sv(&c));
    tx->s->state.out_queued--;
    row->due_ms = 0;
    row->ended_ms = tx->now;
    keep(tx, row);
    sv k;
    sv v;
    struct msg_out_row next;
    if (tx_seek(tx, T_OUTC, key_sv(&chat), chat.n, &k, &v) &&
        row_get(tx, sv_empty(v) ? sv_sub(k, chat.n, k.n) : v, &next)) {
        make_due(tx, &next, tx->now);
    }
    out_pump(tx, account);
}

void out_expire(struct tx *tx, sv delivery_id)
{
    (void)tx_del(tx, T_OUTD, delivery_id);
}

/* ---- OUT_WANT ---- */

/* A row of a dead predecessor, or one whose DELIVER may have been lost on the way to this worker. */
static void settle(struct tx *tx, struct msg_out_row *row, struct client *from)
{
    bool mine = sv_eqc(row->worker, from->name) && row->inc == from->inc;
    bool started = sv_eqc(row->state, "started");
    if (mine) {
        bool set_back = tx->now < row->due_ms; /* the clock: due_ms is when it was claimed */
        if (!started && (set_back || row->due_ms < tx->s->boot_ms || tx->now - row->due_ms >= REGRANT_MS)) {
            push_deliver(tx, from, row);
        }
    } else if (started && from->keyless && !(from->resend && row->attempt < RESENDS_MAX)) {
        part_unsure(tx, row, SV("the worker was lost while this part was being sent"));
    } else {
        if (started) {
            out_log(tx, row, "lost", SV("the worker was lost while this part was being sent; it is sent again"));
        }
        row->attempt -= !started && row->attempt > 0; /* nothing left the house */
        out_requeue(tx, row, tx->now);
    }
}

int out_want(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_out_want *m = msg;
    sv ids[IN_FLIGHT_MAX];
    struct msg_out_row row;
    if (sv_empty(m->channel) || sv_empty(m->account)) {
        return refuse(tx, ERR_BAD, "channel", "channel and account must not be empty");
    }
    from->out = true;
    from->keyless = m->keyless;
    from->resend = m->resend;
    from->window = 0; /* first settle what a predecessor left */
    sv account = out_account_hash(tx, m->channel, m->account);
    memcpy(from->account_hash, account.p, KEY_HASH);
    size_t n = in_flight(tx, account, ids);
    for (size_t i = 0; i < n; i++) {
        if (row_get(tx, ids[i], &row)) {
            settle(tx, &row, from);
        }
    }
    from->window = m->window;
    out_pump(tx, account);
    reply_done(tx, false);
    return OK;
}
