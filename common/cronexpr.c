/*
 * cronexpr.c: see cronexpr.h. The search walks instants, not civil times: a wall time that a clock change skips
 *             has no instant, and one that comes twice is seen twice and can be told apart.
 * Runs in: edge, cron, command line.     Owns: nothing.
 * Never: searches further than eight years.
 * Tested in: tests/unit/common/test_cronexpr.c
 */
#include "common/cronexpr.h"

#include <stdio.h>

#include "common/attrs.h"
#include "common/text.h"

#define HOURS_MAX (8L * 366 * 24)
#define FIELD_MAX 256 /* bytes of a whole expression */

struct field {
    const char *label;
    int min, max;
    const char *const *names; /* of `min` and so on, NULL: none */
};

static const char *const MONTHS[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const DAYS[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field FIELDS[] = {{"second", 0, 59, NULL}, {"minute", 0, 59, NULL}, {"hour", 0, 23, NULL},
                                      {"day", 1, 31, NULL},    {"month", 1, 12, MONTHS}, {"weekday", 0, 7, DAYS}};
enum { F_SECOND, F_MINUTE, F_HOUR, F_DAY, F_MONTH, F_WEEKDAY, F_COUNT };

/* ---- parsing --------------------------------------------------------------------------------------- */

static bool value(const struct field *f, sv s, int *out)
{
    uint64_t n;
    for (int i = 0; f->names != NULL && f->names[i] != NULL; i++) {
        if (sv_eq_nocase(s, sv_of(f->names[i]))) {
            *out = f->min + i;
            return true;
        }
    }
    if (!sv_u64(s, &n) || n > 99 || (int)n < f->min || (int)n > f->max) {
        return false;
    }
    *out = (int)n;
    return true;
}

static bool is_any(sv s)
{
    return sv_eqc(s, "*") || sv_eqc(s, "?");
}

/* "a", "a-b", "*", each with "/step", as bits. */
static bool range(const struct field *f, sv s, uint64_t *bits)
{
    ptrdiff_t slash = sv_chr(s, '/');
    uint64_t step = 1;
    sv span = slash >= 0 ? sv_sub(s, 0, (size_t)slash) : s;
    if (slash >= 0 && (!sv_u64(sv_sub(s, (size_t)slash + 1, s.n), &step) || step == 0 || step > 99)) {
        return false;
    }
    int from = f->min, to = f->names == DAYS ? 6 : f->max;
    ptrdiff_t dash = sv_chr(span, '-');
    if (!is_any(span)) {
        if (!value(f, dash > 0 ? sv_sub(span, 0, (size_t)dash) : span, &from)) {
            return false;
        }
        if (dash > 0) {
            if (!value(f, sv_sub(span, (size_t)dash + 1, span.n), &to) || to < from) {
                return false;
            }
        } else if (slash < 0) {
            to = from;
        }
    }
    for (int v = from; v <= to; v += (int)step) {
        *bits |= (uint64_t)1 << v;
    }
    return true;
}

/* What only days know: L, nW. */
static bool special_day(sv s, struct cronexpr *x)
{
    uint64_t n;
    if (sv_eq_nocase(s, SV("L"))) {
        x->last_day = true;
        return true;
    }
    bool near = s.n > 1 && (s.p[s.n - 1] == 'W' || s.p[s.n - 1] == 'w');
    if (!near || !sv_u64(sv_sub(s, 0, s.n - 1), &n) || n < 1 || n > 31) {
        return false;
    }
    x->near |= (uint32_t)1 << n;
    return true;
}

/* What only weekdays know: DOW#k, DOWL. */
static bool special_weekday(sv s, struct cronexpr *x)
{
    int day;
    uint64_t k;
    ptrdiff_t hash = sv_chr(s, '#');
    if (hash > 0) {
        if (!value(&FIELDS[F_WEEKDAY], sv_sub(s, 0, (size_t)hash), &day) ||
            !sv_u64(sv_sub(s, (size_t)hash + 1, s.n), &k) || k < 1 || k > 5) {
            return false;
        }
        x->nth[day % 7] |= (uint8_t)(1u << k);
        return true;
    }
    bool last = s.n > 1 && (s.p[s.n - 1] == 'L' || s.p[s.n - 1] == 'l');
    if (!last || !value(&FIELDS[F_WEEKDAY], sv_sub(s, 0, s.n - 1), &day)) {
        return false;
    }
    x->last_of |= (uint8_t)(1u << (day % 7));
    return true;
}

static bool one_field(int which, sv text, struct cronexpr *x, uint64_t *bits)
{
    sv rest = text;
    *bits = 0;
    while (rest.n > 0) {
        sv part = sv_cut(&rest, ',');
        bool special = (which == F_DAY && special_day(part, x)) || (which == F_WEEKDAY && special_weekday(part, x));
        if (!special && !range(&FIELDS[which], part, bits)) {
            return false;
        }
    }
    return text.n > 0 && text.p[text.n - 1] != ',';
}

static void store_field(int which, sv text, uint64_t bits, struct cronexpr *x)
{
    switch (which) {
    case F_SECOND:
        x->second = bits;
        break;
    case F_MINUTE:
        x->minute = bits;
        x->running = x->running || sv_starts(text, SV("*"));
        break;
    case F_HOUR:
        x->hour = (uint32_t)bits;
        x->running = x->running || sv_starts(text, SV("*"));
        x->top_of_hour = x->minute == 1 && sv_starts(text, SV("*"));
        break;
    case F_DAY:
        x->day = (uint32_t)bits;
        x->any_day = is_any(text);
        break;
    case F_MONTH:
        x->month = (uint16_t)bits;
        break;
    default:
        x->weekday = (uint8_t)((bits & 0x7f) | (bits >> 7 & 1)); /* 7 is Sunday too */
        x->any_weekday = is_any(text);
        break;
    }
}

static sv macro(sv text)
{
    static const struct {
        const char *name, *means;
    } rows[] = {{"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
                {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (sv_eq_nocase(text, sv_of(rows[i].name))) {
            return sv_of(rows[i].means);
        }
    }
    return text;
}

static size_t split(sv text, sv *parts, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        size_t from = i;
        while (i < text.n && text.p[i] != ' ' && text.p[i] != '\t') {
            i++;
        }
        if (i > from) {
            if (n == max) {
                return max + 1;
            }
            parts[n++] = sv_sub(text, from, i - from);
        }
        i += i < text.n;
    }
    return n;
}

bool cronexpr_parse(sv text, struct cronexpr *out, char *why, size_t cap)
{
    sv parts[F_COUNT];
    *out = (struct cronexpr){.second = 1};
    text = macro(sv_trim(text));
    size_t n = text.n <= FIELD_MAX ? split(text, parts, F_COUNT) : 0;
    if (n != 5 && n != 6) {
        snprintf(why, cap, "a cron expression has 5 or 6 fields");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int which = (int)(i + (F_COUNT - n));
        uint64_t bits;
        if (which == F_WEEKDAY && sv_starts(parts[i], SV("+"))) {
            out->both_days = true;
            parts[i] = sv_sub(parts[i], 1, parts[i].n);
        }
        if (!one_field(which, parts[i], out, &bits)) {
            snprintf(why, cap, "the field %s of the cron expression is wrong", FIELDS[which].label);
            return false;
        }
        store_field(which, parts[i], bits, out);
    }
    return true;
}

/* ---- searching ------------------------------------------------------------------------------------- */

static int month_days(const struct tz_time *t)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
    return days[t->month - 1] + (t->month == 2 && leap);
}

/* Is today the weekday nearest to day n, inside the month? */
static bool is_near(const struct tz_time *t, int n, int days)
{
    n = n < days ? n : days;
    int weekday = ((t->weekday + n - t->day) % 7 + 7) % 7;
    int day = n;
    if (weekday == 6) {
        day = n > 1 ? n - 1 : n + 2;
    } else if (weekday == 0) {
        day = n < days ? n + 1 : n - 2;
    }
    return t->day == day;
}

static bool day_ok(const struct cronexpr *x, const struct tz_time *t)
{
    int days = month_days(t);
    if (x->any_day || (x->day >> t->day & 1) || (x->last_day && t->day == days)) {
        return true;
    }
    for (int n = 1; x->near != 0 && n <= 31; n++) {
        if ((x->near >> n & 1) && is_near(t, n, days)) {
            return true;
        }
    }
    return false;
}

static bool weekday_ok(const struct cronexpr *x, const struct tz_time *t)
{
    return x->any_weekday || (x->weekday >> t->weekday & 1) || (x->nth[t->weekday] >> ((t->day + 6) / 7) & 1) ||
           ((x->last_of >> t->weekday & 1) && t->day + 7 > month_days(t));
}

static bool date_ok(const struct cronexpr *x, const struct tz_time *t)
{
    if (!(x->month >> t->month & 1)) {
        return false;
    }
    if (x->any_day || x->any_weekday || x->both_days) {
        return day_ok(x, t) && weekday_ok(x, t);
    }
    return day_ok(x, t) || weekday_ok(x, t);
}

/* Has this wall time been there before, within the last hours (clocks were set back)? */
static bool is_repeat(const struct tz *zone, int64_t s, const struct tz_time *t)
{
    struct tz_time before, same;
    tz_local(zone, s - 3 * 3600, &before);
    int back = before.offset_s - t->offset_s;
    if (back <= 0) {
        return false;
    }
    tz_local(zone, s - back, &same);
    return same.offset_s == before.offset_s;
}

int64_t cronexpr_next(const struct cronexpr *x, const struct tz *zone, int64_t after_ms)
{
    int64_t s = after_ms / 1000 + (after_ms >= 0 || after_ms % 1000 == 0 ? 1 : 0);
    int64_t end = s + HOURS_MAX * 3600;
    while (s < end) {
        struct tz_time t;
        tz_local(zone, s, &t);
        if (!date_ok(x, &t) || !(x->hour >> t.hour & 1)) {
            /* To the next quarter: offsets are multiples of it, so no clock change is jumped over. */
            s += 900 - (t.minute % 15) * 60 - t.second;
        } else if (!(x->minute >> t.minute & 1)) {
            s += 60 - t.second;
        } else if (!(x->second >> t.second & 1) || (!x->running && is_repeat(zone, s, &t))) {
            s++;
        } else {
            return s * 1000;
        }
    }
    return 0;
}
