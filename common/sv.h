/*
 * sv.h: string view, a pointer and a length into bytes that somebody else owns.
 * Runs in: every process.     Owns: nothing; a view dies with the buffer it points into.
 * Never: allocates, writes, or relies on a terminating NUL.
 * Tested in: tests/unit/common/test_sv.c
 */
#ifndef TENAZA_COMMON_SV_H
#define TENAZA_COMMON_SV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/attrs.h"

typedef struct sv {
    const char *p; /* may be NULL: "absent" */
    size_t n;      /* bytes */
} sv;

#define SV(lit) ((sv){(lit), sizeof(lit) - 1})
#define SV_NULL ((sv){NULL, 0})
/* printf("%.*s", SV_ARG(v)) */
#define SV_ARG(v) (int)(v).n, (v).p ? (v).p : ""

static inline sv sv_of(const char *cstr)
{
    return (sv){cstr, cstr ? strlen(cstr) : 0};
}

static inline sv sv_mem(const void *p, size_t n)
{
    return (sv){(const char *)p, n};
}

static inline bool sv_empty(sv a)
{
    return a.n == 0;
}

bool sv_eq(sv a, sv b);
bool sv_eqc(sv a, const char *cstr);
/* ASCII case-insensitive equality; bytes above 127 are compared as they are. */
bool sv_eq_nocase(sv a, sv b);
int sv_cmp(sv a, sv b); /* memcmp order, shorter first */
bool sv_starts(sv a, sv prefix);
bool sv_ends(sv a, sv suffix);
/* Index of the first `c` / of `needle`, or -1. */
ptrdiff_t sv_chr(sv a, char c);
ptrdiff_t sv_find(sv a, sv needle);
sv sv_sub(sv a, size_t from, size_t n); /* clamped */
sv sv_trim(sv a);                       /* ASCII white space at both ends */
/* Cuts *rest at the first `sep`: returns the part before; *rest becomes what follows (empty at the end). */
sv sv_cut(sv *rest, char sep);
/* Strict decimal; false on empty, sign (u64), trailing bytes, overflow. */
bool sv_u64(sv a, uint64_t *out);
bool sv_i64(sv a, int64_t *out);
uint64_t sv_hash(sv a); /* FNV-1a 64, for tables in memory only */

/* Copies into a fixed array and terminates it; false (and an empty string) when it does not fit. */
bool sv_copy(char *dst, size_t cap, sv a);

#endif
