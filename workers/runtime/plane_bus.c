/*
 * plane_bus.c: lossy messages and live calls through the bus.
 * Runs in: every worker but store and bus, and the command line.     Owns: calls under way, subscriptions.
 * Never: blocks; retries (who cannot lose it uses the store).
 * Tested in: tests/unit/runtime/test_plane_bus.c
 *
 * What may be lost is never lost silently: the bus marks the next message of a topic when it had to drop one, we
 * mark the next one that we publish when our own queue was full, and after a restart of the bus the first message
 * of every topic counts as one with a gap before it.
 */
#include "workers/runtime/plane_bus.h"

#include "common/arena.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/map.h"
#include "proto/wire.h"
#include "workers/runtime/context.h"
#include "workers/runtime/link.h"

enum {
    MAX_CALLS = 1024,
    SLOTS = 2048, /* as in plane_store.c */
    MAX_TOPICS = 64,
    MAX_SERVED = 32,
};

struct call {
    struct list link; /* in calls, or in failed */
    uint64_t rid;
    int err; /* in failed */
    int64_t deadline_ms;
    bus_reply_fn *cb;
    void *ctx;
};

struct topic {
    char name[128];
    bus_topic_fn *fn; /* NULL: we only publish there */
    void *ctx;
    bool gap;  /* receiving: something was lost before the next message */
    bool lost; /* publishing: we dropped something before the next message */
};

struct plane_bus {
    struct link *link;
    struct list calls, failed;
    struct call *slots[SLOTS];
    size_t calls_n;
    uint64_t last_rid;
    struct loop_timer timer, fail_timer;
    int64_t armed_ms; /* when timer fires, 0: not armed */
    struct topic topics[MAX_TOPICS];
    size_t topics_n;
    struct {
        uint16_t type;
        bus_serve_fn *fn;
        void *ctx;
    } served[MAX_SERVED];
    size_t served_n;
    bool met;
    void (*on_up)(void *ctx);
    void *on_up_ctx;
    struct buf body;
    struct arena arena;
};

static struct call *of_link(struct list *l)
{
    return CONTAINER_OF(l, struct call, link);
}

static void arm(struct plane_bus *p, int64_t at_ms, int64_t now)
{
    if (p->armed_ms == 0 || at_ms < p->armed_ms) {
        p->armed_ms = at_ms;
        loop_timer_start(&p->timer, at_ms > now ? at_ms - now : 0);
    }
}

static struct topic *topic_of(struct plane_bus *p, sv name, bool make)
{
    for (size_t i = 0; i < p->topics_n; i++) {
        if (sv_eqc(name, p->topics[i].name)) {
            return &p->topics[i];
        }
    }
    if (!make) {
        return NULL;
    }
    ASSERT(p->topics_n < MAX_TOPICS);
    struct topic *t = &p->topics[p->topics_n++];
    ASSERT(sv_copy(t->name, sizeof t->name, name));
    return t;
}

/* Encodes into p->body and sends. Logs what is our own mistake. */
static int send_body(struct plane_bus *p, struct envelope *e, const void *body)
{
    struct wire_error why;
    struct trace trace = context_trace();
    e->trace = trace_view(&trace);
    buf_reset(&p->body);
    int rc = wire_encode(e->type, body, &p->body, &why);
    if (rc != OK) {
        log_error("%s is not sent: %s", msg_name(e->type), why.text);
        return rc;
    }
    return link_send(p->link, e, buf_view(&p->body));
}

/* ---- topics ---------------------------------------------------------------------------------------- */

static void send_subscribe(struct plane_bus *p, const struct topic *t)
{
    struct msg_subscribe s = {.topic = sv_of(t->name)};
    /* rid of no call: the answer is not waited for, on_up repeats it when the bus forgets. */
    struct envelope e = {.type = MSG_SUBSCRIBE, .flags = ENV_REQUEST, .rid = UINT64_MAX};
    if (send_body(p, &e, &s) != OK) {
        log_warn("cannot subscribe to %s: the queue to the bus is full", t->name);
    }
}

void bus_publish(struct plane_bus *p, const char *topic, uint16_t type, const void *body)
{
    struct topic *t = topic_of(p, sv_of(topic), true);
    struct envelope e = {.type = type, .flags = ENV_PUSH | ENV_TOPIC, .dst = sv_of(topic)};
    if (t->lost) {
        e.flags |= ENV_GAP;
    }
    t->lost = send_body(p, &e, body) != OK;
}

