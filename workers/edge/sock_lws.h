/*
 * sock_lws.h: what the *_lws.c files share: one TCP connection and the handlers of its events.
 * Runs in: edge.     Owns: nothing (server_lws.c owns the sockets).
 * Never: included by a file that is not named *_lws.c.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_SOCK_LWS_H
#define TENAZA_EDGE_SOCK_LWS_H

#include "workers/edge/server.h"

struct lws;

struct sock {
    struct list all;
    struct server *server;
    struct edge *e;
    struct lws *wsi;
    struct peer peer;
    struct http_req *req; /* HTTP request being read or answered */
    struct conn *conn;    /* after an upgrade */
    bool body_seen;       /* the end of the present request's body was told */
    bool pipelined, held; /* the next request came before the answer; not read from now */
    unsigned spins;
    bool served;          /* has had a request answered */
    bool counted;         /* upgraded and not logged in: counts in edge.waiting */
    char *host, *origin;  /* between the upgrade request and its completion */
};

/* Handlers return 0, or -1 to end the connection. in, n: as libwebsockets gives them. */
typedef int sock_fn(struct sock *s, void *in, size_t n);

sock_fn http_on_request, http_on_body, http_on_body_end, http_on_writable, http_on_closed;
sock_fn ws_on_upgrade, ws_on_open, ws_on_receive, ws_on_pong, ws_on_writable, ws_on_closed;

/* Copies one header (a libwebsockets token) into dst; empty when absent; false when it does not fit. */
bool sock_header(struct sock *s, int token, char *dst, size_t cap);
/* Reading goes on. */
void sock_release(struct sock *s);
/* 0 when the request may be served, else the status and body to refuse it with. */
int sock_gate(struct sock *s, const char **body);

#endif
