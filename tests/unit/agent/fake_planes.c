/*
 * fake_planes.c: see fake_planes.h.
 * Runs in: unit tests.     Owns: the one fake.
 * Never: links the real planes.
 * Tested in: itself a test tool.
 */
#include "tests/unit/agent/fake_planes.h"

#include "common/err.h"
#include "proto/wire.h"

struct fake fake;

void fake_reset(struct loop *l)
{
    arena_free(&fake.mem);
    memset(&fake, 0, sizeof fake);
    fake.loop = l;
    fake.auto_ok = true;
}

void fake_free(void)
{
    arena_free(&fake.mem);
    memset(&fake, 0, sizeof fake);
}

/* Through the wire and back, as a copy that lives on. */
static void copy_message(uint16_t type, const void *body, void *dst)
{
    struct buf bytes = BUF_INIT(1024 * 1024);
    struct wire_error err = {0};
    if (wire_encode(type, body, &bytes, &err) < 0) {
        panic("%s does not fit its table: %s %s", msg_name(type), err.field ? err.field : "", err.text);
    }
    sv kept = arena_sv(&fake.mem, buf_view(&bytes));
    buf_free(&bytes);
    if (wire_decode(type, kept, &fake.mem, dst, &err) < 0) {
        panic("%s cannot be decoded: %s", msg_name(type), err.text);
    }
}

void fake_answer(size_t i, int err)
{
    struct fake_call *c = &fake.calls[i];
    store_reply_fn *cb = c->cb;
    struct msg_done done = {0};
    struct msg_status status = {.code = err, .text = SV("as the test wants")};
    struct msg_sent sent = {.delivery_id = SV("d1"), .channel = SV("irc"), .account = SV("default"), .chat_id = SV("ann")};
    c->cb = NULL;
    if (cb && err == OK && c->type == MSG_SEND) {
        cb(c->ctx, err, MSG_SENT, &sent);
    } else if (cb) {
        cb(c->ctx, err, err < 0 ? MSG_STATUS : MSG_DONE, err < 0 ? (void *)&status : (void *)&done);
    }
}

static void answer_all(void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < fake.calls_n; i++) {
        if (fake.calls[i].cb && fake.auto_ok) {
            fake_answer(i, OK);
        }
    }
}

void store_call(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms, store_reply_fn *cb, void *ctx)
{
    (void)p;
    ASSERT(fake.calls_n < FAKE_CALLS_MAX);
    ASSERT(within_ms > 0);
    struct fake_call *c = &fake.calls[fake.calls_n++];
    c->type = type;
    c->cb = cb;
    c->ctx = ctx;
    void *dst = type == MSG_STEP     ? (void *)&c->step
                : type == MSG_FINISH ? (void *)&c->finish
                : type == MSG_SEND   ? (void *)&c->send
                                     : (void *)&c->want;
    copy_message(type, body, dst);
    if (fake.auto_ok) {
        loop_defer(fake.loop, answer_all, NULL);
    }
}

void store_forget(struct plane_store *p, void *ctx)
{
    (void)p;
    for (size_t i = 0; i < fake.calls_n; i++) {
        if (fake.calls[i].ctx == ctx) {
            fake.calls[i].cb = NULL;
        }
    }
}

void store_on_push(struct plane_store *p, uint16_t type, store_push_fn *fn, void *ctx)
{
    (void)p;
    if (type == MSG_GRANT) {
        fake.on_grant = fn;
    } else {
        fake.on_abort = fn;
    }
    fake.push_ctx = ctx;
}

void store_on_up(struct plane_store *p, void (*fn)(void *ctx), void *ctx)
{
    (void)p;
    fn(ctx);
}

void bus_publish(struct plane_bus *p, const char *topic, uint16_t type, const void *body)
{
    (void)p;
    if (strcmp(topic, "model") == 0) {
        fake.models_n++;
        copy_message(type, body, &fake.model);
        return;
    }
    ASSERT(strcmp(topic, "run") == 0 && type == MSG_RUN_EVENT && fake.events_n < FAKE_EVENTS_MAX);
    copy_message(type, body, &fake.events[fake.events_n++]);
}

void bus_subscribe(struct plane_bus *p, const char *topic, bus_topic_fn *fn, void *ctx)
{
    (void)p;
    (void)ctx;
    ASSERT(strcmp(topic, "ask") == 0);
    fake.on_ask = fn;
}

void bus_on_up(struct plane_bus *p, void (*fn)(void *ctx), void *ctx)
{
    (void)p;
    fn(ctx);
}

void bus_serve(struct plane_bus *p, uint16_t type, bus_serve_fn *fn, void *ctx)
{
    (void)p;
    (void)ctx;
    if (type == MSG_RUN_TEXT_GET) {
        fake.on_text_get = fn;
    }
}

void bus_reply(struct plane_bus *p, const struct bus_peer *to, uint16_t type, const void *body)
{
    (void)p;
    (void)to;
    fake.answer_type = type;
    if (type == MSG_RUN_TEXT) {
        copy_message(type, body, &fake.answer);
    }
}

void worker_status(struct worker *w, const char *fmt, ...)
{
    (void)w;
    (void)fmt;
}

void worker_drained(struct worker *w)
{
    (void)w;
}

int fake_find(uint16_t type, size_t n)
{
    for (size_t i = 0; i < fake.calls_n; i++) {
        if (fake.calls[i].type == type && n-- == 0) {
            return (int)i;
        }
    }
    return -1;
}

size_t fake_count(uint16_t type)
{
    size_t n = 0;
    while (fake_find(type, n) >= 0) {
        n++;
    }
    return n;
}

void fake_text(struct buf *dst)
{
    uint64_t seq = 0;
    sv item = SV_NULL;
    for (size_t i = 0; i < fake.events_n; i++) {
        const struct msg_run_event *e = &fake.events[i];
        ASSERT(seq == 0 || e->seq == seq + 1);
        seq = e->seq;
        if (!sv_eq(e->stream, SV("assistant"))) {
            continue;
        }
        if (dst->n > 0 && !sv_eq(item, e->item_id)) {
            buf_str(dst, "\n\n");
        }
        item = e->item_id;
        ASSERT(e->off == dst->n);
        buf_sv(dst, e->delta);
    }
}

size_t fake_events(const char *stream, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < fake.events_n; i++) {
        const struct msg_run_event *e = &fake.events[i];
        n += sv_eqc(e->stream, stream) && (!part || sv_find(e->data, sv_of(part)) >= 0) ? 1 : 0;
    }
    return n;
}
