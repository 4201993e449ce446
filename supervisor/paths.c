/*
 * paths.c: default places of state and configuration.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: makes a directory.
 * Tested in: tests/unit/supervisor/test_paths.c
 */
#include "supervisor/paths.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *env(const char *name)
{
    const char *v = getenv(name);

    return v != NULL && v[0] != '\0' ? v : NULL;
}

static bool format(char *dst, size_t cap, const char *fmt, ...) ATTR_PRINTF(3, 4);
static bool format(char *dst, size_t cap, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(dst, cap, fmt, ap);
    va_end(ap);
    return n > 0 && (size_t)n < cap;
}

const char *paths_state_given(const char *given)
{
    return given != NULL ? given : env("TENAZA_STATE_DIR");
}

bool paths_default_state(char *dst, size_t cap)
{
    if (geteuid() == 0) {
        return format(dst, cap, "/var/lib/tenaza");
    }
    if (env("XDG_STATE_HOME") != NULL) {
        return format(dst, cap, "%s/tenaza", env("XDG_STATE_HOME"));
    }
    return env("HOME") != NULL && format(dst, cap, "%s/.local/state/tenaza", env("HOME"));
}

bool paths_config(const char *given, const char *state, char *dst, size_t cap)
{
    if (given == NULL) {
        given = env("TENAZA_CONFIG");
    }
    if (given != NULL) {
        return format(dst, cap, "%s", given);
    }
    if (state != NULL && format(dst, cap, "%s/tenaza.conf", state) && access(dst, F_OK) == 0) {
        return true;
    }
    bool ok;
    if (geteuid() == 0) {
        ok = format(dst, cap, "/etc/tenaza/tenaza.conf");
    } else if (env("XDG_CONFIG_HOME") != NULL) {
        ok = format(dst, cap, "%s/tenaza/tenaza.conf", env("XDG_CONFIG_HOME"));
    } else {
        ok = env("HOME") != NULL && format(dst, cap, "%s/.config/tenaza/tenaza.conf", env("HOME"));
    }
    return ok && access(dst, F_OK) == 0;
}
