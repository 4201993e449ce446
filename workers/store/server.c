/*
 * server.c: the store on its socket: frames in, turns, frames out.
 * Runs in: store.     Owns: the router, the registry of peers, requests of the batch, backlog of slow peers.
 * Never: answers a stranger; drops an answer of a peer that is only slow for a moment.
 * Tested in: tests/unit/store/test_server.c
 */
#include "workers/store/server.h"

#include <errno.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/evzmq.h"
#include "common/log.h"
#include "common/map.h"
#include "proto/envelope.h"
#include "workers/runtime/peers.h"

/* architecture.md 4: one turn takes at most this many requests or this long to drain. */
#define BATCH_MAX 256
#define BATCH_US 2000
/* Messages kept for peers whose pipe is full; above that they are dropped (and logged): requests are repeated,
 * and a peer that missed pushes asks again when it comes back. */
#define BACKLOG_MAX 8192
#define BACKLOG_BYTES (64UL * 1024 * 1024)
#define BACKLOG_MS 5
#define BACKLOG_TRIES 6000 /* 30 s without one message getting through */

struct late {
    struct list link;
    char dst[160];
    struct buf header, body;
};

struct server {
    struct loop *loop;
    struct evzmq *router;
    struct peers *peers;
    struct store *store;
    struct arena arena; /* frames of the batch */
    struct store_req reqs[BATCH_MAX];
    size_t reqs_n;
    struct loop_timer timer;   /* store_next_due */
    struct loop_timer retry;   /* backlog */
    struct list backlog;       /* struct late, oldest first */
    size_t backlog_n, backlog_bytes;
    unsigned stuck;
    struct buf header;
    bool turn_planned;
    uint64_t requests;
    void (*on_fatal)(void *ctx, int exit_code, const char *why);
    void *fatal_ctx;
};

/* ---- out ---- */

static void late_free(struct server *v, struct late *e)
{
    list_del(&e->link);
    v->backlog_n--;
    v->backlog_bytes -= e->body.n;
    buf_free(&e->header);
    buf_free(&e->body);
    xfree(e);
}

static void late_add(struct server *v, const char *dst, sv header, sv body)
{
    if (v->backlog_n >= BACKLOG_MAX || v->backlog_bytes + body.n > BACKLOG_BYTES) {
        log_warn("a message to %s is dropped: its pipe and the backlog are full", dst);
        return;
    }
    struct late *e = xcalloc(1, sizeof(*e));
    (void)snprintf(e->dst, sizeof(e->dst), "%s", dst);
    e->header = BUF_INIT(ENVELOPE_MAX);
    e->body = BUF_INIT(EVZMQ_MAX_MSG);
    (void)buf_sv(&e->header, header);
    (void)buf_sv(&e->body, body);
    list_add_tail(&v->backlog, &e->link);
    v->backlog_n++;
    v->backlog_bytes += body.n;
    if (!loop_timer_active(&v->retry)) {
        v->stuck = 0;
        loop_timer_start(&v->retry, BACKLOG_MS);
    }
}

static bool waits_for(const struct server *v, const char *dst)
{
    LIST_EACH(pos, &v->backlog) {
        if (strcmp(CONTAINER_OF(pos, struct late, link)->dst, dst) == 0) {
            return true;
        }
    }
    return false;
}

/* Sends what waits, in order; a peer that is still full blocks only its own messages. */
static void on_retry(void *ctx)
{
    struct server *v = ctx;
    struct map full = MAP_INIT;
    bool moved = false;
    LIST_EACH(pos, &v->backlog) {
        struct late *e = CONTAINER_OF(pos, struct late, link);
        if (map_get(&full, sv_of(e->dst)) != NULL) {
            continue;
        }
        int rc = evzmq_send(v->router, sv_of(e->dst), buf_view(&e->header), buf_view(&e->body));
        if (rc == ERR_BUSY && v->stuck < BACKLOG_TRIES) {
            (void)map_put(&full, sv_of(e->dst), v);
        } else {
            moved = true;
            late_free(v, e);
        }
    }
    map_free(&full);
    v->stuck = moved ? 0 : v->stuck + 1;
    if (!list_empty(&v->backlog)) {
        loop_timer_start(&v->retry, BACKLOG_MS);
    }
}

static void send_out(void *ctx, const struct store_out *m)
{
    struct server *v = ctx;
    struct envelope e = {.type = m->type, .flags = m->flags, .rid = m->rid, .src = SV("store"), .trace = m->trace};
    buf_reset(&v->header);
    if (!envelope_encode(&e, &v->header)) {
        return;
    }
    if (v->backlog_n > 0 && waits_for(v, m->dst)) {
        late_add(v, m->dst, buf_view(&v->header), m->body);
        return;
    }
    int rc = evzmq_send(v->router, sv_of(m->dst), buf_view(&v->header), m->body);
    if (rc == ERR_BUSY) {
        late_add(v, m->dst, buf_view(&v->header), m->body);
    }
    /* ERR_GONE: it is dead or reconnecting; it repeats its request, or says WANT and OUT_WANT anew */
}

