/*
 * outbound.c: from a delivery of the store to parts on the platform, and back to receipts.
 * Runs in: channel workers.     Owns: deliveries in progress.
 * Never: lets bytes leave before BEGIN is committed (keyless platforms); sends a part again whose outcome is
 *        unknown; forgets a receipt before the store has it.
 * Tested in: scenarios c1, c2; parts in tests/unit/chan/test_chunk.c, test_bucket.c
 */
#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "workers/chan/chan_int.h"
#include "workers/chan/fmt_plain.h"

#define WITHIN_MS 30000      /* of one request to the store; repeated until it answers */
#define RETRY_MS 1000
#define WANT_EVERY_MS 10000  /* OUT_WANT is repeated, so that a lost push is found */
#define IN_PROGRESS_MAX 128  /* deliveries; the store sends at most the window */
#define TEXT_MAX ((size_t)1024 * 1024)

struct delivery {
    struct list link;
    struct outbound *out;
    struct arena arena;
    struct msg_deliver m;
    sv *parts;
    size_t n, i;
    struct chan_part part; /* what the driver has */
    bool with_driver, begun;
    bool beginning; /* BEGIN is under way: the store may count this part as started */
    struct msg_receipt receipt;
    struct loop_timer timer; /* waits for the bucket, or before a repeat */
};

struct outbound {
    struct chan *c;
    struct list all;
    size_t count;
    struct bucket bucket;
    struct loop_timer want;
    bool asking; /* an OUT_WANT is under way */
    bool again;  /* it is out of date already */
};

static void on_token(void *ctx);
static void on_note_done(void *ctx);
static void send_begin(struct delivery *d);
static void send_receipt(struct delivery *d);

static bool noted(const struct delivery *d) /* the store knows about it */
{
    return !sv_empty(d->m.delivery_id);
}

static bool usable(const struct chan *c)
{
    return c->health == CHAN_UP || c->health == CHAN_DEGRADED;
}

static struct plane_store *store_of(struct outbound *out)
{
    return worker_store(out->c->worker);
}

static void delivery_free(struct delivery *d)
{
    loop_timer_stop(&d->timer);
    store_forget(store_of(d->out), d);
    loop_defer_cancel(chan_loop(d->out->c), on_note_done, d);
    list_del(&d->link);
    d->out->count--;
    arena_free(&d->arena);
    xfree(d);
}

static void finish(struct delivery *d)
{
    struct chan *c = d->out->c;
    delivery_free(d);
    chan_drain_check(c);
}

/* ---- how much we take -------------------------------------------------------------------------------- */

static void on_want(void *ctx, int err, uint16_t type, const void *body)
{
    struct outbound *out = (struct outbound *)ctx;
    UNUSED(type);
    UNUSED(body);
    out->asking = false;
    if (out->again) {
        outbound_want(out);
        return;
    }
    loop_timer_start(&out->want, err == OK ? WANT_EVERY_MS : RETRY_MS);
}

void outbound_want(struct outbound *out)
{
    struct chan *c = out->c;
    if (out->asking) {
        out->again = true;
        return;
    }
    bool take = usable(c) && !c->draining;
    struct msg_out_want m = {
        .channel = sv_of(c->row->name),
        .account = sv_of(c->account),
        .window = take ? c->driver->window : 0,
        .keyless = c->row->keying == KEYLESS,
        .resend = strcmp(conf_str(chan_conf(c), "unknownOutcome", "hold"), "resend") == 0,
    };
    out->asking = true;
    out->again = false;
    loop_timer_stop(&out->want);
    store_call(store_of(out), MSG_OUT_WANT, &m, WITHIN_MS, on_want, out);
}

static void on_want_timer(void *ctx)
{
    outbound_want((struct outbound *)ctx);
}

/* ---- one part ---------------------------------------------------------------------------------------- */

