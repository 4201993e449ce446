/*
 * plane_store.c: reliable requests to the store.
 * Runs in: every worker but store and bus, and the command line.     Owns: requests under way.
 * Never: blocks; calls back after plane_store_free.
 * Tested in: tests/unit/runtime/test_plane_store.c
 *
 * A request is kept as bytes and sent again, with the same rid, until its answer or its deadline. When the store
 * was restarted (link.h) everything under way is sent again at once, after the owners were told through
 * store_on_up. While the store is silent only HELLO is repeated: what was sent waits in its socket already.
 */
#include "workers/runtime/plane_store.h"

#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log.h"
#include "common/map.h"
#include "proto/wire.h"
#include "workers/runtime/context.h"
#include "workers/runtime/link.h"

enum {
    MAX_CALLS = 1024,
    SLOTS = 2048,        /* rid % SLOTS is free for a new request: rids that would collide are skipped */
    MAX_PUSH_TYPES = 16,
    MAX_UP = 8,
    LINGER_MS = 2000,    /* architecture.md 3.2 */
    RESEND_MS = 1000,    /* architecture.md 3.5, +- a tenth */
    FULL_MS = 20,        /* our socket's queue was full */
    BUSY_MS = 100,       /* the store said BUSY without a time */
};
#define MAX_BYTES ((size_t)64 * 1024 * 1024) /* of all requests under way */

struct request {
    struct list link; /* in waiting, or in failed */
    uint64_t rid;
    uint16_t type;
    int err;           /* in failed: what to tell; body is then the text */
    bool tell_busy;    /* store_try */
    const char *field; /* in failed: the field that broke its limits, or NULL */
    int64_t next_ms, deadline_ms; /* monotonic */
    int64_t real_deadline_ms;
    store_reply_fn *cb;
    void *ctx;
    struct trace trace;
    size_t n;
    char body[];
};

struct plane_store {
    struct link *link;
    struct list waiting; /* sent or to be sent */
    struct list failed;  /* to be told by fail_timer */
    struct request *slots[SLOTS];
    size_t calls, bytes;
    uint64_t last_rid;
    struct loop_timer timer, fail_timer;
    int64_t armed_ms; /* when timer fires, 0: not armed */
    struct {
        uint16_t type;
        store_push_fn *fn;
        void *ctx;
    } push[MAX_PUSH_TYPES];
    size_t push_n;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
        bool due; /* registered after the first contact */
    } up[MAX_UP];
    size_t up_n;
    bool met;
    struct buf body;
    struct arena arena;
};

static int64_t around(int64_t ms)
{
    uint16_t r;
    id_random(&r, sizeof r);
    return ms * (900 + r % 200) / 1000;
}

static void arm(struct plane_store *p, int64_t at_ms, int64_t now)
{
    if (p->armed_ms == 0 || at_ms < p->armed_ms) {
        p->armed_ms = at_ms;
        loop_timer_start(&p->timer, at_ms > now ? at_ms - now : 0);
    }
}

static void unhook(struct plane_store *p, struct request *r)
{
    list_del(&r->link);
    p->calls--;
    p->bytes -= r->n;
    if (r->rid != 0) {
        p->slots[r->rid % SLOTS] = NULL;
    }
}

