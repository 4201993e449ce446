/*
 * clock.h: the two clocks, replaceable in tests, and text forms of times and durations.
 * Runs in: every process.     Owns: the test offset.
 * Never: mixes the clocks: deadlines are monotonic, records are real time.
 * Tested in: tests/unit/common/test_clock.c
 */
#ifndef TENAZA_COMMON_CLOCK_H
#define TENAZA_COMMON_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_real_ms(void);
int64_t clock_real_us(void);
/* Tests: freeze both clocks at these values; a negative value thaws. */
void clock_test_set(int64_t mono_ms, int64_t real_ms);

#define CLOCK_ISO_LEN 25
/* "2026-11-20T18:04:31.123Z"; dst holds CLOCK_ISO_LEN bytes. */
void clock_iso(int64_t real_ms, char dst[CLOCK_ISO_LEN]);
#define CLOCK_ISO_US_LEN 28
/* The same with microseconds: "2026-11-20T18:04:31.123456Z". */
void clock_iso_us(int64_t real_us, char dst[CLOCK_ISO_US_LEN]);
/* RFC 3339 with a zone ("Z" or an offset), seconds optional fraction; false when malformed. */
bool clock_iso_parse(sv s, int64_t *real_ms);

/* "90s" "30m" "1h30m" "7d" "250ms" -> milliseconds; a bare number is refused except "0". */
bool duration_parse(sv s, int64_t *ms);
/* "64MiB" "16GiB" "512KiB" "100B" -> bytes; a bare number is refused except "0". */
bool size_parse(sv s, int64_t *bytes);
void duration_print(int64_t ms, char *dst, size_t cap); /* "3 d 04:12", "41 s", "180 ms" */

#endif
