/*
 * health.h: the health snapshot, the probes, and what the edge knows about channels and the model.
 * Runs in: edge.     Owns: edge.health, edge.channels, edge.model.
 * Never: asks the store while a client waits: answers come from the snapshot.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_HEALTH_H
#define TENAZA_EDGE_HEALTH_H

#include "workers/edge/edge.h"

void health_init(struct edge *e);
void health_free(struct edge *e);
/* The list of accounts has changed. */
void health_reconfigure(struct edge *e);
/* Makes the snapshot anew; broadcast: also as a `health` event. */
void health_refresh(struct edge *e, bool broadcast);
/* Appends members "channelOrder":[...],"channelLabels":{...},"channels":{...}. */
void health_add_channels(const struct edge *e, struct buf *b);
/* Topic handlers. */
void health_on_chan(void *ctx, uint16_t type, const void *body, bool gap);
void health_on_model(void *ctx, uint16_t type, const void *body, bool gap);
/* NULL: unknown account. name: "irc/default". */
struct chan_row *health_channel(const struct edge *e, sv name);
/* webhook.c: the worker of this account is a new process: what the old one was asked is lost. */
void webhook_restarted(struct chan_row *row);

#endif
