/*
 * schedule.h: when a job runs next: once at a time, every so often, or by a cron expression.
 * Runs in: edge, cron, command line.     Owns: nothing.
 * Never: reads a clock.
 * Tested in: tests/unit/common/test_schedule.c
 */
#ifndef TENAZA_COMMON_SCHEDULE_H
#define TENAZA_COMMON_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

/* Between two starts of one job (automation.md 1.6). */
#define SCHEDULE_GAP_MS 2000

struct schedule {
    sv kind;            /* at every cron */
    int64_t at_ms;      /* at */
    int64_t every_ms, anchor_ms;
    sv expr, tz;        /* cron; tz: an IANA zone, empty: that of this machine */
    int64_t offset_ms;  /* cron: added to every occurrence, so that jobs of the full hour do not start together */
};

/* False: `why` says what is wrong. Also refused: an expression that never comes true. */
bool schedule_check(const struct schedule *s, int64_t now_ms, char *why, size_t cap);
/* The first time behind after_ms; 0: never (again). */
int64_t schedule_next(const struct schedule *s, int64_t after_ms);

#endif
