/*
 * schedule.c: see schedule.h.
 * Runs in: edge, cron, command line.     Owns: nothing.
 * Never: drifts: `every` counts from its anchor, whatever was missed.
 * Tested in: tests/unit/common/test_schedule.c
 */
#include "common/schedule.h"

#include <stdio.h>

#include "common/cronexpr.h"

#define MS_MAX 8640000000000000 /* what clients can write */

static const struct tz *zone_of(const struct schedule *s)
{
    char name[64];
    if (s->tz.n > 0) {
        return tz_get(s->tz);
    }
    tz_system_name(name, sizeof name);
    return tz_get(sv_of(name));
}

static int64_t next_cron(const struct schedule *s, int64_t after_ms)
{
    struct cronexpr x;
    char why[128];
    const struct tz *zone = zone_of(s);
    if (zone == NULL || !cronexpr_parse(s->expr, &x, why, sizeof why)) {
        return 0;
    }
    int64_t next = cronexpr_next(&x, zone, after_ms - s->offset_ms);
    return next > 0 ? next + s->offset_ms : 0;
}

int64_t schedule_next(const struct schedule *s, int64_t after_ms)
{
    if (sv_eqc(s->kind, "at")) {
        return s->at_ms > after_ms ? s->at_ms : 0;
    }
    if (sv_eqc(s->kind, "every") && s->every_ms > 0) {
        if (after_ms < s->anchor_ms) {
            return s->anchor_ms;
        }
        int64_t periods = (after_ms - s->anchor_ms) / s->every_ms + 1;
        return periods < (MS_MAX - s->anchor_ms) / s->every_ms ? s->anchor_ms + periods * s->every_ms : 0;
    }
    return sv_eqc(s->kind, "cron") ? next_cron(s, after_ms) : 0;
}

bool schedule_check(const struct schedule *s, int64_t now_ms, char *why, size_t cap)
{
    struct cronexpr x;
    if (sv_eqc(s->kind, "at")) {
        snprintf(why, cap, "the time is not a time");
        return s->at_ms > 0 && s->at_ms <= MS_MAX;
    }
    if (sv_eqc(s->kind, "every")) {
        snprintf(why, cap, "everyMs must be from %d to %lld, anchorMs not negative", SCHEDULE_GAP_MS, (long long)MS_MAX);
        return s->every_ms >= SCHEDULE_GAP_MS && s->every_ms <= MS_MAX && s->anchor_ms >= 0 && s->anchor_ms <= MS_MAX;
    }
    if (!sv_eqc(s->kind, "cron")) {
        snprintf(why, cap, "the kind must be at, every or cron");
        return false;
    }
    if (!cronexpr_parse(s->expr, &x, why, cap)) {
        return false;
    }
    if (zone_of(s) == NULL) {
        snprintf(why, cap, "there is no time zone \"%.*s\"", SV_ARG(sv_sub(s->tz, 0, 64)));
        return false;
    }
    snprintf(why, cap, "the expression names no time within eight years");
    return schedule_next(s, now_ms) > 0;
}
