/*
 * subs.h: subscriptions of connections, and what they cost us: stored rows are asked for from the store only
 *         while somebody wants them.
 * Runs in: edge.     Owns: conn.sessions_sub, conn.message_subs, edge.row_watchers.
 * Never: keeps a subscription longer than its connection.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_SUBS_H
#define TENAZA_EDGE_SUBS_H

#include "workers/edge/conn.h"

#define SUBS_MAX 256 /* sessions.messages.subscribe per connection */

void subs_sessions(struct conn *c, bool on);
/* key: canonical. False: too many. */
bool subs_messages(struct conn *c, sv key, bool on);
void subs_drop_all(struct conn *c);
/* All subscriptions of `from` go to `to`, which has none. */
void subs_move(struct conn *from, struct conn *to);
/* Tells the store what we want to be told: at its (re)start, and when row_watchers starts or ends. */
void subs_watch(struct edge *e);

#endif
