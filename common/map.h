/*
 * map.h: hash map from bytes to a pointer, and an intrusive doubly linked list.
 * Runs in: every process.     Owns: copies of its keys; never the values.
 * Never: iterates in a promised order.
 * Tested in: tests/unit/common/test_map.c
 */
#ifndef TENAZA_COMMON_MAP_H
#define TENAZA_COMMON_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t cap, used, live;
};

#define MAP_INIT ((struct map){NULL, 0, 0, 0})

void map_free(struct map *m);
void *map_get(const struct map *m, sv key);             /* NULL: absent */
void *map_put(struct map *m, sv key, void *value);      /* returns the replaced value or NULL; value != NULL */
void *map_del(struct map *m, sv key);                   /* returns the removed value or NULL */
size_t map_count(const struct map *m);
/* for (size_t it = 0; map_next(m, &it, &key, &value);) — deleting the current entry is allowed. */
bool map_next(const struct map *m, size_t *it, sv *key, void **value);

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *e)
{
    e->prev = head->prev;
    e->next = head;
    head->prev->next = e;
    head->prev = e;
}

static inline void list_del(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    e->prev = e->next = e;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): pos names variables */
/* Walks; the current entry may be removed inside the body. */
#define LIST_EACH(pos, head)                                                                       \
    for (struct list *pos = (head)->next, *pos##_n = pos->next; pos != (head);                     \
         pos = pos##_n, pos##_n = pos->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
