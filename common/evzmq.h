/*
 * evzmq.h: czmq sockets inside the libev loop. The only place where czmq and zmq.h are included.
 * Runs in: every worker and the command line.     Owns: the socket, its watchers and options.
 * Never: blocks; trusts "readable" alone: the ZeroMQ descriptor is edge-triggered, so a prepare watcher
 *        re-reads ZMQ_EVENTS before each sleep (architecture.md 10, trap 1).
 * Tested in: tests/unit/common/test_evzmq.c
 */
#ifndef TENAZA_COMMON_EVZMQ_H
#define TENAZA_COMMON_EVZMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/loop.h"
#include "common/sv.h"

/* Limits of architecture.md 3.2: bytes of one message, messages per peer and direction. */
#define EVZMQ_MAX_MSG 1048576
#define EVZMQ_HWM 256

struct evzmq;

/* One received message. Views are valid inside the callback only. */
struct evzmq_msg {
    sv peer;   /* ROUTER: routing id; DEALER: empty */
    sv header; /* first payload frame */
    sv body;   /* second payload frame, may be empty */
    int32_t pid, uid; /* kernel's credentials of an ipc peer, -1 when unknown (ROUTER only) */
};
typedef void evzmq_recv_fn(void *ctx, const struct evzmq_msg *m);
/* End of one drain: called after the last message of a batch was handed over (the store commits here). */
typedef void evzmq_batch_fn(void *ctx);

/* endpoint "ipc:///run/x/store/sock". id: routing id of a DEALER. ERR_IO with errno kept. */
int evzmq_router(struct loop *l, const char *endpoint, evzmq_recv_fn *fn, void *ctx,
                 struct evzmq **out) ATTR_NODISCARD;
int evzmq_dealer(struct loop *l, const char *endpoint, const char *id, int linger_ms,
                 evzmq_recv_fn *fn, void *ctx, struct evzmq **out) ATTR_NODISCARD;
void evzmq_free(struct evzmq *z); /* allowed inside its own callbacks */
/* At most `max` messages or `max_us` microseconds per turn (0: 256 / 2000), then fn once. Without this
 * call: 64 messages, 2000 us. */
void evzmq_set_batch(struct evzmq *z, unsigned max, int64_t max_us, evzmq_batch_fn *fn);
/* Sends [peer][header][body]; peer is empty on a DEALER. ERR_GONE: no such peer; ERR_BUSY: peer's queue
 * is full; ERR_TOOBIG: header and body together over EVZMQ_MAX_MSG; all without side effects. */
int evzmq_send(struct evzmq *z, sv peer, sv header, sv body) ATTR_NODISCARD;

#endif