/* ---- turns ---- */

static void turn(struct server *v)
{
    store_turn(v->store, v->reqs, v->reqs_n);
    v->requests += v->reqs_n;
    v->reqs_n = 0;
    arena_reset(&v->arena);
    int code = store_exit_code(v->store);
    if (code != 0) {
        if (v->on_fatal != NULL) {
            v->on_fatal(v->fatal_ctx, code, store_degraded(v->store));
        }
        return;
    }
    int64_t due = store_next_due(v->store);
    if (due == 0) {
        loop_timer_stop(&v->timer);
    } else {
        int64_t wait = due - clock_real_ms();
        loop_timer_start(&v->timer, wait < 1 ? 1 : wait > 60000 ? 60000 : wait);
    }
}

static void on_timer(void *ctx)
{
    turn(ctx);
}

static void on_batch(void *ctx)
{
    struct server *v = ctx;
    if (v->reqs_n > 0) {
        turn(v);
    }
}

static void on_message(void *ctx, const struct evzmq_msg *m)
{
    struct server *v = ctx;
    struct envelope e;
    const char *name = peers_check(v->peers, m->peer, m->pid);
    if (name == NULL) {
        return;
    }
    if (envelope_decode(m->header, &e) != OK || !sv_eqc(e.src, name)) {
        log_warn("dropping a message of %s: its header is malformed or bears another name", name);
        return;
    }
    ASSERT(v->reqs_n < BATCH_MAX);
    v->reqs[v->reqs_n++] = (struct store_req){.name = arena_strndup(&v->arena, name, strlen(name)),
                                              .inc = peers_inc(v->peers, sv_of(name)),
                                              .type = e.type,
                                              .rid = e.rid,
                                              .trace = arena_sv(&v->arena, e.trace),
                                              .body = arena_sv(&v->arena, m->body)};
}

static void on_news(void *ctx)
{
    struct server *v = ctx;
    v->turn_planned = false;
    if (store_has_news(v->store)) {
        turn(v);
    }
}

void server_peer(struct server *v, bool up, const char *name, uint64_t inc, int32_t pid)
{
    if (up) {
        peers_up(v->peers, name, inc, pid);
        store_peer_up(v->store, name, inc);
    } else {
        (void)peers_gone(v->peers, name, inc);
        store_peer_gone(v->store, name, inc);
    }
    if (!v->turn_planned) {
        v->turn_planned = true;
        loop_defer(v->loop, on_news, v);
    }
}

static void on_reconfigured(void *ctx)
{
    turn(ctx);
}

void server_reconfigure(struct server *v, const struct store_conf *conf)
{
    store_reconfigure(v->store, conf);
    loop_defer(v->loop, on_reconfigured, v);
}

/* ---- life ---- */

int server_new(struct loop *l, const char *endpoint, const struct store_conf *conf,
               void (*on_fatal)(void *ctx, int exit_code, const char *why), void *ctx, struct server **out, char *text,
               size_t cap)
{
    struct server *v = xcalloc(1, sizeof(*v));
    v->loop = l;
    v->on_fatal = on_fatal;
    v->fatal_ctx = ctx;
    v->arena = ARENA_INIT;
    v->header = BUF_INIT(ENVELOPE_MAX);
    list_init(&v->backlog);
    loop_timer_init(&v->timer, l, on_timer, v);
    loop_timer_init(&v->retry, l, on_retry, v);
    int code = store_new(conf, send_out, v, &v->store, text, cap);
    if (code != 0) {
        xfree(v);
        return code;
    }
    if (evzmq_router(l, endpoint, on_message, v, &v->router) != OK) {
        (void)snprintf(text, cap, "cannot bind %s: %s", endpoint, strerror(errno));
        store_free(v->store);
        xfree(v);
        return EXIT_TEMPFAIL;
    }
    evzmq_set_batch(v->router, BATCH_MAX, BATCH_US, on_batch);
    v->peers = peers_new();
    struct msg_done hello = peers_done(v->peers);
    store_set_hello(v->store, &hello);
    peers_greet(v->peers, l, v->router);
    loop_timer_start(&v->timer, 1);
    *out = v;
    return 0;
}

void server_free(struct server *v)
{
    if (v == NULL) {
        return;
    }
    loop_timer_stop(&v->timer);
    loop_timer_stop(&v->retry);
    LIST_EACH(pos, &v->backlog) {
        late_free(v, CONTAINER_OF(pos, struct late, link));
    }
    peers_free(v->peers);
    evzmq_free(v->router);
    store_free(v->store);
    arena_free(&v->arena);
    buf_free(&v->header);
    xfree(v);
}

struct store *server_store(struct server *v)
{
    return v->store;
}

uint64_t server_requests(const struct server *v)
{
    return v->requests;
}
