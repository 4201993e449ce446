/*
 * tz_rule.h: the POSIX rule at the end of a zone file ("CET-1CEST,M3.5.0,M10.5.0/3") and calendar arithmetic.
 * Runs in: agent, edge, cron, command line.     Owns: nothing; pure.
 * Never: input or output.
 * Tested in: tests/unit/common/test_tz.c
 */
#ifndef TENAZA_COMMON_TZ_RULE_H
#define TENAZA_COMMON_TZ_RULE_H

#include "common/tz.h"

struct tz_rule_side {
    int offset_s; /* east of UTC */
    char abbr[12];
};

struct tz_rule_date {
    char kind; /* 'M' month.week.day, 'J' day 1..365 without 29 February, 'N' day 0..365 */
    int month, week, day;
    int time_s; /* local wall time */
};

struct tz_rule {
    struct tz_rule_side std, dst;
    struct tz_rule_date start, end; /* of daylight saving time */
    bool has_dst;
};

bool tz_rule_parse(sv text, struct tz_rule *out);
const struct tz_rule_side *tz_rule_at(const struct tz_rule *r, int64_t unix_s);
/* Fills date, time and weekday from local seconds. */
void tz_civil(int64_t local_s, struct tz_time *out);
/* Days since 1970-01-01 of a proleptic Gregorian date. */
int64_t tz_days(int64_t year, int month, int day);

#endif
