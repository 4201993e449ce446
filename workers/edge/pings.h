/*
 * pings.h: every connection is asked for a sign of life, and cut when it gives none (gateway-ws.md 13.2).
 * Runs in: edge.     Owns: edge.pings, the queue of connections in the order in which they are due.
 * Never: walks all connections: libwebsockets' own pings sort a list at every frame, which ten thousand idle
 *        connections make slow.
 * Tested in: tests/scn/h3-pings.test.mjs
 */
#ifndef TENAZA_EDGE_PINGS_H
#define TENAZA_EDGE_PINGS_H

#include "workers/edge/conn.h"

#define PING_MS 25000 /* without edge.pingInterval */
#define PINGS_LOST 2  /* cut so many intervals after the first ping that was not answered: 75 s of silence */

void pings_init(struct edge *e);
void pings_stop(struct edge *e);
void pings_add(struct conn *c);
void pings_del(struct conn *c);
/* Any frame is a sign of life. */
void pings_heard(struct conn *c);

#endif
