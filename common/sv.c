/*
 * sv.c: comparison, search and strict number parsing on string views.
 * Runs in: every process.     Owns: nothing.
 * Never: allocates, writes through a view, reads past its end.
 * Tested in: tests/unit/common/test_sv.c
 */
#include "common/sv.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool sv_eq(sv a, sv b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool sv_eqc(sv a, const char *cstr)
{
    return sv_eq(a, sv_of(cstr));
}

bool sv_eq_nocase(sv a, sv b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

int sv_cmp(sv a, sv b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (c != 0) {
        return c;
    }
    return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

bool sv_starts(sv a, sv prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

bool sv_ends(sv a, sv suffix)
{
    return a.n >= suffix.n &&
           (suffix.n == 0 || memcmp(a.p + (a.n - suffix.n), suffix.p, suffix.n) == 0);
}

ptrdiff_t sv_chr(sv a, char c)
{
    const char *at = a.n == 0 ? NULL : memchr(a.p, c, a.n);
    return at ? at - a.p : -1;
}

ptrdiff_t sv_find(sv a, sv needle)
{
    if (needle.n == 0) {
        return 0;
    }
    if (a.n < needle.n) {
        return -1;
    }
    const char *at = memmem(a.p, a.n, needle.p, needle.n);
    return at ? at - a.p : -1;
}

sv sv_sub(sv a, size_t from, size_t n)
{
    if (a.p == NULL) {
        return SV_NULL;
    }
    if (from > a.n) {
        from = a.n;
    }
    if (n > a.n - from) {
        n = a.n - from;
    }
    return (sv){a.p + from, n};
}

sv sv_trim(sv a)
{
    while (a.n > 0 && is_space(a.p[0])) {
        a.p++;
        a.n--;
    }
    while (a.n > 0 && is_space(a.p[a.n - 1])) {
        a.n--;
    }
    return a;
}

sv sv_cut(sv *rest, char sep)
{
    sv head = *rest;
    ptrdiff_t at = sv_chr(*rest, sep);
    if (at < 0) {
        *rest = sv_sub(*rest, rest->n, 0);
        return head;
    }
    head.n = (size_t)at;
    *rest = sv_sub(*rest, head.n + 1, rest->n);
    return head;
}

bool sv_u64(sv a, uint64_t *out)
{
    uint64_t v = 0;
    if (a.n == 0) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(a.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool sv_i64(sv a, int64_t *out)
{
    bool negative = a.n > 0 && a.p[0] == '-';
    uint64_t v;
    if (!sv_u64(negative ? sv_sub(a, 1, a.n) : a, &v)) {
        return false;
    }
    if (negative) {
        if (v > (uint64_t)INT64_MAX + 1) {
            return false;
        }
        *out = v == 0 ? 0 : -(int64_t)(v - 1) - 1; /* in two steps: -INT64_MIN does not exist */
        return true;
    }
    if (v > (uint64_t)INT64_MAX) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}

uint64_t sv_hash(sv a)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a 64 offset basis and prime */
    for (size_t i = 0; i < a.n; i++) {
        h = (h ^ (unsigned char)a.p[i]) * 1099511628211u;
    }
    return h;
}

bool sv_copy(char *dst, size_t cap, sv a)
{
    if (cap == 0) {
        return false;
    }
    if (a.n >= cap) {
        dst[0] = '\0';
        return false;
    }
    if (a.n > 0) {
        memcpy(dst, a.p, a.n);
    }
    dst[a.n] = '\0';
    return true;
}
