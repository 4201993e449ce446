/*
 * push.c: outgoing messages of a turn: encoded when they are made, sent after the commit.
 * Runs in: store.     Owns: the list of outgoing messages.
 * Never: sends before the commit (only turn.c calls out_send_all).
 * Tested in: tests/unit/store/test_turn.c
 */
#include "common/log.h"
#include "proto/wire.h"
#include "workers/store/store_int.h"

static struct out *out_add(struct store *s)
{
    if (s->outs_n == s->outs_cap) {
        s->outs_cap = s->outs_cap ? s->outs_cap * 2 : 64;
        s->outs = xrealloc(s->outs, s->outs_cap * sizeof(*s->outs));
    }
    struct out *o = &s->outs[s->outs_n++];
    *o = (struct out){.trace = context_trace()};
    return o;
}

struct out_mark out_mark(const struct store *s)
{
    return (struct out_mark){s->outs_n, s->bodies.n};
}

void out_undo(struct store *s, struct out_mark m)
{
    s->outs_n = m.outs;
    s->bodies.n = m.bodies;
}

void out_begin(struct store *s, const char *dst, uint64_t rid)
{
    struct out *o = out_add(s);
    o->dst = dst;
    o->flags = ENV_REPLY;
    o->rid = rid;
    s->answer_at = s->outs_n - 1;
}

/* Appends the encoded body; false: it breaks its table or the turn's output is too large. */
static bool body_add(struct tx *tx, uint16_t type, const void *body, size_t *off, size_t *len)
{
    struct store *s = tx->s;
    struct wire_error why = {0};
    size_t at = s->bodies.n;
    int rc = wire_encode(type, body, &s->bodies, &why);
    if (rc != OK) {
        log_error("a message %s breaks its own table: %s %s", msg_name(type), why.field ? why.field : "",
                  why.text);
        s->bodies.n = at;
        s->bodies.full = false;
        return false;
    }
    *off = at;
    *len = s->bodies.n - at;
    return true;
}

/*
 * Appends body with one list more. The rows are records that were stored by wire_encode, so they go in as
 * they are: a transcript is neither decoded nor encoded again on its way to an agent or a client.
 */
static bool body_splice(struct tx *tx, uint16_t type, const void *body, const char *list_key, const sv *rows,
                        size_t n, size_t *off, size_t *len)
{
    struct buf *s = &tx->s->scratch;
    struct buf *b = &tx->s->bodies;
    struct wire_error why = {0};
    size_t at = b->n;
    buf_reset(s);
    if (wire_encode(type, body, s, &why) != OK || s->n == 0 || n > UINT16_MAX) {
        log_error("a message %s breaks its own table: %s", msg_name(type), why.text);
        return false;
    }
    uint8_t first = (uint8_t)s->p[0];
    bool map16 = first == 0xde;
    ASSERT(map16 || (first & 0xf0) == 0x80);
    size_t pairs = map16 ? (size_t)((uint8_t)s->p[1] << 8 | (uint8_t)s->p[2]) : first & 0x0f;
    size_t head = map16 ? 3 : 1;
    pairs++;
    size_t key_n = strlen(list_key);
    ASSERT(key_n < 32);
    const uint8_t open[] = {0xde, (uint8_t)(pairs >> 8), (uint8_t)pairs};
    const uint8_t list[] = {0xdc, (uint8_t)(n >> 8), (uint8_t)n};
    (void)buf_add(b, open, sizeof(open));
    (void)buf_add(b, s->p + head, s->n - head);
    (void)buf_ch(b, (char)(0xa0 | key_n));
    (void)buf_add(b, list_key, key_n);
    (void)buf_add(b, list, sizeof(list));
    for (size_t i = 0; i < n; i++) {
        (void)buf_sv(b, rows[i]);
    }
    if (b->full) {
        b->n = at;
        b->full = false;
        return false;
    }
    *off = at;
    *len = b->n - at;
    return true;
}

static struct out *answer_slot(struct tx *tx)
{
    return &tx->s->outs[tx->s->answer_at];
}

void reply(struct tx *tx, uint16_t type, const void *body)
{
    size_t off;
    size_t len;
    if (!body_add(tx, type, body, &off, &len)) {
        tx->unfit = true;
        return;
    }
    struct out *o = answer_slot(tx);
    o->type = type;
    o->off = off;
    o->len = len;
}

void reply_done(struct tx *tx, bool dup)
{
    struct msg_done done = {.dup = dup};
    reply(tx, MSG_DONE, &done);
}

void reply_spliced(struct tx *tx, uint16_t type, const void *body, const char *list_key, const sv *rows, size_t n)
{
    size_t off;
    size_t len;
    if (!body_splice(tx, type, body, list_key, rows, n, &off, &len)) {
        tx->unfit = true;
        return;
    }
    struct out *o = answer_slot(tx);
    o->type = type;
    o->off = off;
    o->len = len;
}

void out_fail(struct tx *tx, int err)
{
    struct msg_status st = {.code = err,
                            .retry_ms = tx->retry_ms,
                            .field = tx->bad_field,
                            .text = sv_empty(tx->bad_text) ? sv_of(err_text(err)) : sv_sub(tx->bad_text, 0, 1024)};
    reply(tx, MSG_STATUS, &st);
}

static void push_body(struct tx *tx, const struct client *to, uint16_t type, size_t off, size_t len)
{
    struct out *o = out_add(tx->s);
    o->dst = to->id;
    o->type = type;
    o->flags = ENV_PUSH;
    o->off = off;
    o->len = len;
}

void push(struct tx *tx, const struct client *to, uint16_t type, const void *body)
{
    size_t off;
    size_t len;
    if (body_add(tx, type, body, &off, &len)) {
        push_body(tx, to, type, off, len);
    }
}

void push_spliced(struct tx *tx, const struct client *to, uint16_t type, const void *body, const char *list_key,
                  const sv *rows, size_t n)
{
    size_t off;
    size_t len;
    if (body_splice(tx, type, body, list_key, rows, n, &off, &len)) {
        push_body(tx, to, type, off, len);
    }
}

void push_watchers(struct tx *tx, bool rows, uint16_t type, const void *body)
{
    size_t off = 0;
    size_t len = 0;
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&tx->s->clients, &it, &name, &value)) {
        struct client *c = value;
        if (!c->watch || (rows && !c->watch_rows)) {
            continue;
        }
        if (len == 0 && !body_add(tx, type, body, &off, &len)) {
            return;
        }
        push_body(tx, c, type, off, len);
    }
}

void out_send_all(struct store *s)
{
    for (size_t i = 0; i < s->outs_n; i++) {
        const struct out *o = &s->outs[i];
        if (o->type == MSG_NONE) {
            continue;
        }
        struct store_out m = {.dst = o->dst,
                              .type = o->type,
                              .flags = o->flags,
                              .rid = o->rid,
                              .trace = trace_view(&o->trace),
                              .body = sv_mem(s->bodies.p + o->off, o->len)};
        s->send(s->send_ctx, &m);
        crash_point("store.between_sends");
    }
}
