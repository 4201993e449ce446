/*
 * tz.h: local time of any IANA zone, read from the system's zone files.
 * Runs in: agent, edge, cron, command line.     Owns: zones that were loaded, until tz_free_all.
 * Never: touches the process's own TZ; opens a path that the name could steer outside the zone folder.
 * Tested in: tests/unit/common/test_tz.c
 */
#ifndef TENAZA_COMMON_TZ_H
#define TENAZA_COMMON_TZ_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/sv.h"

struct tz;

struct tz_time {
    int year, month, day;      /* 1-based month and day */
    int hour, minute, second;
    int weekday;               /* 0 = Sunday */
    int offset_s;              /* east of UTC */
    char abbr[12];             /* "CET" */
};

/* NULL: no such zone (or its file is unreadable). "UTC" needs no file. */
const struct tz *tz_get(sv name);
/* A zone from the bytes of a zone file; for tests and fuzzing. NULL when malformed. */
struct tz *tz_parse(sv bytes);
void tz_free(struct tz *z);
void tz_free_all(void);
void tz_local(const struct tz *z, int64_t unix_s, struct tz_time *out);
/* Name of the zone of this machine: TZ, /etc/localtime, /etc/timezone, else "UTC". */
void tz_system_name(char *dst, size_t cap);
const char *tz_weekday(int weekday); /* "Friday" */

#endif
