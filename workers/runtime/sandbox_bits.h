/*
 * sandbox_bits.h: kinds of workers as bits, for the tables of the sandbox.
 * Runs in: every worker, supervisor.     Owns: nothing.
 * Never: more kinds than bits.
 * Tested in: tests/unit/runtime/test_sandbox.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_SANDBOX_BITS_H
#define TENAZA_WORKERS_RUNTIME_SANDBOX_BITS_H

enum sandbox_kind {
#define WORKER(kind, exe, order, instances, on_exhausted, stop_ms, planes, overlap, doc) SK_##kind,
#include "workers/workers.def"
#undef WORKER
    SK_COUNT,
};

#define S(kind) (1u << SK_##kind)
#define S_ALL ((1u << SK_COUNT) - 1u)

#endif
