/*
 * server.h: the transport: libwebsockets on our loop, behind handles that nobody else looks into.
 * Runs in: edge.     Owns: the lws context, one struct sock per TCP connection.
 * Never: product logic; no other file of this folder includes libwebsockets.h than those named *_lws.c.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_SERVER_H
#define TENAZA_EDGE_SERVER_H

#include "workers/edge/conn.h"

struct http_req;

/* NULL when libwebsockets cannot start (logged). */
struct server *server_new(struct edge *e);
void server_free(struct server *s);
/* Takes an accepted, non-blocking socket; closes it when it cannot be served. */
void server_adopt(struct server *s, int fd, const struct peer *peer);
/* Drain: ends HTTP connections on which nothing is under way; without fresh: those that wait for their first request
 * are left alone, for it may be on its way. */
void server_close_idle(struct server *s, bool fresh);
size_t server_sockets(const struct server *s);

/* From outside a callback of the connection: something is queued for it. */
void transport_want_write(void *wsi);
/* Ends the TCP connection soon, without a close frame. */
void transport_kill(void *wsi);

#endif
