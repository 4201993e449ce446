/*
 * events.h: events to clients: names and scopes from proto/events.def, numbers per connection.
 * Runs in: edge.     Owns: nothing.
 * Never: sends to a connection that lacks the scope, or that is not through the handshake.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_EVENTS_H
#define TENAZA_EDGE_EVENTS_H

#include "workers/edge/conn.h"

enum event_id {
#define EVENT(ID, name, scope, doc) EV_##ID,
#include "proto/events.def"
#undef EVENT
    EV_COUNT
};

/* Who gets it besides the scope rule; NULL: everybody with the scope. */
typedef bool event_filter(const struct conn *c, const void *ctx);

/* Would anybody get it? Ask before an expensive payload is built. */
bool events_wanted(const struct edge *e, enum event_id ev, event_filter *f, const void *ctx);
/* payload: JSON text. */
void events_broadcast(struct edge *e, enum event_id ev, sv payload, event_filter *f, const void *ctx);
/* connect.challenge: no number, before the handshake. */
void events_challenge(struct conn *c, const char *nonce, int64_t now_ms);
/* Appends the names as a JSON array. */
void events_names(struct buf *dst);

/* Push handler of CRON_NEWS. */
void events_on_cron(void *ctx, uint16_t type, const void *body);

/* Filters. ctx: const char *, canonical session key. */
event_filter event_to_chat;          /* chat, agent: all but session-scoped clients without subscription */
event_filter event_to_subscribers;   /* sessions.subscribe */
event_filter event_to_row_watchers;  /* sessions.subscribe and sessions.messages.subscribe */

#endif
