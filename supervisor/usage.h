/*
 * usage.h: memory and processor time of a process, from /proc.
 * Runs in: supervisor.     Owns: nothing.
 * Never: waits; fails: what cannot be read is 0.
 * Tested in: tests/unit/supervisor/test_metrics.c
 */
#ifndef TENAZA_SUPERVISOR_USAGE_H
#define TENAZA_SUPERVISOR_USAGE_H

#include <stdint.h>
#include <sys/types.h>

struct usage {
    uint64_t rss_kb, cpu_ms;
};

/* pid 0: nothing. */
struct usage usage_of(pid_t pid);

#endif
