/*
 * ratelimit.h: at most RATELIMIT_MAX events per key and window (gateway-ws.md 13.4).
 * Runs in: edge.     Owns: at most RATELIMIT_KEYS keys; the longest unused is forgotten first.
 * Never: reads a clock.
 * Tested in: tests/unit/edge/test_ratelimit.c
 */
#ifndef TENAZA_EDGE_RATELIMIT_H
#define TENAZA_EDGE_RATELIMIT_H

#include <stdint.h>

#include "common/map.h"

#define RATELIMIT_MAX 30
#define RATELIMIT_WINDOW_MS 60000
#define RATELIMIT_KEYS 1024

struct ratelimit {
    struct map rows; /* key -> struct ratelimit_row */
};

void ratelimit_free(struct ratelimit *r);
/* 0: allowed and counted; else milliseconds until the next one is allowed. */
int64_t ratelimit_take(struct ratelimit *r, sv key, int64_t now_ms);

#endif
