/*
 * sandbox.c: raises the walls of a worker's profile in their order and keeps the report.
 * Runs in: every worker.     Owns: the report.
 * Never: takes a wall down again.
 * Tested in: tests/unit/runtime/test_sandbox.c, tests/scn/s1-walls.test.mjs
 */
#include "workers/runtime/sandbox.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/attrs.h"
#include "common/log.h"

#include "workers/runtime/sandbox_bits.h"

/* Linux 6.3; the headers of Debian 12 do not know it. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static const struct sandbox_profile profiles[] = {
#define SANDBOX(kind, user, net, files, processes, memory, doc) {#kind, SANDBOX_##net, S(kind)},
#include "workers/runtime/sandbox.def"
};

bool sandbox_is_test_build(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

void sandbox_lost(struct sandbox *b, const char *fmt, ...)
{
    size_t n = strlen(b->why);
    va_list ap;

    n += (size_t)snprintf(b->why + n, sizeof b->why - n, "%s", n > 0 ? "; " : "");
    va_start(ap, fmt);
    if (n < sizeof b->why) {
        (void)vsnprintf(b->why + n, sizeof b->why - n, fmt, ap);
    }
    va_end(ap);
}

static uint32_t wanted_of(const struct sandbox_profile *p)
{
    uint32_t all = WALL_BIT(USER) | WALL_BIT(FILES) | WALL_BIT(EXEC) | WALL_BIT(CALLS) | WALL_BIT(SOCKETS) |
                   WALL_BIT(PEERS) | WALL_BIT(PRIVILEGES) | WALL_BIT(DUMP) | WALL_BIT(CODE) | WALL_BIT(HANDLES);

    return p->net == SANDBOX_ACCEPT ? all | WALL_BIT(CONNECT) : all;
}

/* Memory: the section with its secrets has not been read yet. */
static void close_memory(struct sandbox *b)
{
    const struct rlimit none = {0, 0};

    if (sandbox_is_test_build()) {
        sandbox_lost(b, "a sanitizer build: no seccomp, memory not closed");
        return;
    }
    if (setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) {
        b->held |= WALL_BIT(DUMP);
    }
}

void sandbox_begin(struct sandbox *b, const char *kind)
{
    *b = (struct sandbox){0};
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
        if (strcmp(profiles[i].kind, kind) == 0) {
            b->profile = &profiles[i];
        }
    }
    if (b->profile != NULL) {
        b->wanted = wanted_of(b->profile);
        close_memory(b);
    }
}

/* What the supervisor did before our program began. */
static void look_around(struct sandbox *b, const struct conf *conf)
{
    struct rlimit r;
    int64_t own = conf_int(conf, "sandbox.uid", -1);

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        b->held |= WALL_BIT(PRIVILEGES);
    }
    if (own > 0 && getuid() == (uid_t)own && geteuid() == (uid_t)own) {
        b->held |= WALL_BIT(USER);
    }
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && conf_int(conf, "sandbox.files", 0) > 0 &&
        r.rlim_max <= (rlim_t)conf_int(conf, "sandbox.files", 0)) {
        b->held |= WALL_BIT(HANDLES);
    }
}

void sandbox_files(struct sandbox *b, const struct conf *conf)
{
    if (b->profile == NULL) {
        return;
    }
    look_around(b, conf);
    b->off = strcmp(conf_str(conf, "supervisor.sandbox", "on"), "off") == 0;
    if (b->off) {
        sandbox_lost(b, "supervisor.sandbox = \"off\"");
        return;
    }
    if (!sandbox_is_test_build() && prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0) {
        b->held |= WALL_BIT(CODE);
    }
    sandbox_landlock(b, conf);
}

void sandbox_calls(struct sandbox *b)
{
    if (b->profile == NULL || b->off || sandbox_is_test_build()) {
        return;
    }
    int rc = sandbox_seccomp(b->profile);
    if (rc != 0) {
        sandbox_lost(b, "seccomp: %s", strerror(-rc));
        log_warn("no filter of system calls: %s", strerror(-rc));
        return;
    }
    b->held |= WALL_BIT(EXEC) | WALL_BIT(CALLS) | WALL_BIT(SOCKETS) | WALL_BIT(PEERS) | WALL_BIT(CODE);
}

uint64_t sandbox_bits(const struct sandbox *b)
{
    return (uint64_t)b->wanted << 32 | b->held;
}
