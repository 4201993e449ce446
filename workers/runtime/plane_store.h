/*
 * plane_store.h: reliable requests to the store. Re-sent every second with the same rid until the answer or
 *                the deadline; the store is idempotent by natural keys, so a repeat does no harm.
 * Runs in: every worker but store and bus, and the command line.     Owns: requests under way.
 * Never: blocks; calls back after plane_store_free.
 * Tested in: tests/unit/runtime/test_plane_store.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_PLANE_STORE_H
#define TENAZA_WORKERS_RUNTIME_PLANE_STORE_H

#include "common/loop.h"
#include "proto/envelope.h"
#include "proto/messages.h"

struct plane_store;

/* err 0: type/body is the typed answer. err < 0: a code of errors.def; body is a struct msg_status with
 * the store's words (or, for a body that breaks its table, with the field), or NULL when nothing arrived in time.
 * Views die with the call. Not to be freed from inside: plane_store_free belongs outside callbacks. */
typedef void store_reply_fn(void *ctx, int err, uint16_t type, const void *body);
typedef void store_push_fn(void *ctx, uint16_t type, const void *body);

/* name/inc: our registered identity. endpoint: "ipc://<run>/store/sock". */
struct plane_store *plane_store_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc);
void plane_store_free(struct plane_store *p);

/* At most 1,024 requests under way; above that and for bodies that break their table cb gets ERR_BUSY or
 * ERR_BAD, deferred. within_ms: e.g. 30000; BUSY answers are retried until then after the wait they name. */
void store_call(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms,
                store_reply_fn *cb, void *ctx);
/* The same, but BUSY is told at once, with the STATUS that names the wait: for those who have somebody waiting. */
void store_try(struct plane_store *p, uint16_t type, const void *body, int64_t within_ms,
               store_reply_fn *cb, void *ctx);
/* Forgets every request with this ctx: its callback is not called any more. */
void store_forget(struct plane_store *p, void *ctx);
/* Handler for pushes of this type (GRANT, DELIVER, RUN ...). */
void store_on_push(struct plane_store *p, uint16_t type, store_push_fn *fn, void *ctx);
/* Called at the first contact and again whenever the store came back (new process, see link.h): repeat WANT, WATCH
 * and the like here. Requests under way are sent again right after; they may also have been handled already. */
void store_on_up(struct plane_store *p, void (*fn)(void *ctx), void *ctx);
bool store_is_up(const struct plane_store *p);
/* Says HELLO soon: store_is_up notices within 3 s when the store does not answer (else within 13 s). */
void store_ask(struct plane_store *p);

#endif