/* The next part waits for its token, or the delivery ends: for good, or here because we are draining. */
static void next_part(struct delivery *d)
{
    if (d->i >= d->n || (d->m.stop > 0 && d->i >= d->m.stop) || d->out->c->draining) {
        finish(d);
        return;
    }
    d->begun = false;
    int64_t wait = bucket_reserve(&d->out->bucket, clock_mono_ms());
    loop_timer_start(&d->timer, wait);
}

static void hand_to_driver(struct delivery *d)
{
    struct chan *c = d->out->c;
    d->part = (struct chan_part){
        .delivery_id = d->m.delivery_id,
        .key = noted(d) ? arena_printf(&d->arena, "%.*s:%zu", SV_ARG(d->m.delivery_id), d->i) : SV_NULL,
        .chat_id = d->m.chat_id,
        .thread_id = d->m.thread_id,
        .reply_to = d->i == 0 ? d->m.reply_to : SV_NULL,
        .run_id = d->m.run_id,
        .text = d->parts[d->i],
        .part = d->i,
        .parts = d->n,
        .attempt = d->m.attempt,
    };
    d->with_driver = true;
    crash_point("chan.before_send");
    c->driver->send_part(c, &d->part);
    crash_point("chan.after_send");
}

static void on_begin(void *ctx, int err, uint16_t type, const void *body)
{
    struct delivery *d = (struct delivery *)ctx;
    UNUSED(type);
    UNUSED(body);
    if (err == OK) {
        d->beginning = false;
        d->begun = true;
        hand_to_driver(d);
    } else if (err_retryable(err) || err == ERR_TIMEOUT) {
        loop_timer_start(&d->timer, RETRY_MS); /* no byte has left: asking again is safe */
    } else {
        log_info("delivery %.*s is not ours any more: %s", SV_ARG(d->m.delivery_id), err_name(err));
        finish(d);
    }
}

static void send_begin(struct delivery *d)
{
    struct msg_begin m = {.delivery_id = d->m.delivery_id, .part = d->i, .parts = d->n};
    d->beginning = true;
    crash_point("chan.before_begin");
    store_call(store_of(d->out), MSG_BEGIN, &m, WITHIN_MS, on_begin, d);
}

/* The token is there, or the time before a repeat is over. */
static void on_token(void *ctx)
{
    struct delivery *d = (struct delivery *)ctx;
    if (d->receipt.parts > 0) {
        send_receipt(d);
        return;
    }
    if (!noted(d) || d->out->c->row->keying == KEYED) {
        hand_to_driver(d);
        return;
    }
    if (!usable(d->out->c) && !d->begun) {
        /* Nothing has left: the store keeps it until we are connected again. */
        d->with_driver = true;
        d->part.parts = d->n;
        chan_receipt(d->out->c, &d->part, SENT_RETRYABLE, SV_NULL, "not connected", 0);
        return;
    }
    send_begin(d);
}

/* ---- receipts ---------------------------------------------------------------------------------------- */

static void on_receipt(void *ctx, int err, uint16_t type, const void *body)
{
    struct delivery *d = (struct delivery *)ctx;
    UNUSED(type);
    UNUSED(body);
    if (err_retryable(err) || err == ERR_TIMEOUT) {
        loop_timer_start(&d->timer, RETRY_MS);
        return;
    }
    if (err != OK) {
        log_warn("the store refused the receipt of delivery %.*s: %s", SV_ARG(d->m.delivery_id), err_name(err));
        finish(d);
        return;
    }
    crash_point("chan.after_receipt");
    bool delivered = sv_eq(d->receipt.outcome, SV("delivered"));
    d->receipt = (struct msg_receipt){.parts = 0};
    if (!delivered) {
        finish(d); /* what follows is the store's decision */
        return;
    }
    d->i++;
    next_part(d);
}

static void send_receipt(struct delivery *d)
{
    store_call(store_of(d->out), MSG_RECEIPT, &d->receipt, WITHIN_MS, on_receipt, d);
}

