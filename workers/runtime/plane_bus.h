/*
 * plane_bus.h: lossy messages and live calls through the bus.
 * Runs in: every worker but store and bus, and the command line.     Owns: calls under way, subscriptions.
 * Never: blocks; retries (who cannot lose it uses the store).
 * Tested in: tests/unit/runtime/test_plane_bus.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_PLANE_BUS_H
#define TENAZA_WORKERS_RUNTIME_PLANE_BUS_H

#include "common/loop.h"
#include "proto/envelope.h"
#include "proto/messages.h"

struct plane_bus;

/* Where an answer goes; copied out of the envelope so that it may be sent later. */
struct bus_peer {
    char name[128];
    uint64_t rid;
};

typedef void bus_reply_fn(void *ctx, int err, uint16_t type, const void *body);
/* gap: messages of this topic were lost before this one. */
typedef void bus_topic_fn(void *ctx, uint16_t type, const void *body, bool gap);
typedef void bus_serve_fn(void *ctx, const struct bus_peer *from, uint16_t type, const void *body);

struct plane_bus *plane_bus_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc);
void plane_bus_free(struct plane_bus *p);

void bus_publish(struct plane_bus *p, const char *topic, uint16_t type, const void *body);
/* Subscribes, and again by itself when the bus was restarted. One handler per topic. */
void bus_subscribe(struct plane_bus *p, const char *topic, bus_topic_fn *fn, void *ctx);
/* dst: worker name. ERR_GONE: no such worker now; ERR_TIMEOUT. */
void bus_call(struct plane_bus *p, const char *dst, uint16_t type, const void *body, int64_t within_ms,
              bus_reply_fn *cb, void *ctx);
void bus_forget(struct plane_bus *p, void *ctx);
/* Serves calls of this type. */
void bus_serve(struct plane_bus *p, uint16_t type, bus_serve_fn *fn, void *ctx);
void bus_reply(struct plane_bus *p, const struct bus_peer *to, uint16_t type, const void *body);
/* The bus knows us and has answered lately. */
bool bus_is_up(const struct plane_bus *p);
/* Called at the first contact and after each restart of the bus, when the subscriptions stand: what is published
 * before that may reach nobody. One function; at once when the bus is up already. */
void bus_on_up(struct plane_bus *p, void (*fn)(void *ctx), void *ctx);
/* As store_ask. */
void bus_ask(struct plane_bus *p);

#endif
