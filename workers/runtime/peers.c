/*
 * peers.c: who may speak to a hub.
 * Runs in: store and bus.     Owns: its rows (name, incarnation, pid) and the boot number of this hub process.
 * Never: believes what a message says about its sender; answers a stranger.
 * Tested in: tests/unit/runtime/test_peers.c
 */
#include "workers/runtime/peers.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log.h"
#include "common/map.h"
#include "proto/envelope.h"
#include "proto/wire.h"

enum {
    STRANGERS_MAX = 256,  /* remembered, so that each is logged once; then the list starts anew */
    GREET_MS = 20,        /* first tries; a peer's socket reconnects within 20 to 500 ms */
    GREET_SLOW_MS = 1000, /* after the first 3 s */
    GREET_TRIES = 180,    /* then its own HELLO is left to find us */
    GREET_FAST_TRIES = 150,
};

struct peer {
    char name[128];
    char routing[152]; /* name#inc */
    uint64_t inc;
    int32_t pid;
    unsigned tries; /* greetings tried; greeted: GREET_TRIES */
};

struct peers {
    struct map by_name, by_routing; /* both to struct peer */
    struct map strangers;           /* routing id -> any pointer */
    uint64_t boot;
    struct loop_timer timer;
    struct evzmq *router; /* NULL: no greetings */
};

struct peers *peers_new(void)
{
    struct peers *p = xcalloc(1, sizeof *p);
    do {
        id_random(&p->boot, sizeof p->boot);
    } while (p->boot == 0);
    return p;
}

void peers_free(struct peers *p)
{
    if (!p) {
        return;
    }
    if (p->router) {
        loop_timer_stop(&p->timer);
    }
    sv key;
    void *v;
    for (size_t it = 0; map_next(&p->by_name, &it, &key, &v);) {
        xfree(v);
    }
    map_free(&p->by_name);
    map_free(&p->by_routing);
    map_free(&p->strangers);
    xfree(p);
}

static void forget(struct peers *p, struct peer *e)
{
    (void)map_del(&p->by_name, sv_of(e->name));
    (void)map_del(&p->by_routing, sv_of(e->routing));
    xfree(e);
}

void peers_up(struct peers *p, const char *name, uint64_t inc, int32_t pid)
{
    struct peer *old = map_get(&p->by_name, sv_of(name));
    if (old && old->inc > inc) {
        return; /* out of order: the newer one stays */
    }
    if (old) {
        forget(p, old);
    } else if (map_count(&p->by_name) >= PEERS_MAX) {
        log_error("%s may not connect: %d peers are registered", name, PEERS_MAX);
        return;
    }
    struct peer *e = xcalloc(1, sizeof *e);
    if (!sv_copy(e->name, sizeof e->name, sv_of(name))) {
        xfree(e);
        return;
    }
    (void)snprintf(e->routing, sizeof e->routing, "%s#%" PRIu64, name, inc);
    e->inc = inc;
    e->pid = pid;
    (void)map_put(&p->by_name, sv_of(e->name), e);
    (void)map_put(&p->by_routing, sv_of(e->routing), e);
    if (p->router) {
        loop_timer_start(&p->timer, 0);
    }
}

bool peers_gone(struct peers *p, const char *name, uint64_t inc)
{
    struct peer *e = map_get(&p->by_name, sv_of(name));
    if (!e || e->inc > inc) {
        return false;
    }
    forget(p, e);
    return true;
}

/* ---- greeting -------------------------------------------------------------------------------------- */

/* Pushes DONE with our boot number. A peer that cannot be reached yet is tried again by the timer. */
static void greet_one(struct peers *p, struct peer *e)
{
    ATTR_CLEANUP(buf_free) struct buf header = BUF_INIT(ENVELOPE_MAX);
    ATTR_CLEANUP(buf_free) struct buf body = BUF_INIT(ENVELOPE_MAX);
    struct msg_done done = peers_done(p);
    struct envelope env = {.type = MSG_DONE, .flags = ENV_PUSH};
    int rc = OK;
    if (envelope_encode(&env, &header) && wire_encode(MSG_DONE, &done, &body, NULL) == OK) {
        rc = evzmq_send(p->router, sv_of(e->routing), buf_view(&header), buf_view(&body));
    }
    e->tries = rc == ERR_GONE ? e->tries + 1 : GREET_TRIES;
}

static void greet_all(void *ctx)
{
    struct peers *p = ctx;
    unsigned fewest = GREET_TRIES;
    sv key;
    void *v;
    for (size_t it = 0; map_next(&p->by_name, &it, &key, &v);) {
        struct peer *e = v;
        if (e->tries < GREET_TRIES) {
            greet_one(p, e);
            fewest = e->tries < fewest ? e->tries : fewest;
        }
    }
    if (fewest < GREET_TRIES) {
        loop_timer_start(&p->timer, fewest < GREET_FAST_TRIES ? GREET_MS : GREET_SLOW_MS);
    }
}

void peers_greet(struct peers *p, struct loop *l, struct evzmq *router)
{
    p->router = router;
    loop_timer_init(&p->timer, l, greet_all, p);
    loop_timer_start(&p->timer, 0);
}

struct msg_done peers_done(const struct peers *p)
{
    return (struct msg_done){.boot = p->boot};
}

/* ---- checking -------------------------------------------------------------------------------------- */

static void log_stranger(struct peers *p, sv routing_id, int32_t pid)
{
    if (map_get(&p->strangers, routing_id)) {
        return;
    }
    if (map_count(&p->strangers) >= STRANGERS_MAX) {
        map_free(&p->strangers);
        p->strangers = MAP_INIT;
    }
    (void)map_put(&p->strangers, routing_id, p);
    /* A worker that is faster than its announcement is one for some milliseconds, too: no warning. */
    log_info("dropping messages of %.*s (pid %" PRId32 "): not registered", SV_ARG(routing_id), pid);
}

const char *peers_check(struct peers *p, sv routing_id, int32_t pid)
{
    struct peer *e = map_get(&p->by_routing, routing_id);
    if (e && e->pid == pid) {
        if (p->router && e->tries < GREET_TRIES) {
            /* It speaks to a hub that it believes to know. Tell it before the message is handled, so that what
             * it has to repeat (WATCH, WANT, SUBSCRIBE) arrives as early as can be. */
            greet_one(p, e);
        }
        return e->name;
    }
    log_stranger(p, sv_sub(routing_id, 0, 255), pid);
    return NULL;
}

sv peers_routing(const struct peers *p, sv name)
{
    const struct peer *e = map_get(&p->by_name, name);
    return e ? sv_of(e->routing) : SV_NULL;
}

uint64_t peers_inc(const struct peers *p, sv name)
{
    const struct peer *e = map_get(&p->by_name, name);
    return e ? e->inc : 0;
}

size_t peers_count(const struct peers *p)
{
    return map_count(&p->by_name);
}
