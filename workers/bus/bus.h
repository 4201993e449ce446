/*
 * bus.h: the parts of the bus: routing by name, subscriptions.
 * Runs in: bus.     Owns: nothing durable.
 * Never: included outside this folder and its tests.
 * Tested in: tests/unit/bus/test_route.c, test_topics.c
 */
#ifndef TENAZA_WORKERS_BUS_BUS_H
#define TENAZA_WORKERS_BUS_BUS_H

#include "common/loop.h"
#include "common/map.h"
#include "common/sv.h"
#include "workers/runtime/peers.h"

/* ---- topics.c: who wants which topic ---- */

enum { TOPICS_MAX = 256, TOPICS_PER_PEER_MAX = 64 };

struct subscriber {
    struct list link;
    char name[128];
    bool gap; /* something was dropped for it since its last delivery of this topic */
};

struct topics;

struct topics *topics_new(void);
void topics_free(struct topics *t);
/* Idempotent. ERR_BAD: name of a topic or peer is empty or above 127 bytes; ERR_FULL: a cap is reached. */
int topics_add(struct topics *t, sv topic, sv peer) ATTR_NODISCARD;
void topics_del(struct topics *t, sv topic, sv peer);
/* The peer is gone, or came back as a new process that has to subscribe again. */
void topics_forget(struct topics *t, sv peer);
/* Subscribers in the order in which they came (list of struct subscriber), NULL: none. */
struct list *topics_of(struct topics *t, sv topic);
size_t topics_count(const struct topics *t);

/* ---- route.c: one message in, one or more out ---- */

struct route;

/* Binds the router to `endpoint`. ERR_IO with errno kept. */
int route_new(struct loop *l, const char *endpoint, struct route **out) ATTR_NODISCARD;
void route_free(struct route *r);
/* As worker_ops.peer. */
void route_peer(struct route *r, bool up, const char *name, uint64_t inc, int32_t pid);
size_t route_peers(const struct route *r);
uint64_t route_messages(const struct route *r); /* received and accepted since the start */
uint64_t route_drops(const struct route *r);    /* not delivered: receiver's queue full, or not there */

#endif
