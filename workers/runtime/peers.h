/*
 * peers.h: who may speak to a hub (store, bus): the registry that the supervisor feeds with PEER_UP and
 *          PEER_GONE, checked against the kernel's credentials of every message.
 * Runs in: store and bus.     Owns: its rows (name, incarnation, pid) and the boot number of this hub process.
 * Never: believes what a message says about its sender; answers a stranger.
 * Tested in: tests/unit/runtime/test_peers.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_PEERS_H
#define TENAZA_WORKERS_RUNTIME_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/evzmq.h"
#include "common/loop.h"
#include "common/sv.h"
#include "proto/messages.h"

struct peers;

/* More than this many names are refused (and logged): agents, accounts and command lines of one host. */
#define PEERS_MAX 1024

struct peers *peers_new(void);
void peers_free(struct peers *p);

/* From worker_ops.peer: incarnation `inc` of `name` is process `pid`. Replaces an older incarnation. */
void peers_up(struct peers *p, const char *name, uint64_t inc, int32_t pid);
/* That incarnation is dead; ignored when a newer one is registered. True: the name is unregistered now. */
bool peers_gone(struct peers *p, const char *name, uint64_t inc);

/* Name of the sender, or NULL: drop the message and answer nothing (strangers are logged once).
 * routing_id and pid as in struct evzmq_msg. The name lives until peers_gone or a newer peers_up. */
const char *peers_check(struct peers *p, sv routing_id, int32_t pid);
/* Routing id "name#inc" for sending to `name`; SV_NULL: not registered. Same life time as the name. */
sv peers_routing(const struct peers *p, sv name);
uint64_t peers_inc(const struct peers *p, sv name); /* 0: not registered */
size_t peers_count(const struct peers *p);

/*
 * HELLO and restarts of the hub. Every answer to HELLO is peers_done(): DONE with the boot number of this
 * process; a client that sees a new number knows that the hub has forgotten it. So that idle clients learn
 * of a restart within milliseconds, peers_greet makes the registry push the same DONE (ENV_PUSH) to each
 * registered peer as soon as it can be reached. Call it once, after the router is bound.
 */
struct msg_done peers_done(const struct peers *p);
void peers_greet(struct peers *p, struct loop *l, struct evzmq *router);

#endif