static void log_outcome(const struct delivery *d, enum chan_outcome outcome, const char *error)
{
    static const char *const words[] = {"delivered", "rejected", "put off", "of unknown outcome"};
    if (outcome == SENT_DELIVERED) {
        log_debug("delivery %.*s part %zu of %zu: delivered", SV_ARG(d->m.delivery_id), d->i + 1, d->n);
    } else {
        log_warn("delivery %.*s part %zu of %zu: %s: %s", SV_ARG(d->m.delivery_id), d->i + 1, d->n,
                 words[outcome], error ? error : "");
    }
}

static void on_note_done(void *ctx)
{
    struct delivery *d = (struct delivery *)ctx;
    d->i++;
    next_part(d);
}

void chan_receipt(struct chan *c, struct chan_part *p, enum chan_outcome outcome, sv platform_id,
                  const char *error, int64_t retry_after_ms)
{
    static const char *const names[] = {"delivered", "rejected", "retryable", "unknown"};
    /* A delivery is only ever freed after its receipt, so the part is part of a live one. */
    struct delivery *d = CONTAINER_OF(p, struct delivery, part);
    ASSERT(d->with_driver);
    d->with_driver = false;
    crash_point("chan.before_receipt");
    counter_add(outcome == SENT_DELIVERED ? C_chan_out : C_chan_failed, 1);
    if (outcome == SENT_DELIVERED) {
        c->last_out_ms = clock_real_ms();
    }
    if (!noted(d)) {
        d->i = outcome == SENT_DELIVERED ? d->i : d->n;
        loop_defer(chan_loop(c), on_note_done, d);
        return;
    }
    log_outcome(d, outcome, error);
    d->receipt = (struct msg_receipt){
        .delivery_id = d->m.delivery_id,
        .part = d->i,
        .parts = d->n,
        .outcome = sv_of(names[outcome]),
        .platform_id = arena_sv(&d->arena, sv_sub(platform_id, 0, 256)),
        .error = arena_sv(&d->arena, sv_sub(sv_of(error), 0, 1024)),
        .retry_after_ms = retry_after_ms > 0 ? (uint64_t)retry_after_ms : 0,
    };
    send_receipt(d);
}

/* ---- deliveries -------------------------------------------------------------------------------------- */

static void split(struct delivery *d)
{
    struct chan *c = d->out->c;
    bool plain = sv_eq(d->m.format, SV("plain"));
    sv text = d->m.text;
    struct buf rendered ATTR_CLEANUP(buf_free) = BUF_INIT(TEXT_MAX);
    if (c->driver->markup == MARKUP_PLAIN && !plain) {
        fmt_plain(&rendered, text);
        text = buf_view(&rendered);
    }
    struct chunk_opts o = {.unit = CHUNK_CODEPOINTS, .fences = c->driver->markup != MARKUP_PLAIN && !plain};
    c->driver->limits(c, d->m.chat_id, &o);
    int64_t wanted = conf_int(chan_conf(c), "textChunkLimit", 0);
    if (wanted > 0 && (o.limit == 0 || (size_t)wanted < o.limit)) {
        o.limit = (size_t)wanted;
    }
    d->n = chunk_split(arena_sv(&d->arena, text), &o, &d->arena, &d->parts);
}

static struct delivery *delivery_new(struct outbound *out, const struct msg_deliver *m)
{
    struct delivery *d = (struct delivery *)xcalloc(1, sizeof *d);
    d->out = out;
    d->arena = ARENA_INIT;
    struct arena *a = &d->arena;
    d->m = (struct msg_deliver){
        .delivery_id = arena_sv(a, m->delivery_id),
        .op = arena_sv(a, m->op),
        .chat_id = arena_sv(a, m->chat_id),
        .thread_id = arena_sv(a, m->thread_id),
        .reply_to = arena_sv(a, m->reply_to),
        .text = arena_sv(a, m->text),
        .format = arena_sv(a, m->format),
        .run_id = arena_sv(a, m->run_id),
        .part = m->part,
        .attempt = m->attempt,
        .stop = m->stop,
    };
    loop_timer_init(&d->timer, chan_loop(out->c), on_token, d);
    list_add_tail(&out->all, &d->link);
    out->count++;
    split(d);
    return d;
}

