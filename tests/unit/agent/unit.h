/*
 * unit.h: what every unit test of the agent includes.
 * Runs in: unit tests.     Owns: nothing.
 * Never: product code.
 * Tested in: itself a test tool.
 */
#ifndef TENAZA_TESTS_UNIT_AGENT_UNIT_H
#define TENAZA_TESTS_UNIT_AGENT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/sv.h"

/* The view holds exactly this text; prints both when not. */
#define assert_sv(view, text)                                                                      \
    do {                                                                                           \
        sv sv_is_ = (view);                                                                        \
        if (!sv_eqc(sv_is_, (text))) {                                                             \
            fail_msg("is \"%.*s\", should be \"%s\"", SV_ARG(sv_is_), (text));                     \
        }                                                                                          \
    } while (0)

#endif
