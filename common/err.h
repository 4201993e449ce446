/*
 * err.h: the one set of error codes, and the two ways a process ends by its own decision.
 * Runs in: every process.     Owns: nothing.
 * Never: logs an error that it also returns (who handles it logs it).
 * Tested in: tests/unit/common/test_err.c
 */
#ifndef TENAZA_COMMON_ERR_H
#define TENAZA_COMMON_ERR_H

#include <stdbool.h>

#include "common/attrs.h"

enum err {
    OK = 0,
#define ERR(num, name, retryable, text) ERR_##name = -(num),
#include "proto/errors.def"
#undef ERR
};

const char *err_name(int err); /* "BUSY"; "OK" for 0; "?" for an unknown code */
const char *err_text(int err); /* one sentence for people */
bool err_retryable(int err);
int err_from_name(const char *name); /* ERR_INTERNAL when unknown */

/* Exit codes, sysexits(3): they tell the supervisor and systemd whether a restart helps (cli.md 1.3). */
enum {
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69, /* temporary: back off, not counted as a crash */
    EXIT_INTERNAL = 70,
    EXIT_CANTCREAT = 73,
    EXIT_TEMPFAIL = 75, /* temporary, or state locked by another instance */
    EXIT_NOPERM = 77,
    EXIT_CONFIG = 78, /* needs the operator: no restart until the configuration changes */
};

/* The environment is broken: log and exit with `code`. */
void die(int code, const char *fmt, ...) ATTR_NORETURN ATTR_PRINTF(2, 3);
/* Our own bug: leave last words and abort. */
#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
void panic_at(const char *file, int line, const char *fmt, ...) ATTR_NORETURN ATTR_PRINTF(3, 4);
#define ASSERT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            panic("assertion failed: %s", #cond);                                                  \
        }                                                                                          \
    } while (0)
/* Called with the formatted text before abort(); the worker runtime hooks its last-words writer in. */
extern void (*panic_hook)(const char *text);

#endif
