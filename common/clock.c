/*
 * clock.c: the two clocks, ISO 8601 text, durations and sizes.
 * Runs in: every process.     Owns: the test offset.
 * Never: mixes the clocks; uses the locale or the time zone of the process.
 * Tested in: tests/unit/common/test_clock.c
 */
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define DAY_MS 86400000
#define HOUR_MS 3600000
#define MINUTE_MS 60000
#define ISO_MAX_MS 253402300799999 /* 9999-12-31T23:59:59.999Z: RFC 3339 has four digits for the year */
#define ISO_MIN_MS (-62167219200000) /* 0000-01-01T00:00:00.000Z */

static int64_t test_mono_ms = -1;
static int64_t test_real_ms = -1;

void clock_test_set(int64_t mono_ms, int64_t real_ms)
{
    test_mono_ms = mono_ms;
    test_real_ms = real_ms;
}

int64_t clock_mono_us(void)
{
    if (test_mono_ms >= 0) {
        return test_mono_ms * 1000;
    }
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_real_us(void)
{
    if (test_real_ms >= 0) {
        return test_real_ms * 1000;
    }
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_real_ms(void)
{
    return clock_real_us() / 1000;
}

/*
 * Proleptic Gregorian calendar in pure arithmetic: years are taken to begin in March, so that the
 * leap day is the last one; an era is 400 years = 146097 days; 719468 days lie between 0000-03-01
 * and 1970-01-01.
 */
static int64_t days_of_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_of_days(int64_t days, int64_t *y, int64_t *m, int64_t *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = yoe + era * 400 + (*m <= 2);
}

static char *put_digits(char *at, int64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return at + width;
}

void clock_iso(int64_t real_ms, char dst[CLOCK_ISO_LEN])
{
    if (real_ms > ISO_MAX_MS) {
        real_ms = ISO_MAX_MS;
    } else if (real_ms < ISO_MIN_MS) {
        real_ms = ISO_MIN_MS;
    }
    int64_t days = real_ms / DAY_MS;
    int64_t ms = real_ms % DAY_MS;
    if (ms < 0) {
        ms += DAY_MS;
        days--;
    }
    int64_t y;
    int64_t m;
    int64_t d;
    civil_of_days(days, &y, &m, &d);
    char *at = put_digits(dst, y, 4);
    *at++ = '-';
    at = put_digits(at, m, 2);
    *at++ = '-';
    at = put_digits(at, d, 2);
    *at++ = 'T';
    at = put_digits(at, ms / HOUR_MS, 2);
    *at++ = ':';
    at = put_digits(at, ms / MINUTE_MS % 60, 2);
    *at++ = ':';
    at = put_digits(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = put_digits(at, ms % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}

void clock_iso_us(int64_t real_us, char dst[CLOCK_ISO_US_LEN])
{
    int64_t ms = real_us / 1000, us = real_us % 1000;
    if (us < 0) {
        us += 1000;
        ms--;
    }
    clock_iso(ms, dst);
    char *at = put_digits(dst + CLOCK_ISO_LEN - 2, us, 3);
    *at++ = 'Z';
    *at = '\0';
}

/* Takes exactly `width` digits from the front of *s. */
static bool take_digits(sv *s, size_t width, int64_t *out)
{
    uint64_t v;
    if (s->n < width || !sv_u64(sv_sub(*s, 0, width), &v)) {
        return false;
    }
    *s = sv_sub(*s, width, s->n);
    *out = (int64_t)v;
    return true;
}

static bool take_char(sv *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = sv_sub(*s, 1, s->n);
    return true;
}

/* ".123456" -> 123; digits after the third are dropped. Absent is 0. */
static bool take_fraction(sv *s, int64_t *ms)
{
    *ms = 0;
    if (!take_char(s, '.')) {
        return true;
    }
    int64_t scale = 100;
    size_t n = 0;
    while (s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
        *ms += (s->p[0] - '0') * scale;
        scale /= 10;
        n++;
        *s = sv_sub(*s, 1, s->n);
    }
    return n > 0;
}

static bool take_zone(sv *s, int64_t *offset_ms)
{
    *offset_ms = 0;
    if (take_char(s, 'Z') || take_char(s, 'z')) {
        return true;
    }
    int64_t sign = take_char(s, '-') ? -1 : take_char(s, '+') ? 1 : 0;
    int64_t h;
    int64_t m;
    if (sign == 0 || !take_digits(s, 2, &h) || !take_char(s, ':') || !take_digits(s, 2, &m) ||
        h > 23 || m > 59) {
        return false;
    }
    *offset_ms = sign * (h * HOUR_MS + m * MINUTE_MS);
    return true;
}

static int64_t month_length(int64_t y, int64_t m)
{
    static const int64_t len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return len[m - 1] + (m == 2 && leap);
}

bool clock_iso_parse(sv s, int64_t *real_ms)
{
    int64_t y;
    int64_t mo;
    int64_t d;
    int64_t h;
    int64_t mi;
    int64_t sec;
    int64_t ms;
    int64_t offset;
    if (!take_digits(&s, 4, &y) || !take_char(&s, '-') || !take_digits(&s, 2, &mo) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &d)) {
        return false;
    }
    if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' ')) {
        return false;
    }
    if (!take_digits(&s, 2, &h) || !take_char(&s, ':') || !take_digits(&s, 2, &mi) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &sec) || !take_fraction(&s, &ms) ||
        !take_zone(&s, &offset) || s.n != 0) {
        return false;
    }
    /* A leap second (60) is the first of the next minute: our clock has none. */
    if (mo < 1 || mo > 12 || d < 1 || d > month_length(y, mo) || h > 23 || mi > 59 || sec > 60) {
        return false;
    }
    *real_ms = days_of_civil(y, mo, d) * DAY_MS + h * HOUR_MS + mi * MINUTE_MS + sec * 1000 + ms -
               offset;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: the order in which parts of a duration must come. */
static const struct unit duration_units[] = {
    {"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", INT64_C(1) << 30}, {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10}, {"B", 1},
};

/*
 * One "<number><unit>" at the front of *s, added to *sum. *first is the first unit still allowed; it
 * moves behind the one that was found, so that each unit comes at most once and in order.
 */
static bool take_part(sv *s, const struct unit *units, size_t n, size_t *first, int64_t *sum)
{
    size_t digits = 0;
    while (digits < s->n && s->p[digits] >= '0' && s->p[digits] <= '9') {
        digits++;
    }
    size_t letters = digits;
    while (letters < s->n && (s->p[letters] < '0' || s->p[letters] > '9')) {
        letters++;
    }
    int64_t v;
    if (!sv_i64(sv_sub(*s, 0, digits), &v)) {
        return false;
    }
    sv name = sv_sub(*s, digits, letters - digits);
    for (size_t i = *first; i < n; i++) {
        if (sv_eqc(name, units[i].name)) {
            int64_t part;
            if (__builtin_mul_overflow(v, units[i].factor, &part) ||
                __builtin_add_overflow(*sum, part, sum)) {
                return false;
            }
            *first = i + 1;
            *s = sv_sub(*s, letters, s->n);
            return true;
        }
    }
    return false;
}

bool duration_parse(sv s, int64_t *ms)
{
    int64_t sum = 0;
    size_t first = 0;
    if (sv_eq(s, SV("0"))) {
        *ms = 0;
        return true;
    }
    do {
        if (!take_part(&s, duration_units, ARRAY_LEN(duration_units), &first, &sum)) {
            return false;
        }
    } while (s.n > 0);
    *ms = sum;
    return true;
}

bool size_parse(sv s, int64_t *bytes)
{
    int64_t sum = 0;
    size_t first = 0;
    if (sv_eq(s, SV("0"))) {
        *bytes = 0;
        return true;
    }
    if (!take_part(&s, size_units, ARRAY_LEN(size_units), &first, &sum) || s.n != 0) {
        return false;
    }
    *bytes = sum;
    return true;
}

void duration_print(int64_t ms, char *dst, size_t cap)
{
    if (cap == 0) {
        return;
    }
    dst[0] = '\0';
    if (ms < 0) {
        ms = 0;
    }
    int64_t s = ms / 1000;
    if (ms < 1000) {
        snprintf(dst, cap, "%" PRId64 " ms", ms);
    } else if (s < 60) {
        snprintf(dst, cap, "%" PRId64 " s", s);
    } else if (s < 3600) {
        snprintf(dst, cap, "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(dst, cap, "%" PRId64 " h %02" PRId64 " min", s / 3600, s / 60 % 60);
    } else {
        snprintf(dst, cap, "%" PRId64 " d %02" PRId64 ":%02" PRId64, s / 86400, s / 3600 % 24,
                 s / 60 % 60);
    }
}
