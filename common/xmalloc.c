/*
 * xmalloc.c: the malloc family that never answers NULL.
 * Runs in: every process.     Owns: nothing; the caller owns what it gets and gives it to xfree.
 * Never: returns NULL, multiplies sizes without a check.
 * Tested in: tests/unit/common/test_buf.c
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/err.h"

/* A restart gives a fresh heap, so it helps; it is the environment's shortage, not a crash of ours. */
static void ATTR_NORETURN out_of_memory(size_t n)
{
    die(EXIT_UNAVAILABLE, "out of memory (%zu bytes wanted)", n);
}

void *xmalloc(size_t n)
{
    void *p = malloc(n == 0 ? 1 : n);
    if (p == NULL) {
        out_of_memory(n);
    }
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        panic("xcalloc: %zu times %zu bytes overflows", count, size);
    }
    void *p = n == 0 ? calloc(1, 1) : calloc(count, size);
    if (p == NULL) {
        out_of_memory(n);
    }
    return p;
}

void *xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n == 0 ? 1 : n);
    if (q == NULL) {
        out_of_memory(n);
    }
    return q;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = xmalloc(len + 1);
    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

char *xasprintf(const char *fmt, ...)
{
    char *p = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&p, fmt, ap);
    va_end(ap);
    if (n < 0 || p == NULL) {
        out_of_memory(0);
    }
    return p;
}

void xfree(void *p)
{
    free(p);
}

void xfree_p(void *pp)
{
    char *p;
    memcpy(&p, pp, sizeof(p)); /* pp points at a pointer of any type: no lvalue of a wrong type */
    free(p);
}

void xtrim(void)
{
    (void)malloc_trim(0);
}