static struct request *of_link(struct list *l)
{
    return CONTAINER_OF(l, struct request, link);
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void send_request(struct plane_store *p, struct request *r, int64_t now)
{
    struct envelope e = {.type = r->type,
                         .flags = ENV_REQUEST,
                         .rid = r->rid,
                         .deadline_ms = r->real_deadline_ms,
                         .trace = trace_view(&r->trace)};
    int rc = link_send(p->link, &e, sv_mem(r->body, r->n));
    r->next_ms = now + (rc == OK ? around(RESEND_MS) : FULL_MS);
}

static void tell_failed(void *ctx)
{
    struct plane_store *p = ctx;
    for (size_t i = 0; i < p->up_n; i++) {
        if (p->up[i].due) {
            p->up[i].due = false;
            p->up[i].fn(p->up[i].ctx);
        }
    }
    while (!list_empty(&p->failed)) {
        struct request *r = of_link(p->failed.next);
        struct msg_status st = {.code = r->err, .field = sv_of(r->field), .text = sv_mem(r->body, r->n)};
        bool told = r->err == ERR_BAD || r->err == ERR_TOOBIG;
        unhook(p, r);
        if (r->cb) {
            r->cb(r->ctx, r->err, told ? MSG_STATUS : 0, told ? &st : NULL);
        }
        xfree(r);
    }
}

static void fail_later(struct plane_store *p, struct request *r, int err)
{
    r->err = err;
    if (r->rid != 0) {
        p->slots[r->rid % SLOTS] = NULL; /* a late answer finds nobody */
        r->rid = 0;
    }
    list_add_tail(&p->failed, &r->link);
    if (!loop_timer_active(&p->fail_timer)) {
        loop_timer_start(&p->fail_timer, 0);
    }
}

static void on_timer(void *ctx)
{
    struct plane_store *p = ctx;
    int64_t now = clock_mono_ms(), next = INT64_MAX;
    bool up = link_is_up(p->link);
    p->armed_ms = 0;
    LIST_EACH(l, &p->waiting) {
        struct request *r = of_link(l);
        if (r->deadline_ms <= now) {
            list_del(&r->link);
            fail_later(p, r, ERR_TIMEOUT);
            continue;
        }
        if (r->next_ms <= now) {
            link_ask(p->link); /* no answer for a second: does it still know us? */
            if (up) {
                send_request(p, r, now);
            } else {
                r->next_ms = now + RESEND_MS;
            }
        }
        int64_t at = r->next_ms < r->deadline_ms ? r->next_ms : r->deadline_ms;
        next = at < next ? at : next;
    }
    if (next != INT64_MAX) {
        arm(p, next, now);
    }
}

static void on_up(void *ctx, bool restarted)
{
    struct plane_store *p = ctx;
    uint64_t before = p->last_rid;
    p->met = true;
    if (restarted) {
        log_info("the store was restarted, requests under way: %zu", p->calls);
    }
    for (size_t i = 0; i < p->up_n; i++) {
        p->up[i].due = false;
        p->up[i].fn(p->up[i].ctx);
    }
    int64_t now = clock_mono_ms();
    LIST_EACH(l, &p->waiting) {
        struct request *r = of_link(l);
        if (r->rid > before) {
            continue; /* made by the owners just now */
        }
        send_request(p, r, now);
        arm(p, r->next_ms < r->deadline_ms ? r->next_ms : r->deadline_ms, now);
    }
}

/* ---- receiving ------------------------------------------------------------------------------------- */

/* BUSY with time left: wait as long as the store wishes, then try again. */
static bool retry_busy(struct plane_store *p, struct request *r, const struct msg_status *st)
{
    if (st->code != ERR_BUSY || r->tell_busy) {
        return false;
    }
    int64_t now = clock_mono_ms();
    int64_t wait = st->retry_ms == 0 ? BUSY_MS : st->retry_ms < INT32_MAX ? (int64_t)st->retry_ms : INT32_MAX;
    if (now + wait >= r->deadline_ms) {
        return false;
    }
    r->next_ms = now + wait + around(BUSY_MS) / 4;
    arm(p, r->next_ms, now);
    return true;
}

static void on_reply(struct plane_store *p, const struct envelope *e, sv bytes)
{
    struct request *r = p->slots[e->rid % SLOTS];
    if (!r || r->rid != e->rid) {
        return; /* answered already, or forgotten */
    }
    const struct msg_desc *d = msg_desc(e->type);
    struct wire_error why;
    int err = d ? OK : ERR_INTERNAL;
    void *body = NULL;
    if (d) {
        body = arena_alloc(&p->arena, d->size);
        err = wire_decode(e->type, bytes, &p->arena, body, &why);
    }
    if (err != OK) {
        log_error("the store's answer to %s cannot be read: %s", msg_name(r->type),
                  d ? why.text : "unknown message type");
        err = ERR_INTERNAL;
        body = NULL;
    } else if (e->type == MSG_STATUS) {
        const struct msg_status *st = body;
        if (retry_busy(p, r, st)) {
            arena_reset(&p->arena);
            return;
        }
        err = st->code < 0 && st->code > INT16_MIN ? (int)st->code : ERR_INTERNAL;
    }
    unhook(p, r);
    if (r->cb) {
        if (d) {
            context_message(d, body, trace_view(&r->trace));
        }
        r->cb(r->ctx, err, body ? e->type : 0, body);
    }
    xfree(r);
    arena_reset(&p->arena);
}

static void on_push(struct plane_store *p, const struct envelope *e, sv bytes)
{
    const struct msg_desc *d = msg_desc(e->type);
    for (size_t i = 0; d && i < p->push_n; i++) {
        if (p->push[i].type != e->type) {
            continue;
        }
        struct wire_error why;
        void *body = arena_alloc(&p->arena, d->size);
        if (wire_decode(e->type, bytes, &p->arena, body, &why) == OK) {
            context_message(d, body, e->trace);
            p->push[i].fn(p->push[i].ctx, e->type, body);
        } else {
            log_error("the store pushed a %s that cannot be read: %s", d->name, why.text);
        }
        arena_reset(&p->arena);
        return;
    }
    log_debug("no handler for pushed %s", msg_name(e->type));
}

static void on_message(void *ctx, const struct envelope *e, sv body)
{
    struct plane_store *p = ctx;
    if (e->flags & ENV_REPLY) {
        on_reply(p, e, body);
    } else if (e->flags & ENV_PUSH) {
        on_push(p, e, body);
    }
    log_context_end();
}

/* ---- the interface --------------------------------------------------------------------------------- */

struct plane_store *plane_store_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc)
{
    static const struct link_ops ops = {on_up, on_message};
    struct plane_store *p = xcalloc(1, sizeof *p);
    list_init(&p->waiting);
    list_init(&p->failed);
    p->body = BUF_INIT(BUF_MAX_DEFAULT - ENVELOPE_MAX);
    p->arena = ARENA_INIT;
    loop_timer_init(&p->timer, l, on_timer, p);
    loop_timer_init(&p->fail_timer, l, tell_failed, p);
    p->link = link_new(l, endpoint, name, inc, LINGER_MS, &ops, p);
    return p;
}

