/*
 * kinds.c: the rows of workers/workers.def.
 * Runs in: supervisor, command line.     Owns: the constant table.
 * Never: logic.
 * Tested in: tests/unit/supervisor/test_conf_section.c
 */
#include "supervisor/kinds.h"

const struct worker_kind worker_kinds[WK_COUNT] = {
#define WORKER(kind, exe, order, instances, on_exhausted, stop_ms, planes, overlap, doc)           \
    {WK_##kind, #kind, exe, order, WI_##instances, WX_##on_exhausted, stop_ms, WP_##planes, overlap, doc},
#include "workers/workers.def"
#undef WORKER
};
