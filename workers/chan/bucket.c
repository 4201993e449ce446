/*
 * bucket.c: see bucket.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: reads a clock.
 * Tested in: tests/unit/chan/test_bucket.c
 */
#include "workers/chan/bucket.h"

#define TOKEN 1000 /* thousandths in one token */

void bucket_init(struct bucket *b, int64_t per_minute, int64_t burst, int64_t now_ms)
{
    b->rate = per_minute * TOKEN / 60;
    b->burst = (burst < 1 ? 1 : burst) * TOKEN;
    b->level = b->burst;
    b->at_ms = now_ms;
}

static int64_t level_at(const struct bucket *b, int64_t now_ms)
{
    int64_t gone = now_ms - b->at_ms;
    if (gone <= 0) {
        return b->level;
    }
    if (gone > INT32_MAX) { /* keeps the product below far from overflow */
        return b->burst;
    }
    int64_t level = b->level + gone * b->rate / 1000;
    return level > b->burst ? b->burst : level;
}

/* Moves the level to `now`, without losing the fraction that the division above drops. */
static void settle(struct bucket *b, int64_t now_ms)
{
    int64_t level = level_at(b, now_ms);
    if (level == b->level && now_ms > b->at_ms && level < b->burst) {
        return; /* less than a thousandth was earned: keep counting from at_ms */
    }
    b->level = level;
    if (now_ms > b->at_ms) {
        b->at_ms = now_ms;
    }
}

static int64_t wait_for(const struct bucket *b, int64_t missing)
{
    return missing <= 0 ? 0 : (missing * 1000 + b->rate - 1) / b->rate;
}

bool bucket_try(struct bucket *b, int64_t now_ms)
{
    if (b->rate == 0) {
        return true;
    }
    settle(b, now_ms);
    if (b->level < TOKEN) {
        return false;
    }
    b->level -= TOKEN;
    return true;
}

int64_t bucket_reserve(struct bucket *b, int64_t now_ms)
{
    if (b->rate == 0) {
        return 0;
    }
    settle(b, now_ms);
    b->level -= TOKEN;
    return wait_for(b, -b->level);
}

int64_t bucket_wait(const struct bucket *b, int64_t now_ms)
{
    if (b->rate == 0) {
        return 0;
    }
    return wait_for(b, TOKEN - level_at(b, now_ms));
}
