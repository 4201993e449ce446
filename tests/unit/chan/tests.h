/*
 * tests.h: cmocka with the headers that it wants before it, for the tests of the channel workers.
 * Runs in: unit tests.     Owns: nothing.
 * Never: is included by product code.
 * Tested in: every file of this folder that includes it.
 */
#ifndef TENAZA_TESTS_UNIT_CHAN_TESTS_H
#define TENAZA_TESTS_UNIT_CHAN_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "common/attrs.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/sv.h"

static inline void assert_sv(sv got, const char *want)
{
    if (got.n != strlen(want) || (got.n && memcmp(got.p, want, got.n) != 0)) {
        fail_msg("got \"%.*s\", wanted \"%s\"", SV_ARG(got), want);
    }
}

#endif
