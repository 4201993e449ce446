/*
 * cronexpr.h: cron expressions with time zones: parsed once, then the next time they name.
 * Runs in: edge, cron, command line.     Owns: nothing; pure but for the zone files (tz.h).
 * Never: invents a wall time that a clock change skips, or runs a fixed time twice when the hour comes twice.
 * Tested in: tests/unit/common/test_cronexpr.c; fuzzed by tests/fuzz/fuzz_cronexpr.c
 *
 * Five fields (minute hour day month weekday) or six (second first). Names (jan, MON), ranges, lists, steps, 7 for
 * Sunday, ? for *, L (last day), nW (weekday nearest to day n), DOW#k (k-th of the month), DOWL (last of the month),
 * @hourly @daily @midnight @weekly @monthly @yearly @annually. Day and weekday both given: one of them is enough; a
 * + before the weekday: both are needed.
 */
#ifndef TENAZA_COMMON_CRONEXPR_H
#define TENAZA_COMMON_CRONEXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"
#include "common/tz.h"

struct cronexpr {
    uint64_t second, minute;
    uint32_t hour, day; /* day: bits 1..31 */
    uint16_t month;     /* bits 1..12 */
    uint8_t weekday;    /* bits 0..6 */
    bool any_day, any_weekday, both_days;
    bool last_day;
    uint32_t near;      /* nW: bits 1..31 */
    uint8_t last_of;    /* DOWL: bits 0..6 */
    uint8_t nth[7];     /* DOW#k: bits 1..5 */
    bool running;       /* minute or hour is a pattern over all hours: it also runs in the hour that comes twice */
    bool top_of_hour;   /* minute 0 of every hour or of a pattern of hours */
};

/* False: `why` says which field is wrong. */
bool cronexpr_parse(sv text, struct cronexpr *out, char *why, size_t cap);
/* First time (ms, whole seconds) behind after_ms; 0: none within eight years. */
int64_t cronexpr_next(const struct cronexpr *x, const struct tz *zone, int64_t after_ms);

#endif