static bool in_progress(const struct outbound *out, sv id)
{
    LIST_EACH(e, &out->all) {
        const struct delivery *d = CONTAINER_OF(e, struct delivery, link);
        if (sv_eq(d->m.delivery_id, id)) {
            return true;
        }
    }
    return false;
}

/* Settles a delivery that has nothing (left) to send: an empty text, or parts that had all gone out. */
static void settle_empty(struct delivery *d)
{
    if (d->n == 0) {
        d->n = 1;
    }
    d->i = d->n - 1;
    d->receipt = (struct msg_receipt){
        .delivery_id = d->m.delivery_id,
        .part = d->i,
        .parts = d->n,
        .outcome = SV("delivered"),
        .error = SV("there was nothing to send"),
    };
    send_receipt(d);
}

static void on_deliver(void *ctx, uint16_t type, const void *body)
{
    struct outbound *out = (struct outbound *)ctx;
    const struct msg_deliver *m = (const struct msg_deliver *)body;
    UNUSED(type);
    if (in_progress(out, m->delivery_id) || out->count >= IN_PROGRESS_MAX || out->c->draining) {
        return; /* known already, or more than we asked for: the store repeats what is not settled */
    }
    struct delivery *d = delivery_new(out, m);
    if (!sv_eq(m->op, SV("send"))) {
        d->n = d->n ? d->n : 1;
        d->with_driver = true;
        chan_receipt(out->c, &d->part, SENT_REJECTED, SV_NULL, "this channel can only send", 0);
        return;
    }
    d->i = (size_t)m->part;
    if (d->i >= d->n) {
        settle_empty(d);
        return;
    }
    next_part(d);
}

void chan_say(struct chan *c, sv chat_id, sv thread_id, sv text)
{
    if (c->out->count >= IN_PROGRESS_MAX || !usable(c)) {
        return;
    }
    struct msg_deliver m = {
        .op = SV("send"), .chat_id = chat_id, .thread_id = thread_id, .text = text, .format = SV("plain")};
    next_part(delivery_new(c->out, &m));
}

void chan_rate(struct chan *c, int64_t per_minute, int64_t burst)
{
    bucket_init(&c->out->bucket, per_minute, burst, clock_mono_ms());
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static void on_up(void *ctx)
{
    outbound_want((struct outbound *)ctx);
}

struct outbound *outbound_new(struct chan *c)
{
    struct outbound *out = (struct outbound *)xcalloc(1, sizeof *out);
    out->c = c;
    list_init(&out->all);
    bucket_init(&out->bucket, 0, 1, clock_mono_ms());
    loop_timer_init(&out->want, chan_loop(c), on_want_timer, out);
    store_on_push(store_of(out), MSG_DELIVER, on_deliver, out);
    store_on_up(store_of(out), on_up, out);
    return out;
}

void outbound_free(struct outbound *out)
{
    loop_timer_stop(&out->want);
    store_forget(store_of(out), out);
    LIST_EACH(e, &out->all) {
        delivery_free(CONTAINER_OF(e, struct delivery, link));
    }
    xfree(out);
}

void outbound_drain(struct outbound *out)
{
    LIST_EACH(e, &out->all) {
        struct delivery *d = CONTAINER_OF(e, struct delivery, link);
        if (!d->with_driver && !d->beginning && !d->begun && d->receipt.parts == 0) {
            delivery_free(d);
        }
    }
}

bool outbound_idle(const struct outbound *out)
{
    return out->count == 0;
}
