/*
 * replay.h: clients that come back get what they missed: connect.params.resume (our extension of the protocol, see
 *           docs/protocol-clients.md).
 * Runs in: edge.     Owns: edge.replays: one row per client that asked for it, with the connection or without.
 * Never: gives one client's events to another one, or to the same one with other rights.
 * Tested in: tests/unit/edge/test_evring.c, tests/scn/e10-resume.test.mjs
 */
#ifndef TENAZA_EDGE_REPLAY_H
#define TENAZA_EDGE_REPLAY_H

#include "workers/edge/conn.h"
#include "workers/edge/connect_params.h"

/* A client that does not come back in this time gets a gap. */
#define REPLAY_KEEP_MS 120000
/* Clients remembered; the one that is away longest goes first. */
#define REPLAY_CLIENTS_MAX 64

/*
 * In the handshake, after hello_grant. Appends the value of hello-ok.resume to `dst`. When everything is there, the
 * connection goes on where the old one ended (number, subscriptions, id), and replay_send sends what was missed.
 */
void replay_resume(struct conn *c, const struct connect_params *p, struct buf *dst);
/* After hello-ok. */
void replay_send(struct conn *c);

/* Stand-ins of clients that are away, for events. */
void replay_each_away(struct edge *e, void (*fn)(struct conn *stand_in, void *ctx), void *ctx);
/* An event was numbered for this connection. */
void replay_note(const struct conn *c, sv text);
/* The connection is gone: events are kept for a while. Takes over its subscriptions. */
void replay_detach(struct conn *c);
/* A device may stay no longer: nothing is kept for it. */
void replay_forget(struct edge *e, sv device_id);
void replay_free_all(struct edge *e);

#endif
