/*
 * sandbox.h: the walls around a worker: what its profile (sandbox.def) allows, and which of it this kernel can enforce.
 * Runs in: every worker.     Owns: the report of what stands.
 * Never: takes a wall down again; stops a worker because the kernel is too old (it says so instead).
 * Tested in: tests/unit/runtime/test_sandbox.c, tests/scn/s1-walls.test.mjs
 *
 * Order: sandbox_begin before the section is read, sandbox_files before the first thread exists (Landlock binds the
 * calling thread and what it starts later), sandbox_calls when everything is loaded.
 */
#ifndef TENAZA_WORKERS_RUNTIME_SANDBOX_H
#define TENAZA_WORKERS_RUNTIME_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

/* Bits of walls.def. */
enum wall {
#define WALL(NAME, word, holds, lost) WALL_##NAME,
#include "workers/runtime/walls.def"
#undef WALL
    WALL_COUNT,
};
#define WALL_BIT(NAME) (UINT32_C(1) << WALL_##NAME)

enum sandbox_net { SANDBOX_NONE, SANDBOX_ACCEPT, SANDBOX_OUT };

/* A row of sandbox.def. */
struct sandbox_profile {
    const char *kind;
    enum sandbox_net net;
    unsigned bit; /* S(kind) */
};

struct sandbox {
    const struct sandbox_profile *profile; /* NULL: a kind without one (tests), nothing is done */
    bool off;                              /* supervisor.sandbox = "off" */
    uint32_t wanted, held;                 /* WALL_BIT */
    int landlock;                          /* ABI of the kernel, 0: none */
    char why[256];                         /* what could not be done and why; "" */
};

/* kind as in workers.def. Closes the memory of the process (no core dump, no debugger, nothing executable). */
void sandbox_begin(struct sandbox *b, const char *kind);
/* The section says whether the sandbox is on. Landlock: paths and TCP. */
void sandbox_files(struct sandbox *b, const struct conf *conf);
/* seccomp, for all threads that exist and will exist. */
void sandbox_calls(struct sandbox *b);
/* For the control message SECURITY: held in the low half, wanted in the high one. */
uint64_t sandbox_bits(const struct sandbox *b);
/* A file of the resolver was replaced since sandbox_files: the rule stands on the old one, names cannot be looked up
 * until the worker is started again. */
bool sandbox_is_stale(void);

/* Sanitizers start processes and trace themselves: no seccomp and no closed memory in their builds. */
bool sandbox_is_test_build(void);

/* Parts of the above (sandbox_landlock.c, sandbox_calls.c). */
void sandbox_landlock(struct sandbox *b, const struct conf *conf);
int sandbox_seccomp(const struct sandbox_profile *p) ATTR_NODISCARD; /* 0 or -errno */
void sandbox_lost(struct sandbox *b, const char *fmt, ...) ATTR_PRINTF(2, 3);

#endif
