/*
 * tests.h: cmocka with the headers that it wants before it, and two helpers for views.
 * Runs in: unit tests.     Owns: nothing.
 * Never: is included by product code.
 * Tested in: every file of this folder that includes it.
 */
#ifndef TENAZA_TESTS_UNIT_COMMON_TESTS_H
#define TENAZA_TESTS_UNIT_COMMON_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/sv.h"

static inline void assert_sv(sv got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    if (got.n > 0) {
        assert_memory_equal(got.p, want, got.n);
    }
}

static inline void assert_buf(const struct buf *b, const char *want)
{
    assert_sv(buf_view(b), want);
}

#endif
