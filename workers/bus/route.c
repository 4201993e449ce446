/*
 * route.c: one message in, one or more out: calls by worker name, topics to their subscribers.
 * Runs in: bus.     Owns: the router socket, the registry of peers, the subscriptions.
 * Never: blocks, queues or repeats; reads the body of a message that is not addressed to the bus itself;
 *        lets a worker speak under another name.
 * Tested in: tests/unit/bus/test_route.c
 */
#include "workers/bus/bus.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/evzmq.h"
#include "common/log.h"
#include "proto/envelope.h"
#include "proto/wire.h"
#include "workers/runtime/context.h"

struct route {
    struct evzmq *sock;
    struct peers *peers;
    struct topics *topics;
    struct buf header, body;
    struct arena arena;
    uint64_t messages, drops;
};

static void count_drop(struct route *r)
{
    r->drops++;
    counter_add(C_bus_dropped, 1);
}

/* Answers `to` (the sender of *asked) in the name of the bus. */
static void answer(struct route *r, sv to, const struct envelope *asked, uint16_t type, const void *body)
{
    struct envelope e = {.type = type, .flags = ENV_REPLY, .rid = asked->rid, .dst = asked->src};
    buf_reset(&r->header);
    buf_reset(&r->body);
    struct wire_error why;
    if (!envelope_encode(&e, &r->header) || wire_encode(type, body, &r->body, &why) != OK) {
        return;
    }
    if (evzmq_send(r->sock, to, buf_view(&r->header), buf_view(&r->body)) != OK) {
        count_drop(r);
    }
}

static void refuse(struct route *r, sv to, const struct envelope *asked, int code, sv text)
{
    if (asked->flags & ENV_REQUEST) {
        answer(r, to, asked, MSG_STATUS, &(struct msg_status){.code = code, .text = text});
    }
}

/* ---- to a worker ----------------------------------------------------------------------------------- */

static void to_worker(struct route *r, const struct envelope *e, const struct evzmq_msg *m)
{
    sv to = peers_routing(r->peers, e->dst);
    int rc = sv_empty(to) ? ERR_GONE : evzmq_send(r->sock, to, m->header, m->body);
    if (rc == OK) {
        return;
    }
    count_drop(r);
    if (rc == ERR_BUSY) {
        refuse(r, m->peer, e, ERR_BUSY, SV("that worker does not keep up"));
    } else {
        refuse(r, m->peer, e, ERR_GONE, SV("no such worker now"));
    }
}

/* ---- to a topic ------------------------------------------------------------------------------------ */

static void deliver(struct route *r, struct subscriber *s, const struct envelope *e, const struct evzmq_msg *m)
{
    sv header = m->header;
    if (s->gap && (e->flags & ENV_GAP) == 0) {
        struct envelope marked = *e;
        marked.flags |= ENV_GAP;
        buf_reset(&r->header);
        header = envelope_encode(&marked, &r->header) ? buf_view(&r->header) : header;
    }
    sv to = peers_routing(r->peers, sv_of(s->name));
    s->gap = sv_empty(to) || evzmq_send(r->sock, to, header, m->body) != OK;
    if (s->gap) {
        count_drop(r);
    }
}

static void to_topic(struct route *r, const struct envelope *e, const struct evzmq_msg *m)
{
    struct list *subscribers = topics_of(r->topics, e->dst);
    if (!subscribers) {
        return;
    }
    LIST_EACH(l, subscribers) {
        deliver(r, CONTAINER_OF(l, struct subscriber, link), e, m);
    }
}

/* ---- to the bus itself ----------------------------------------------------------------------------- */

static void subscribe(struct route *r, const struct envelope *e, const struct evzmq_msg *m)
{
    struct msg_subscribe s = {0};
    struct wire_error why;
    int rc = wire_decode(MSG_SUBSCRIBE, m->body, &r->arena, &s, &why);
    if (rc != OK) {
        refuse(r, m->peer, e, ERR_BAD, sv_of(why.text));
        return;
    }
    if (s.off) {
        topics_del(r->topics, s.topic, e->src);
    } else {
        rc = topics_add(r->topics, s.topic, e->src);
    }
    if (rc != OK) {
        refuse(r, m->peer, e, rc, rc == ERR_FULL ? SV("too many topics") : SV("bad topic"));
        return;
    }
    answer(r, m->peer, e, MSG_DONE, &(struct msg_done){0});
}

static void to_bus(struct route *r, const struct envelope *e, const struct evzmq_msg *m)
{
    struct msg_done done = peers_done(r->peers);
    switch (e->type) {
    case MSG_HELLO:
        answer(r, m->peer, e, MSG_DONE, &done);
        break;
    case MSG_SUBSCRIBE:
        subscribe(r, e, m);
        break;
    default:
        refuse(r, m->peer, e, ERR_BAD, SV("the bus takes HELLO and SUBSCRIBE"));
        break;
    }
}

static void on_message(void *ctx, const struct evzmq_msg *m)
{
    struct route *r = ctx;
    const char *name = peers_check(r->peers, m->peer, m->pid);
    if (!name) {
        return;
    }
    struct envelope e;
    if (envelope_decode(m->header, &e) != OK || !sv_eqc(e.src, name)) {
        log_warn("dropping a message of %s: its header is malformed or bears another name", name);
        return;
    }
    const struct msg_desc *d = msg_desc(e.type);
    if (d) {
        context_message(d, NULL, e.trace);
    }
    r->messages++;
    counter_add(C_bus_messages, 1);
    counter_add(C_bus_bytes, m->header.n + m->body.n);
    if (e.flags & ENV_TOPIC) {
        to_topic(r, &e, m);
    } else if (sv_empty(e.dst)) {
        to_bus(r, &e, m);
    } else {
        to_worker(r, &e, m);
    }
    log_context_end();
    arena_reset(&r->arena);
}

/* ---- life ------------------------------------------------------------------------------------------ */

int route_new(struct loop *l, const char *endpoint, struct route **out)
{
    struct route *r = xcalloc(1, sizeof *r);
    r->header = BUF_INIT(ENVELOPE_MAX);
    r->body = BUF_INIT(BUF_MAX_DEFAULT);
    r->arena = ARENA_INIT;
    int rc = evzmq_router(l, endpoint, on_message, r, &r->sock);
    if (rc != OK) {
        xfree(r);
        return rc;
    }
    r->peers = peers_new();
    r->topics = topics_new();
    peers_greet(r->peers, l, r->sock);
    *out = r;
    return OK;
}

void route_free(struct route *r)
{
    if (!r) {
        return;
    }
    peers_free(r->peers);
    topics_free(r->topics);
    evzmq_free(r->sock);
    buf_free(&r->header);
    buf_free(&r->body);
    arena_free(&r->arena);
    xfree(r);
}

void route_peer(struct route *r, bool up, const char *name, uint64_t inc, int32_t pid)
{
    if (up) {
        if (peers_inc(r->peers, sv_of(name)) != inc) {
            topics_forget(r->topics, sv_of(name)); /* a new process subscribes anew */
        }
        peers_up(r->peers, name, inc, pid);
    } else if (peers_gone(r->peers, name, inc)) {
        topics_forget(r->topics, sv_of(name));
    }
    counter_set(C_bus_peers, peers_count(r->peers));
}

size_t route_peers(const struct route *r)
{
    return peers_count(r->peers);
}

uint64_t route_messages(const struct route *r)
{
    return r->messages;
}

uint64_t route_drops(const struct route *r)
{
    return r->drops;
}
