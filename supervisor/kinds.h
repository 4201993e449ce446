/*
 * kinds.h: the process table of workers/workers.def as C types.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: a fact about a kind of worker that is not in its row.
 * Tested in: tests/unit/supervisor/test_conf_section.c
 */
#ifndef TENAZA_SUPERVISOR_KINDS_H
#define TENAZA_SUPERVISOR_KINDS_H

#include <stdint.h>

enum worker_id {
#define WORKER(kind, exe, order, instances, on_exhausted, stop_ms, planes, overlap, doc) WK_##kind,
#include "workers/workers.def"
#undef WORKER
    WK_COUNT,
};

enum worker_instances { WI_ONE, WI_COUNT, WI_ACCOUNT };
enum worker_exhausted { WX_ESCALATE, WX_PARK };
enum worker_hubs { WP_NONE, WP_STORE, WP_BUS, WP_BOTH };

struct worker_kind {
    enum worker_id id;
    const char *name;
    const char *exe;
    int order;
    enum worker_instances instances;
    enum worker_exhausted on_exhausted;
    int64_t stop_ms;
    enum worker_hubs planes;
    int64_t overlap_ms;
    const char *doc;
};

/* One row per worker_id, in the order of the table. */
extern const struct worker_kind worker_kinds[WK_COUNT];

#endif
