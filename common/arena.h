/*
 * arena.h: bump allocator for things that live exactly as long as one turn of work.
 * Runs in: every process.     Owns: its blocks, until arena_free.
 * Never: frees single objects, calls destructors.
 * Tested in: tests/unit/common/test_arena.c
 */
#ifndef TENAZA_COMMON_ARENA_H
#define TENAZA_COMMON_ARENA_H

#include <stddef.h>

#include "common/sv.h"

struct arena_block;
struct arena {
    struct arena_block *head; /* newest block */
};

#define ARENA_INIT ((struct arena){NULL})

void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type, never NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
sv arena_sv(struct arena *a, sv s); /* copies the bytes, adds a NUL behind them; SV_NULL stays SV_NULL */
sv arena_printf(struct arena *a, const char *fmt, ...) ATTR_PRINTF(2, 3);
void arena_reset(struct arena *a); /* keeps one block */
void arena_free(struct arena *a);

#endif
