/*
 * tests.h: what every unit test of the edge includes.
 * Runs in: unit tests.     Owns: nothing.
 * Never: helpers that hide what is asserted.
 * Tested in: every file that includes it.
 */
#ifndef TENAZA_TESTS_UNIT_EDGE_TESTS_H
#define TENAZA_TESTS_UNIT_EDGE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/sv.h"

#define assert_sv(a, text)                                                                         \
    do {                                                                                           \
        sv assert_sv_ = (a);                                                                       \
        if (!sv_eqc(assert_sv_, (text))) {                                                         \
            fail_msg("\"%.*s\" is not \"%s\"", SV_ARG(assert_sv_), (text));                        \
        }                                                                                          \
    } while (0)

#endif
