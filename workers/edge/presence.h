/*
 * presence.h: who is connected: the gateway itself and the clients that people look at (UIs).
 * Runs in: edge.     Owns: nothing; the list is made from the connections.
 * Never: lists command line calls and backends (gateway-ws.md 12.7).
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_PRESENCE_H
#define TENAZA_EDGE_PRESENCE_H

#include "workers/edge/conn.h"

/* Appends the JSON array. */
void presence_list(const struct edge *e, struct buf *dst);
/* A tracked client came or went: counts up and tells everybody, many changes at once in one event. */
void presence_changed(struct edge *e);
void presence_init(struct edge *e);

#endif