void bus_subscribe(struct plane_bus *p, const char *topic, bus_topic_fn *fn, void *ctx)
{
    struct topic *t = topic_of(p, sv_of(topic), true);
    t->fn = fn;
    t->ctx = ctx;
    if (p->met) {
        send_subscribe(p, t);
    }
}

static void on_up(void *ctx, bool restarted)
{
    struct plane_bus *p = ctx;
    p->met = true;
    for (size_t i = 0; i < p->topics_n; i++) {
        if (p->topics[i].fn) {
            p->topics[i].gap = p->topics[i].gap || restarted;
            send_subscribe(p, &p->topics[i]);
        }
    }
    if (p->on_up) {
        p->on_up(p->on_up_ctx);
    }
}

void bus_on_up(struct plane_bus *p, void (*fn)(void *ctx), void *ctx)
{
    p->on_up = fn;
    p->on_up_ctx = ctx;
    if (p->met && fn) {
        fn(ctx);
    }
}

static void *decode(struct plane_bus *p, const struct envelope *e, sv bytes)
{
    const struct msg_desc *d = msg_desc(e->type);
    struct wire_error why;
    if (!d) {
        log_warn("%.*s sent the unknown message type 0x%04x", SV_ARG(e->src), e->type);
        return NULL;
    }
    void *body = arena_alloc(&p->arena, d->size);
    if (wire_decode(e->type, bytes, &p->arena, body, &why) != OK) {
        log_warn("%.*s sent a bad %s: %s", SV_ARG(e->src), d->name, why.text);
        return NULL;
    }
    context_message(d, body, e->trace);
    return body;
}

static void on_topic(struct plane_bus *p, const struct envelope *e, sv bytes)
{
    struct topic *t = topic_of(p, e->dst, false);
    if (!t || !t->fn) {
        return;
    }
    void *body = decode(p, e, bytes);
    if (!body) {
        t->gap = true;
        return;
    }
    bool gap = t->gap || (e->flags & ENV_GAP) != 0;
    t->gap = false;
    if (gap && e->type == MSG_RUN_EVENT) {
        ((struct msg_run_event *)body)->gap = true;
    }
    t->fn(t->ctx, e->type, body, gap);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static void unhook(struct plane_bus *p, struct call *c)
{
    list_del(&c->link);
    p->calls_n--;
    if (c->rid != 0) {
        p->slots[c->rid % SLOTS] = NULL;
    }
}

static void fail_later(struct plane_bus *p, struct call *c, int err)
{
    c->err = err;
    if (c->rid != 0) {
        p->slots[c->rid % SLOTS] = NULL;
        c->rid = 0;
    }
    list_add_tail(&p->failed, &c->link);
    if (!loop_timer_active(&p->fail_timer)) {
        loop_timer_start(&p->fail_timer, 0);
    }
}

static void tell_failed(void *ctx)
{
    struct plane_bus *p = ctx;
    while (!list_empty(&p->failed)) {
        struct call *c = of_link(p->failed.next);
        unhook(p, c);
        c->cb(c->ctx, c->err, 0, NULL);
        xfree(c);
    }
}

static void on_timer(void *ctx)
{
    struct plane_bus *p = ctx;
    int64_t now = clock_mono_ms(), next = INT64_MAX;
    p->armed_ms = 0;
    LIST_EACH(l, &p->calls) {
        struct call *c = of_link(l);
        if (c->deadline_ms <= now) {
            list_del(&c->link);
            fail_later(p, c, ERR_TIMEOUT);
            link_ask(p->link);
        } else if (c->deadline_ms < next) {
            next = c->deadline_ms;
        }
    }
    if (next != INT64_MAX) {
        arm(p, next, now);
    }
}

void bus_call(struct plane_bus *p, const char *dst, uint16_t type, const void *body, int64_t within_ms,
              bus_reply_fn *cb, void *ctx)
{
    struct call *c = xcalloc(1, sizeof *c);
    c->cb = cb;
    c->ctx = ctx;
    if (p->calls_n++ >= MAX_CALLS) {
        fail_later(p, c, ERR_BUSY);
        return;
    }
    do {
        p->last_rid++;
    } while (p->last_rid == 0 || p->slots[p->last_rid % SLOTS] != NULL);
    struct envelope e = {.type = type,
                         .flags = ENV_REQUEST,
                         .rid = p->last_rid,
                         .dst = sv_of(dst),
                         .deadline_ms = clock_real_ms() + within_ms};
    int rc = send_body(p, &e, body);
    if (rc != OK) {
        fail_later(p, c, rc);
        return;
    }
    int64_t now = clock_mono_ms();
    c->rid = p->last_rid;
    c->deadline_ms = now + within_ms;
    p->slots[c->rid % SLOTS] = c;
    list_add_tail(&p->calls, &c->link);
    arm(p, c->deadline_ms, now);
}

void bus_forget(struct plane_bus *p, void *ctx)
{
    struct list *both[] = {&p->calls, &p->failed};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        LIST_EACH(l, both[i]) {
            struct call *c = of_link(l);
            if (c->ctx == ctx) {
                unhook(p, c);
                xfree(c);
            }
        }
    }
}

