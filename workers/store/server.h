/*
 * server.h: the store on its socket: frames in, turns, frames out.
 * Runs in: store.     Owns: struct server: the router, the registry of peers, requests of the batch, backlog.
 * Never: knows what a message means.
 * Tested in: tests/unit/store/test_server.c
 */
#ifndef TENAZA_WORKERS_STORE_SERVER_H
#define TENAZA_WORKERS_STORE_SERVER_H

#include "common/loop.h"
#include "workers/store/store.h"

struct server;

/* endpoint: "ipc://<run>/store/sock". 0, or an exit code of err.h with one sentence in text. on_fatal (may be
 * NULL) is called when the process must end. */
int server_new(struct loop *l, const char *endpoint, const struct store_conf *conf,
               void (*on_fatal)(void *ctx, int exit_code, const char *why), void *ctx, struct server **out, char *text,
               size_t cap) ATTR_NODISCARD;
void server_free(struct server *v);
/* News of the supervisor: a worker may speak, or is dead. Handled in a turn of its own, soon. */
void server_peer(struct server *v, bool up, const char *name, uint64_t inc, int32_t pid);
/* Another configuration in its LIVE keys; a turn follows, for what may run now. */
void server_reconfigure(struct server *v, const struct store_conf *conf);
struct store *server_store(struct server *v);
/* Requests handled since start. */
uint64_t server_requests(const struct server *v);

#endif
