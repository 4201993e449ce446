/*
 * ratelimit.c: see ratelimit.h. A sliding window: the times of the last RATELIMIT_MAX events in a ring.
 * Runs in: edge.     Owns: its rows.
 * Never: counts what it refuses.
 * Tested in: tests/unit/edge/test_ratelimit.c
 */
#include "workers/edge/ratelimit.h"

#include "common/buf.h"

struct ratelimit_row {
    int64_t at[RATELIMIT_MAX]; /* ring; `next` is the oldest when it is full */
    unsigned next, n;
    int64_t used_ms;
};

void ratelimit_free(struct ratelimit *r)
{
    sv key;
    void *row;
    for (size_t it = 0; map_next(&r->rows, &it, &key, &row);) {
        xfree(row);
    }
    map_free(&r->rows);
}

static void forget_oldest(struct ratelimit *r)
{
    sv key, oldest = SV_NULL;
    void *row;
    int64_t least = INT64_MAX;
    for (size_t it = 0; map_next(&r->rows, &it, &key, &row);) {
        const struct ratelimit_row *k = row;
        if (k->used_ms < least) {
            least = k->used_ms;
            oldest = key;
        }
    }
    xfree(map_del(&r->rows, oldest));
}

int64_t ratelimit_take(struct ratelimit *r, sv key, int64_t now_ms)
{
    struct ratelimit_row *k = map_get(&r->rows, key);
    if (k == NULL) {
        if (map_count(&r->rows) >= RATELIMIT_KEYS) {
            forget_oldest(r);
        }
        k = xcalloc(1, sizeof *k);
        map_put(&r->rows, key, k);
    }
    k->used_ms = now_ms;
    int64_t oldest = k->at[k->next];
    if (k->n == RATELIMIT_MAX && now_ms - oldest < RATELIMIT_WINDOW_MS) {
        return RATELIMIT_WINDOW_MS - (now_ms - oldest);
    }
    k->at[k->next] = now_ms;
    k->next = (k->next + 1) % RATELIMIT_MAX;
    k->n += k->n < RATELIMIT_MAX;
    return 0;
}
