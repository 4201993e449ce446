/*
 * hello.h: what a connection is granted, and the hello-ok answer (gateway-ws.md section 8).
 * Runs in: edge.     Owns: nothing.
 * Never: decides whether to let it in (connect.c).
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_HELLO_H
#define TENAZA_EDGE_HELLO_H

#include "workers/edge/conn.h"
#include "workers/edge/connect_params.h"

struct hello_device {
    uint8_t token[32];
    size_t token_n; /* 0: no token is issued */
    int64_t issued_ms;
};

/* Takes over who the client is and what it may do. */
void hello_grant(struct conn *c, const struct connect_params *p, sv scopes);
/* device: NULL, or the token to hand out; resume: JSON of the member `resume`, or empty. */
void hello_send(struct conn *c, sv id, const struct hello_device *device, sv resume);

#endif
