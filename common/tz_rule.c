/*
 * tz_rule.c: see tz_rule.h; grammar of POSIX.1-2017 8.3 with the extensions of RFC 8536 3.3.1.
 * Runs in: agent, edge, cron, command line.     Owns: nothing.
 * Never: reads past the view.
 * Tested in: tests/unit/common/test_tz.c
 */
#include "common/tz_rule.h"

#define DAY_S 86400

/* ---- calendar (days from civil and back, proleptic Gregorian) -------------------------------------- */

int64_t tz_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void tz_civil(int64_t local_s, struct tz_time *out)
{
    int64_t days = local_s / DAY_S - (local_s % DAY_S < 0 ? 1 : 0);
    int64_t in_day = local_s - days * DAY_S;
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * of_year + 2) / 153;
    out->day = (int)(of_year - (153 * m + 2) / 5 + 1);
    out->month = (int)(m < 10 ? m + 3 : m - 9);
    out->year = (int)(y + era * 400 + (out->month <= 2 ? 1 : 0));
    out->hour = (int)(in_day / 3600);
    out->minute = (int)(in_day / 60 % 60);
    out->second = (int)(in_day % 60);
    out->weekday = (int)(((days % 7) + 11) % 7); /* 1970-01-01 was a Thursday */
}

/* ---- parsing --------------------------------------------------------------------------------------- */

static bool peek(sv s, char c)
{
    return s.n > 0 && s.p[0] == c;
}

static void drop(sv *s, size_t n)
{
    *s = sv_sub(*s, n, s->n);
}

static bool take_int(sv *s, int max, int *out)
{
    int v = 0;
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9' && n < 4) {
        v = v * 10 + (s->p[n] - '0');
        n++;
    }
    drop(s, n);
    *out = v;
    return n > 0 && v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(sv *s, int *out)
{
    int sign = peek(*s, '-') ? -1 : 1;
    if (peek(*s, '-') || peek(*s, '+')) {
        drop(s, 1);
    }
    int h, m = 0, sec = 0;
    if (!take_int(s, 167, &h)) {
        return false;
    }
    if (peek(*s, ':')) {
        drop(s, 1);
        if (!take_int(s, 59, &m)) {
            return false;
        }
    }
    if (peek(*s, ':')) {
        drop(s, 1);
        if (!take_int(s, 59, &sec)) {
            return false;
        }
    }
    *out = sign * (h * 3600 + m * 60 + sec);
    return true;
}

static bool take_abbr(sv *s, char *dst, size_t cap)
{
    size_t n = 0;
    if (peek(*s, '<')) {
        ptrdiff_t end = sv_chr(*s, '>');
        if (end < 1) {
            return false;
        }
        bool ok = sv_copy(dst, cap, sv_sub(*s, 1, (size_t)end - 1));
        drop(s, (size_t)end + 1);
        return ok;
    }
    while (n < s->n && ((s->p[n] >= 'A' && s->p[n] <= 'Z') || (s->p[n] >= 'a' && s->p[n] <= 'z'))) {
        n++;
    }
    bool ok = n >= 3 && sv_copy(dst, cap, sv_sub(*s, 0, n));
    drop(s, n);
    return ok;
}

static bool take_date(sv *s, struct tz_rule_date *d)
{
    if (!peek(*s, ',')) {
        return false;
    }
    drop(s, 1);
    d->kind = 'N';
    if (peek(*s, 'M') || peek(*s, 'J')) {
        d->kind = s->p[0];
    }
    if (d->kind != 'N') {
        drop(s, 1);
    }
    if (d->kind == 'M') {
        bool ok = take_int(s, 12, &d->month) && d->month > 0 && peek(*s, '.');
        drop(s, 1);
        ok = ok && take_int(s, 5, &d->week) && d->week > 0 && peek(*s, '.');
        drop(s, 1);
        if (!ok || !take_int(s, 6, &d->day)) {
            return false;
        }
    } else if (!take_int(s, 365, &d->day)) {
        return false;
    }
    d->time_s = 2 * 3600;
    if (peek(*s, '/')) {
        drop(s, 1);
        return take_time(s, &d->time_s);
    }
    return true;
}

bool tz_rule_parse(sv text, struct tz_rule *out)
{
    memset(out, 0, sizeof *out);
    int west;
    if (!take_abbr(&text, out->std.abbr, sizeof out->std.abbr) || !take_time(&text, &west)) {
        return false;
    }
    out->std.offset_s = -west; /* POSIX counts west as positive */
    if (text.n == 0) {
        return true;
    }
    if (!take_abbr(&text, out->dst.abbr, sizeof out->dst.abbr)) {
        return false;
    }
    out->dst.offset_s = out->std.offset_s + 3600;
    if (!peek(text, ',')) {
        if (!take_time(&text, &west)) {
            return false;
        }
        out->dst.offset_s = -west;
    }
    out->has_dst = take_date(&text, &out->start) && take_date(&text, &out->end) && text.n == 0;
    return out->has_dst;
}

/* ---- evaluation ------------------------------------------------------------------------------------ */

static bool leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Local seconds (in the offset that ends then) of the change in this year. */
static int64_t change_at(const struct tz_rule_date *d, int64_t year)
{
    int64_t days;
    if (d->kind == 'M') {
        int64_t first = tz_days(year, d->month, 1);
        int64_t weekday = ((first % 7) + 11) % 7;
        days = first + ((d->day - weekday + 7) % 7) + 7 * ((int64_t)d->week - 1);
        int64_t next = d->month == 12 ? tz_days(year + 1, 1, 1) : tz_days(year, d->month + 1, 1);
        while (days >= next) { /* week 5 means the last one */
            days -= 7;
        }
    } else {
        days = tz_days(year, 1, 1) + d->day;
        if (d->kind == 'J') {
            days += (leap(year) && d->day >= 60) ? 0 : -1;
        }
    }
    return days * DAY_S + d->time_s;
}

const struct tz_rule_side *tz_rule_at(const struct tz_rule *r, int64_t unix_s)
{
    if (!r->has_dst) {
        return &r->std;
    }
    struct tz_time t;
    tz_civil(unix_s + r->std.offset_s, &t);
    int64_t start = change_at(&r->start, t.year) - r->std.offset_s;
    int64_t end = change_at(&r->end, t.year) - r->dst.offset_s;
    bool dst = start < end ? (unix_s >= start && unix_s < end) : (unix_s >= start || unix_s < end);
    return dst ? &r->dst : &r->std;
}
