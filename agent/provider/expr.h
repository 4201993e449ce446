/*
 * expr.h: arithmetic of the offline responder: + - * / % ^, brackets, sqrt, pi.
 * Runs in: agent.     Owns: nothing; pure.
 * Never: evaluates anything but numbers, recurses deeper than 40.
 * Tested in: tests/unit/agent/test_expr.c; fuzzed by tests/fuzz/fuzz_provider.c
 */
#ifndef TENAZA_AGENT_PROVIDER_EXPR_H
#define TENAZA_AGENT_PROVIDER_EXPR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attrs.h"
#include "common/sv.h"

enum expr_result { EXPR_OK, EXPR_NOT, EXPR_DIV_ZERO, EXPR_RANGE };

/* EXPR_NOT: the text is not (wholly) an expression. ops: operators used, 0 for a bare number. */
enum expr_result expr_eval(sv text, double *value, unsigned *ops) ATTR_NODISCARD;
/* "5", "2.5", "1.2e+21": whole numbers below 1e15 without a point, else ten significant digits. */
void expr_print(double value, char *dst, size_t cap);

#endif