static void on_reply(struct plane_bus *p, const struct envelope *e, sv bytes)
{
    struct call *c = p->slots[e->rid % SLOTS];
    if (!c || c->rid != e->rid) {
        return; /* too late, or forgotten */
    }
    void *body = decode(p, e, bytes);
    int err = body ? OK : ERR_INTERNAL;
    if (body && e->type == MSG_STATUS) {
        int64_t code = ((const struct msg_status *)body)->code;
        err = code < 0 && code > INT16_MIN ? (int)code : ERR_INTERNAL;
    }
    unhook(p, c);
    c->cb(c->ctx, err, body ? e->type : 0, body);
    xfree(c);
}

/* ---- serving --------------------------------------------------------------------------------------- */

void bus_serve(struct plane_bus *p, uint16_t type, bus_serve_fn *fn, void *ctx)
{
    size_t i = 0;
    while (i < p->served_n && p->served[i].type != type) {
        i++;
    }
    ASSERT(i < MAX_SERVED);
    p->served[i].type = type;
    p->served[i].fn = fn;
    p->served[i].ctx = ctx;
    p->served_n = i == p->served_n ? p->served_n + 1 : p->served_n;
}

void bus_reply(struct plane_bus *p, const struct bus_peer *to, uint16_t type, const void *body)
{
    struct envelope e = {.type = type, .flags = ENV_REPLY, .rid = to->rid, .dst = sv_of(to->name)};
    (void)send_body(p, &e, body); /* lost: the caller has a deadline */
}

static void on_request(struct plane_bus *p, const struct envelope *e, sv bytes)
{
    struct bus_peer from = {.rid = e->rid};
    if (!sv_copy(from.name, sizeof from.name, e->src)) {
        return;
    }
    for (size_t i = 0; i < p->served_n; i++) {
        if (p->served[i].type != e->type) {
            continue;
        }
        void *body = decode(p, e, bytes);
        if (body) {
            p->served[i].fn(p->served[i].ctx, &from, e->type, body);
        } else {
            bus_reply(p, &from, MSG_STATUS, &(struct msg_status){.code = ERR_BAD});
        }
        return;
    }
    bus_reply(p, &from, MSG_STATUS,
              &(struct msg_status){.code = ERR_BAD, .text = SV("this worker does not serve such calls")});
}

static void on_message(void *ctx, const struct envelope *e, sv body)
{
    struct plane_bus *p = ctx;
    if (e->flags & ENV_TOPIC) {
        on_topic(p, e, body);
    } else if (e->flags & ENV_REPLY) {
        on_reply(p, e, body);
    } else if (e->flags & ENV_REQUEST) {
        on_request(p, e, body);
    }
    log_context_end();
    arena_reset(&p->arena);
}

/* ---- life ------------------------------------------------------------------------------------------ */

struct plane_bus *plane_bus_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc)
{
    static const struct link_ops ops = {on_up, on_message};
    struct plane_bus *p = xcalloc(1, sizeof *p);
    list_init(&p->calls);
    list_init(&p->failed);
    p->body = BUF_INIT(BUF_MAX_DEFAULT - ENVELOPE_MAX);
    p->arena = ARENA_INIT;
    loop_timer_init(&p->timer, l, on_timer, p);
    loop_timer_init(&p->fail_timer, l, tell_failed, p);
    p->link = link_new(l, endpoint, name, inc, 0, &ops, p);
    return p;
}

void plane_bus_free(struct plane_bus *p)
{
    if (!p) {
        return;
    }
    loop_timer_stop(&p->timer);
    loop_timer_stop(&p->fail_timer);
    link_free(p->link);
    LIST_EACH(l, &p->calls) {
        xfree(of_link(l));
    }
    LIST_EACH(f, &p->failed) {
        xfree(of_link(f));
    }
    buf_free(&p->body);
    arena_free(&p->arena);
    xfree(p);
}

bool bus_is_up(const struct plane_bus *p)
{
    return link_is_up(p->link);
}

void bus_ask(struct plane_bus *p)
{
    link_ask(p->link);
}