void plane_store_free(struct plane_store *p)
{
    if (!p) {
        return;
    }
    loop_timer_stop(&p->timer);
    loop_timer_stop(&p->fail_timer);
    link_free(p->link);
    LIST_EACH(l, &p->waiting) {
        xfree(of_link(l));
    }
    LIST_EACH(l, &p->failed) {
        xfree(of_link(l));
    }
    buf_free(&p->body);
    arena_free(&p->arena);
    xfree(p);
}

static uint64_t new_rid(struct plane_store *p)
{
    do {
        p->last_rid++;
    } while (p->last_rid == 0 || p->slots[p->last_rid % SLOTS] != NULL);
    return p->last_rid;
}

static struct request *request(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms,
                               store_reply_fn *cb, void *ctx)
{
    struct wire_error why = {0};
    buf_reset(&p->body);
    int err = wire_encode(type, body, &p->body, &why);
    if (err != OK) {
        buf_reset(&p->body);
        (void)buf_str(&p->body, why.text);
    } else if (p->calls >= MAX_CALLS || p->bytes + p->body.n > MAX_BYTES) {
        err = ERR_BUSY;
        buf_reset(&p->body);
    }
    struct request *r = xcalloc(1, sizeof *r + p->body.n);
    r->type = type;
    r->cb = cb;
    r->ctx = ctx;
    r->field = why.field;
    r->trace = context_trace();
    if (!r->trace.is) {
        r->trace = trace_new(); /* here something begins */
    }
    r->n = p->body.n;
    if (r->n > 0) {
        memcpy(r->body, p->body.p, r->n);
    }
    p->calls++;
    p->bytes += r->n;
    if (err != OK) {
        fail_later(p, r, err);
        return r;
    }
    int64_t now = clock_mono_ms();
    r->rid = new_rid(p);
    r->deadline_ms = now + within_ms;
    r->real_deadline_ms = clock_real_ms() + within_ms;
    p->slots[r->rid % SLOTS] = r;
    list_add_tail(&p->waiting, &r->link);
    if (p->met) {
        send_request(p, r, now);
    } else {
        r->next_ms = now + RESEND_MS; /* on_up sends it: a store that does not know us drops it */
    }
    arm(p, r->next_ms < r->deadline_ms ? r->next_ms : r->deadline_ms, now);
    return r;
}

void store_call(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms, store_reply_fn *cb, void *ctx)
{
    (void)request(p, type, body, within_ms, cb, ctx);
}

void store_try(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms, store_reply_fn *cb, void *ctx)
{
    request(p, type, body, within_ms, cb, ctx)->tell_busy = true;
}

void store_forget(struct plane_store *p, void *ctx)
{
    LIST_EACH(l, &p->waiting) {
        struct request *r = of_link(l);
        if (r->ctx == ctx) {
            unhook(p, r);
            xfree(r);
        }
    }
    LIST_EACH(f, &p->failed) {
        struct request *r = of_link(f);
        if (r->ctx == ctx) {
            unhook(p, r);
            xfree(r);
        }
    }
}

void store_on_push(struct plane_store *p, uint16_t type, store_push_fn *fn, void *ctx)
{
    size_t i = 0;
    while (i < p->push_n && p->push[i].type != type) {
        i++;
    }
    ASSERT(i < MAX_PUSH_TYPES);
    p->push[i].type = type;
    p->push[i].fn = fn;
    p->push[i].ctx = ctx;
    p->push_n = i == p->push_n ? p->push_n + 1 : p->push_n;
}

void store_on_up(struct plane_store *p, void (*fn)(void *ctx), void *ctx)
{
    ASSERT(p->up_n < MAX_UP);
    p->up[p->up_n].fn = fn;
    p->up[p->up_n].ctx = ctx;
    p->up[p->up_n].due = p->met;
    p->up_n++;
    if (p->met) {
        loop_timer_start(&p->fail_timer, 0);
    }
}

bool store_is_up(const struct plane_store *p)
{
    return link_is_up(p->link);
}

void store_ask(struct plane_store *p)
{
    link_ask(p->link);
}
