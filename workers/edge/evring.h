/*
 * evring.h: the newest events that were sent to one client, with their numbers, bounded in bytes and count.
 * Runs in: edge.     Owns: copies of the events.
 * Never: has a hole: numbers in the ring follow each other.
 * Tested in: tests/unit/edge/test_evring.c
 */
#ifndef TENAZA_EDGE_EVRING_H
#define TENAZA_EDGE_EVRING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/sv.h"

#define EVRING_COUNT 2048u              /* events */
#define EVRING_BYTES (4u * 1024 * 1024) /* of their texts */

struct evring_item {
    char *text;
    size_t n;
};

struct evring {
    struct evring_item *items; /* EVRING_COUNT of them, made with the first event */
    uint64_t first; /* number of the oldest one */
    size_t count, bytes;
};

void evring_free(struct evring *r);
/* seq: the number behind the last one; anything else starts the ring over. Oldest ones fall out. */
void evring_add(struct evring *r, uint64_t seq, sv text);
/* Does the ring have everything behind `last`, up to now (the last number given out)? */
bool evring_covers(const struct evring *r, uint64_t last, uint64_t now);
/* Text of the event with this number; SV_NULL: not here. */
sv evring_get(const struct evring *r, uint64_t seq);

#endif
