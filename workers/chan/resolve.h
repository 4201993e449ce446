/*
 * resolve.h: host names to addresses without stopping the loop.
 * Runs in: channel workers.     Owns: the request until its callback or resolve_cancel.
 * Never: blocks; calls back from inside resolve_start.
 * Tested in: tests/unit/chan/test_stream.c
 *
 * glibc's getaddrinfo_a does the work (its helper thread is inside libc, as are those of libzmq and of curl's
 * resolver). It is polled by a timer: no signal and no callback on a foreign stack.
 */
#ifndef TENAZA_WORKERS_CHAN_RESOLVE_H
#define TENAZA_WORKERS_CHAN_RESOLVE_H

#include <netdb.h>

#include "common/attrs.h"
#include "common/loop.h"

struct resolve;

/* list: addresses in order of preference, valid inside the callback only; NULL with why (static text). */
typedef void resolve_fn(void *ctx, const struct addrinfo *list, const char *why);

/* within_ms: deadline. The callback frees the request. */
struct resolve *resolve_start(struct loop *l, const char *host, uint16_t port, int64_t within_ms,
                              resolve_fn *fn, void *ctx);
void resolve_cancel(struct resolve *r); /* no callback follows */

#endif
