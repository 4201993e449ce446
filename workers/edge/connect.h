/*
 * connect.h: the handshake of a connection: challenge, connect, hello-ok (gateway-ws.md section 3).
 * Runs in: edge.     Owns: conn.hs, until hello-ok or the end of the connection.
 * Never: lets a request through before hello-ok.
 * Tested in: the scenarios; its pure parts: connect_params, device, pairing, throttle
 */
#ifndef TENAZA_EDGE_CONNECT_H
#define TENAZA_EDGE_CONNECT_H

#include "workers/edge/conn.h"

void connect_begin(struct conn *c, sv host, sv origin);
void connect_message(struct conn *c, sv text);
void connect_free(struct conn *c);

#endif
