/*
 * slot.h: one rhythm for everything periodic in a process, so that an idle worker wakes rarely.
 * Runs in: every worker.     Owns: nothing.
 * Never: for deadlines; only for things that may come a little early (beats, HELLO, status lines).
 * Tested in: tests/unit/runtime/test_peers.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_SLOT_H
#define TENAZA_WORKERS_RUNTIME_SLOT_H

#include <stdint.h>
#include <unistd.h>

#include "common/clock.h"

/* Milliseconds until the next slot of this period (ms): multiples of it on the monotonic clock, shifted by the
 * pid, so that the workers of one gateway do not all wake at once. Periods that divide each other share wake-ups.
 * Between half a period and one and a half. */
static inline int64_t slot_wait_ms(int64_t period_ms)
{
    int64_t shifted = clock_mono_ms() + (int64_t)getpid() * 619;
    int64_t wait = period_ms - shifted % period_ms;
    return wait < period_ms / 2 ? wait + period_ms : wait;
}

#endif
