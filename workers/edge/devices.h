/*
 * devices.h: devices as JSON of the protocol, and what the store's news about them mean for live connections.
 * Runs in: edge.     Owns: nothing.
 * Never: shows a token (device.token.rotate alone does, in band).
 * Tested in: tests/scn/e6-pairing.test.mjs
 */
#ifndef TENAZA_EDGE_DEVICES_H
#define TENAZA_EDGE_DEVICES_H

#include "workers/edge/conn.h"

/* Push handler of DEVICE_NEWS: events to operators, close 4001 for those who may stay no longer. */
void devices_on_news(void *ctx, uint16_t type, const void *body);
/* gateway-ws.md 7.1. */
void device_row(struct buf *b, const struct edge *e, const struct msg_device *d);
void device_request_row(struct buf *b, const struct msg_device_req *r);

#endif
