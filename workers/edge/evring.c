/*
 * evring.c: see evring.h.
 * Runs in: edge.     Owns: nothing else.
 * Never: has a hole.
 * Tested in: tests/unit/edge/test_evring.c
 */
#include "workers/edge/evring.h"

#include "common/buf.h"

static struct evring_item *slot(const struct evring *r, uint64_t seq)
{
    return &r->items[seq % EVRING_COUNT];
}

static void drop_oldest(struct evring *r)
{
    struct evring_item *it = slot(r, r->first);
    r->bytes -= it->n;
    xfree(it->text);
    *it = (struct evring_item){NULL, 0};
    r->first++;
    r->count--;
}

void evring_free(struct evring *r)
{
    while (r->count > 0) {
        drop_oldest(r);
    }
    xfree(r->items);
    *r = (struct evring){.items = NULL};
}

void evring_add(struct evring *r, uint64_t seq, sv text)
{
    if (r->items == NULL) {
        r->items = xcalloc(EVRING_COUNT, sizeof *r->items);
    }
    if (r->count > 0 && seq != r->first + r->count) {
        while (r->count > 0) {
            drop_oldest(r);
        }
    }
    while (r->count > 0 && (r->count == EVRING_COUNT || r->bytes + text.n > EVRING_BYTES)) {
        drop_oldest(r);
    }
    if (r->count == 0) {
        r->first = seq;
    }
    if (text.n > EVRING_BYTES) {
        r->first = seq + 1; /* cannot be repeated: whoever missed it gets a gap */
        return;
    }
    *slot(r, seq) = (struct evring_item){xsvdup(text), text.n};
    r->count++;
    r->bytes += text.n;
}

bool evring_covers(const struct evring *r, uint64_t last, uint64_t now)
{
    if (last == now) {
        return true;
    }
    return last < now && r->count > 0 && r->first <= last + 1 && r->first + r->count == now + 1;
}

sv evring_get(const struct evring *r, uint64_t seq)
{
    if (r->count == 0 || seq < r->first || seq >= r->first + r->count) {
        return SV_NULL;
    }
    const struct evring_item *it = slot(r, seq);
    return sv_mem(it->text, it->n);
}
