/*
 * map.c: open-addressing hash map from bytes to a pointer, linear probing, tombstones.
 * Runs in: every process.     Owns: copies of its keys; never the values.
 * Never: moves entries on removal, so that deleting during a walk is safe.
 * Tested in: tests/unit/common/test_map.c
 */
#include "common/map.h"

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/id.h"

#define MAP_FIRST 16u /* slots of the first table; always a power of two */

struct map_slot {
    char *key; /* NULL: never used; tombstone: removed */
    size_t key_n;
    uint64_t hash;
    void *value;
};

static char tombstone[1];

/*
 * Keys come from outside too (message keys, chat ids), so the hash starts from a per-process random
 * basis: a peer cannot prepare keys that all collide.
 */
static uint64_t hash_of(sv key)
{
    static uint64_t seed;
    if (seed == 0) {
        id_random(&seed, sizeof(seed));
        seed |= 1;
    }
    uint64_t h = seed;
    for (size_t i = 0; i < key.n; i++) {
        h = (h ^ (unsigned char)key.p[i]) * 1099511628211u;
    }
    h ^= h >> 32; /* linear probing looks at the low bits: let the high ones take part */
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static bool slot_live(const struct map_slot *s)
{
    return s->key != NULL && s->key != tombstone;
}

static struct map_slot *find(const struct map *m, sv key, uint64_t hash)
{
    if (m->cap == 0) {
        return NULL;
    }
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (s->key == NULL) {
            return NULL; /* there is always a free slot: see grow */
        }
        if (s->key != tombstone && s->hash == hash && sv_eq((sv){s->key, s->key_n}, key)) {
            return s;
        }
    }
}

static struct map_slot *first_unused(struct map_slot *slots, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);
    while (slots[i].key != NULL) {
        i = (i + 1) & (cap - 1);
    }
    return &slots[i];
}

/* Keeps at least a quarter of the slots never-used; also where tombstones go away. */
static void grow(struct map *m)
{
    if (m->used + 1 <= m->cap - m->cap / 4 && m->cap > 0) {
        return;
    }
    size_t cap = MAP_FIRST;
    while (cap / 2 < m->live + 1) {
        cap *= 2;
    }
    struct map_slot *slots = xcalloc(cap, sizeof(*slots));
    for (size_t i = 0; i < m->cap; i++) {
        if (slot_live(&m->slots[i])) {
            *first_unused(slots, cap, m->slots[i].hash) = m->slots[i];
        }
    }
    xfree(m->slots);
    m->slots = slots;
    m->cap = cap;
    m->used = m->live;
}

void map_free(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++) {
        if (slot_live(&m->slots[i])) {
            xfree(m->slots[i].key);
        }
    }
    xfree(m->slots);
    *m = MAP_INIT;
}

void *map_get(const struct map *m, sv key)
{
    const struct map_slot *s = find(m, key, hash_of(key));
    return s ? s->value : NULL;
}

void *map_put(struct map *m, sv key, void *value)
{
    ASSERT(value != NULL);
    uint64_t hash = hash_of(key);
    struct map_slot *s = find(m, key, hash);
    if (s != NULL) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    grow(m);
    s = first_unused(m->slots, m->cap, hash);
    s->key = xmalloc(key.n);
    if (key.n > 0) {
        memcpy(s->key, key.p, key.n);
    }
    s->key_n = key.n;
    s->hash = hash;
    s->value = value;
    m->used++;
    m->live++;
    return NULL;
}

void *map_del(struct map *m, sv key)
{
    struct map_slot *s = find(m, key, hash_of(key));
    if (s == NULL) {
        return NULL;
    }
    void *old = s->value;
    xfree(s->key); /* may be the very bytes of `key`: not used below */
    s->key = tombstone;
    s->key_n = 0;
    s->value = NULL;
    m->live--;
    return old;
}

size_t map_count(const struct map *m)
{
    return m->live;
}

bool map_next(const struct map *m, size_t *it, sv *key, void **value)
{
    while (*it < m->cap) {
        const struct map_slot *s = &m->slots[(*it)++];
        if (slot_live(s)) {
            *key = (sv){s->key, s->key_n};
            *value = s->value;
            return true;
        }
    }
    return false;
}
