/*
 * bucket.h: token buckets, so that a burst of ours never reaches a platform's own limiter.
 * Runs in: channel workers.     Owns: nothing.
 * Never: reads a clock; the caller passes monotonic milliseconds.
 * Tested in: tests/unit/chan/test_bucket.c
 */
#ifndef TENAZA_WORKERS_CHAN_BUCKET_H
#define TENAZA_WORKERS_CHAN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Levels are thousandths of a token, so that slow rates do not round away. */
struct bucket {
    int64_t rate;  /* thousandths of a token per second; 0: unlimited */
    int64_t burst; /* greatest level, thousandths */
    int64_t level; /* negative while reservations wait */
    int64_t at_ms; /* when level was true */
};

/* per_minute: tokens per minute, 0 for no limit. burst: tokens that may leave at once. Starts full. */
void bucket_init(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms);
/* Takes one token if there is one; false without side effect. */
bool bucket_try(struct bucket *b, int64_t now_ms);
/* Takes one token even if it is not there yet; returns after how many ms it will be. Reservations are
 * served in the order in which they were made. */
int64_t bucket_reserve(struct bucket *b, int64_t now_ms);
/* Milliseconds until bucket_try would succeed; 0: now. */
int64_t bucket_wait(const struct bucket *b, int64_t now_ms);

#endif
