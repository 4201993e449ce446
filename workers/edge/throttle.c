/*
 * throttle.c: see throttle.h.
 * Runs in: edge.     Owns: the rows of its map.
 * Never: locks loopback out (the person in front of the machine must get in).
 * Tested in: tests/unit/edge/test_throttle.c
 */
#include "workers/edge/throttle.h"

#include "common/buf.h"

#define FORGET_MS 60000 /* a minute without a failure starts again at the shortest delay */
#define FIRST_DELAY_MS 250
#define MAX_DELAY_MS 5000

struct throttle_row {
    int64_t first_ms, last_ms;
    int64_t locked_until_ms;
    int64_t count;
};

void throttle_init(struct throttle *t)
{
    *t = (struct throttle){
        .by_addr = MAP_INIT, .lock_failures = 10, .lock_within_ms = 60000, .lock_ms = 300000};
}

void throttle_free(struct throttle *t)
{
    sv key;
    void *row;
    for (size_t it = 0; map_next(&t->by_addr, &it, &key, &row);) {
        xfree(row);
    }
    map_free(&t->by_addr);
}

static void forget_oldest(struct throttle *t)
{
    sv key, oldest = SV_NULL;
    void *row;
    int64_t least = INT64_MAX;
    for (size_t it = 0; map_next(&t->by_addr, &it, &key, &row);) {
        const struct throttle_row *r = row;
        if (r->last_ms < least) {
            least = r->last_ms;
            oldest = key;
        }
    }
    if (oldest.p != NULL) {
        xfree(map_del(&t->by_addr, oldest));
    }
}

static struct throttle_row *row_of(struct throttle *t, sv addr)
{
    struct throttle_row *r = map_get(&t->by_addr, addr);
    if (r == NULL) {
        if (map_count(&t->by_addr) >= THROTTLE_MAX) {
            forget_oldest(t);
        }
        r = xcalloc(1, sizeof *r);
        map_put(&t->by_addr, addr, r);
    }
    return r;
}

int64_t throttle_fail(struct throttle *t, sv addr, bool loopback, int64_t now_ms)
{
    struct throttle_row *r = row_of(t, addr);
    int64_t window = loopback ? FORGET_MS : t->lock_within_ms;
    int64_t since = loopback ? r->last_ms : r->first_ms;
    if (r->count == 0 || now_ms - since > window) {
        r->count = 0;
        r->first_ms = now_ms;
    }
    r->count++;
    r->last_ms = now_ms;
    if (!loopback) {
        if (r->count >= t->lock_failures) {
            r->locked_until_ms = now_ms + t->lock_ms;
        }
        return 0;
    }
    int64_t delay = FIRST_DELAY_MS;
    for (int64_t i = 1; i < r->count && delay < MAX_DELAY_MS; i++) {
        delay *= 2;
    }
    return delay < MAX_DELAY_MS ? delay : MAX_DELAY_MS;
}

int64_t throttle_locked(struct throttle *t, sv addr, int64_t now_ms)
{
    const struct throttle_row *r = map_get(&t->by_addr, addr);
    return r != NULL && r->locked_until_ms > now_ms ? r->locked_until_ms - now_ms : 0;
}

void throttle_clear(struct throttle *t, sv addr)
{
    xfree(map_del(&t->by_addr, addr));
}
