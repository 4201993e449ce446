/*
 * arena.c: bump allocator; blocks are freed together.
 * Runs in: every process.     Owns: its blocks, until arena_free.
 * Never: frees single objects, calls destructors.
 * Tested in: tests/unit/common/test_arena.c
 */
#include "common/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

#define ARENA_BLOCK 8000u /* payload of an ordinary block: two pages with the headers of block and malloc */
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next; /* older */
    size_t used, cap;         /* bytes of data */
    _Alignas(ARENA_ALIGN) char data[];
};

static struct arena_block *block_new(size_t cap)
{
    if (cap > SIZE_MAX - sizeof(struct arena_block)) {
        panic("arena: %zu bytes overflow", cap);
    }
    struct arena_block *b = xmalloc(sizeof(*b) + cap);
    b->next = NULL;
    b->used = 0;
    b->cap = cap;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ARENA_ALIGN) {
        panic("arena: %zu bytes overflow", n);
    }
    size_t size = n == 0 ? ARENA_ALIGN : (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    struct arena_block *b = a->head;
    if (b == NULL || b->cap - b->used < size) {
        b = block_new(size > ARENA_BLOCK ? size : ARENA_BLOCK);
        if (size > ARENA_BLOCK && a->head != NULL) {
            b->next = a->head->next; /* a large one goes second: the head may still have room */
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    void *p = b->data + b->used;
    b->used += size;
    memset(p, 0, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = arena_alloc(a, len + 1);
    memcpy(p, s, len);
    return p;
}

sv arena_sv(struct arena *a, sv s)
{
    if (s.p == NULL) {
        return SV_NULL;
    }
    if (s.n == SIZE_MAX) {
        panic("arena: view of %zu bytes", s.n);
    }
    char *p = arena_alloc(a, s.n + 1);
    memcpy(p, s.p, s.n);
    return (sv){p, s.n};
}

sv arena_printf(struct arena *a, const char *fmt, ...)
{
    char first[256]; /* most results fit: then the text is made once */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(first, sizeof(first), fmt, ap);
    va_end(ap);
    if (n < 0) {
        panic("arena_printf: bad format");
    }
    char *p = arena_alloc(a, (size_t)n + 1);
    if ((size_t)n < sizeof(first)) {
        memcpy(p, first, (size_t)n);
    } else {
        va_start(ap, fmt);
        vsnprintf(p, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return (sv){p, (size_t)n};
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    struct arena_block *b = a->head;
    while (b != NULL) {
        struct arena_block *next = b->next;
        if (keep == NULL && b->cap == ARENA_BLOCK) {
            keep = b; /* an ordinary one: a single huge turn must not stay in memory for ever */
        } else {
            xfree(b);
        }
        b = next;
    }
    a->head = keep;
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
}

void arena_free(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *next = a->head->next;
        xfree(a->head);
        a->head = next;
    }
}
