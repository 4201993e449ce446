/*
 * link.h: one DEALER connection to a hub (store or bus): HELLO, noticing a restarted hub, sending envelopes.
 *         The common ground of plane_store.c and plane_bus.c.
 * Runs in: every worker but store and bus, and the command line.     Owns: the socket and the HELLO timer.
 * Never: repeats anything but HELLO; knows message types.
 * Tested in: tests/unit/runtime/test_plane_store.c, test_plane_bus.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_LINK_H
#define TENAZA_WORKERS_RUNTIME_LINK_H

#include "common/loop.h"
#include "proto/envelope.h"
#include "proto/messages.h"

struct link;

struct link_ops {
    /* The hub knows us now; restarted: it is another process than before and has forgotten everything. */
    void (*up)(void *ctx, bool restarted);
    /* Any message but answers to HELLO. Views die with the call. */
    void (*message)(void *ctx, const struct envelope *e, sv body);
};

/*
 * How a restart is noticed: every answer to HELLO carries the boot number of the hub process (DONE.boot). A new
 * hub pushes it to every registered peer as soon as it can (peers.h), so that this normally takes some
 * milliseconds. HELLO is repeated as the safety net: from 10 ms on, doubling, until the first answer; then every
 * 10 s; every second while one is unanswered; and whenever the owner asks.
 */
struct link *link_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc, int linger_ms,
                      const struct link_ops *ops, void *ctx);
void link_free(struct link *k);

/* Fills in e->src and sends. ERR_BUSY: the socket's queue is full; ERR_BAD: header does not fit. */
int link_send(struct link *k, struct envelope *e, sv body) ATTR_NODISCARD;
/* Sends HELLO soon (within 10 ms), so that a hub that forgot us says so. */
void link_ask(struct link *k);
/* Answered, and no HELLO has gone unanswered for 3 s. */
bool link_is_up(const struct link *k);
const char *link_name(const struct link *k);

#endif
