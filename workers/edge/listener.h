/*
 * listener.h: accepts connections on the inherited listening sockets.
 * Runs in: edge.     Owns: the accepting watchers and one spare descriptor.
 * Never: binds or listens (the supervisor does), closes the inherited sockets before the end.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_LISTENER_H
#define TENAZA_EDGE_LISTENER_H

#include "workers/edge/edge.h"

/* count: descriptors from LISTEN_FD on. NULL when one of them is no listening socket (logged).
 * *loopback_only: all of them are bound to loopback addresses. */
struct listener *listener_new(struct edge *e, size_t count, bool *loopback_only);
/* Stops accepting; connections stay. */
void listener_stop(struct listener *l);
void listener_start(struct listener *l);
void listener_free(struct listener *l);

#endif
