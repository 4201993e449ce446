/*
 * err.c: names and texts of the error codes, die, panic and the crash points.
 * Runs in: every process.     Owns: panic_hook.
 * Never: returns from die or panic; allocates on the way out.
 * Tested in: tests/unit/common/test_err.c
 */
#include "common/err.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sv.h"

void (*panic_hook)(const char *text);

static const struct err_row {
    const char *name, *text;
    int code;
    bool retryable;
} rows[] = {
    {"OK", "no error", OK, false},
#define ERR(num, name, retryable, text) {#name, text, -(num), retryable},
#include "proto/errors.def"
#undef ERR
};

static const struct err_row *row_of(int err)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].code == err) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *err_name(int err)
{
    const struct err_row *r = row_of(err);
    return r ? r->name : "?";
}

const char *err_text(int err)
{
    const struct err_row *r = row_of(err);
    return r ? r->text : "unknown error";
}

bool err_retryable(int err)
{
    const struct err_row *r = row_of(err);
    return r != NULL && r->retryable;
}

int err_from_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].code;
        }
    }
    return ERR_INTERNAL;
}

void die(int code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_at(NULL, LOG_L_ERROR, "%s", text);
    exit(code);
}

void panic_at(const char *file, int line, const char *fmt, ...)
{
    static bool again;
    if (again) {
        abort(); /* the way out failed too: nothing more can be said safely */
    }
    again = true;
    char text[1024];
    while (strncmp(file, "../", 3) == 0) {
        file += 3; /* paths are relative to the build folder */
    }
    int n = snprintf(text, sizeof(text), "%s:%d: ", file, line);
    size_t at = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + at, sizeof(text) - at, fmt, ap);
    va_end(ap);
    log_at(NULL, LOG_L_ERROR, "panic: %s", text);
    if (panic_hook != NULL) {
        panic_hook(text);
    }
    abort();
}

#ifdef TENAZA_CRASH_POINTS
/* TENAZA_CRASH_AT is read at the first point that is passed: "site" or "site:n", n counted from 1. */
void crash_point(const char *site)
{
    static bool known;
    static char want[128];
    static uint64_t left;
    if (!known) {
        known = true;
        sv name = sv_of(getenv("TENAZA_CRASH_AT"));
        ptrdiff_t colon = sv_chr(name, ':');
        left = 1;
        if (colon >= 0) {
            if (!sv_u64(sv_sub(name, (size_t)colon + 1, name.n), &left) || left == 0) {
                die(EXIT_USAGE, "TENAZA_CRASH_AT: the number after the colon must be 1 or more");
            }
            name.n = (size_t)colon;
        }
        if (!sv_copy(want, sizeof(want), name)) {
            die(EXIT_USAGE, "TENAZA_CRASH_AT: longer than %zu bytes", sizeof(want) - 1);
        }
    }
    if (want[0] != '\0' && strcmp(site, want) == 0 && --left == 0) {
        kill(getpid(), SIGKILL);
    }
}
#endif
