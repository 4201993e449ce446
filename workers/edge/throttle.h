/*
 * throttle.h: what failed logins cost an address (gateway-ws.md section 5.4).
 * Runs in: edge.     Owns: at most THROTTLE_MAX addresses.
 * Never: waits by itself; it only says for how long.
 * Tested in: tests/unit/edge/test_throttle.c
 */
#ifndef TENAZA_EDGE_THROTTLE_H
#define TENAZA_EDGE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/map.h"

#define THROTTLE_MAX 1024 /* addresses remembered; the oldest is forgotten first */

struct throttle {
    struct map by_addr; /* address -> struct throttle_row */
    int64_t lock_failures; /* remote: this many ... */
    int64_t lock_within_ms; /* ... within this time ... */
    int64_t lock_ms;        /* ... lock the address for so long */
};

void throttle_init(struct throttle *t);
void throttle_free(struct throttle *t);
/* A login failed. Loopback: milliseconds to wait before the answer; remote: 0, but failures are counted. */
int64_t throttle_fail(struct throttle *t, sv addr, bool loopback, int64_t now_ms);
/* Milliseconds until a locked address may try again; 0: it may now. */
int64_t throttle_locked(struct throttle *t, sv addr, int64_t now_ms);
/* A login succeeded: earlier failures of the address are forgotten. */
void throttle_clear(struct throttle *t, sv addr);

#endif
