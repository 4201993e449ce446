/*
 * tz.c: zone files in TZif format (RFC 8536), see tz.h.
 * Runs in: agent, edge, cron, command line.     Owns: the cache of zones.
 * Never: trusts a count of the file; writes the environment.
 * Tested in: tests/unit/common/test_tz.c
 */
#include "common/tz.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/tz_rule.h"
#include "common/buf.h"
#include "common/file.h"
#include "common/map.h"

#define ZONE_DIR "/usr/share/zoneinfo/"
#define FILE_MAX ((size_t)64 * 1024)
#define CACHE_MAX 64

struct period {
    int64_t from; /* unix seconds; the first one is INT64_MIN */
    int offset_s;
    char abbr[12];
};

struct tz {
    struct period *periods;
    size_t n;
    struct tz_rule rule; /* after the last period */
    bool has_rule;
};

static struct map cache; /* zero is an empty map */

/* ---- the file -------------------------------------------------------------------------------------- */

struct head {
    uint32_t isut, isstd, leap, times, types, chars;
};

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be64(const char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* Reads the header at *rest and cuts header and body off; body gets the data block of this width. */
static bool take_block(sv *rest, size_t width, struct head *h, sv *body)
{
    if (rest->n < 44 || memcmp(rest->p, "TZif", 4) != 0) {
        return false;
    }
    uint32_t *counts[] = {&h->isut, &h->isstd, &h->leap, &h->times, &h->types, &h->chars};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        *counts[i] = be32(rest->p + 20 + 4 * i);
        if (*counts[i] > FILE_MAX) {
            return false;
        }
    }
    size_t size = h->times * (width + 1) + (size_t)h->types * 6 + h->chars + h->leap * (width + 4) +
                  h->isstd + h->isut;
    if (rest->n - 44 < size) {
        return false;
    }
    *body = sv_sub(*rest, 44, size);
    *rest = sv_sub(*rest, 44 + size, rest->n);
    return true;
}

static bool set_type(struct period *p, sv types, sv abbrs, unsigned type)
{
    if ((size_t)type * 6 + 6 > types.n) {
        return false;
    }
    const char *t = types.p + (size_t)type * 6;
    int64_t offset = (int32_t)be32(t);
    unsigned char at = (unsigned char)t[5];
    if (offset < -100000 || offset > 100000 || at >= abbrs.n) {
        return false;
    }
    p->offset_s = (int)offset;
    sv a = sv_sub(abbrs, at, abbrs.n);
    ptrdiff_t end = sv_chr(a, '\0');
    if (end < 0 || !sv_copy(p->abbr, sizeof p->abbr, sv_sub(a, 0, (size_t)end))) {
        p->abbr[0] = '\0';
    }
    return true;
}

static bool read_periods(struct tz *z, const struct head *h, sv body)
{
    if (h->types == 0) {
        return false;
    }
    sv times = sv_sub(body, 0, (size_t)h->times * 8);
    sv index = sv_sub(body, times.n, h->times);
    sv types = sv_sub(body, times.n + index.n, (size_t)h->types * 6);
    sv abbrs = sv_sub(body, times.n + index.n + types.n, h->chars);
    z->periods = xcalloc((size_t)h->times + 1, sizeof *z->periods);
    z->periods[0].from = INT64_MIN;
    if (!set_type(&z->periods[0], types, abbrs, 0)) {
        return false;
    }
    z->n = 1;
    for (uint32_t i = 0; i < h->times; i++) {
        struct period *p = &z->periods[z->n];
        p->from = be64(times.p + (size_t)i * 8);
        if (p->from < p[-1].from || !set_type(p, types, abbrs, (unsigned char)index.p[i])) {
            return false;
        }
        z->n++;
    }
    return true;
}

struct tz *tz_parse(sv bytes)
{
    struct head h;
    sv body, rest = bytes;
    if (bytes.n < 44 || bytes.p[4] < '2') { /* version 1 has 32-bit times; nobody installs it any more */
        return NULL;
    }
    if (!take_block(&rest, 4, &h, &body) || !take_block(&rest, 8, &h, &body)) {
        return NULL;
    }
    struct tz *z = xcalloc(1, sizeof *z);
    if (!read_periods(z, &h, body)) {
        tz_free(z);
        return NULL;
    }
    if (rest.n > 1 && rest.p[0] == '\n') {
        rest = sv_sub(rest, 1, rest.n);
        z->has_rule = tz_rule_parse(sv_cut(&rest, '\n'), &z->rule);
    }
    return z;
}

void tz_free(struct tz *z)
{
    if (z) {
        xfree(z->periods);
        xfree(z);
    }
}

/* ---- names ----------------------------------------------------------------------------------------- */

static bool name_ok(sv name)
{
    if (name.n == 0 || name.n > 64 || name.p[0] == '/') {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-' || c == '+' || c == '/')) { /* no dots: no way out of the folder */
            return false;
        }
    }
    return true;
}

const struct tz *tz_get(sv name)
{
    static struct period utc_period = {INT64_MIN, 0, "UTC"};
    static struct tz utc;
    if (sv_eq(name, SV("UTC")) || sv_eq(name, SV("Z")) || sv_eq(name, SV("GMT")) || sv_eq(name, SV("Etc/UTC"))) {
        utc.periods = &utc_period;
        utc.n = 1;
        return &utc;
    }
    if (!name_ok(name)) {
        return NULL;
    }
    struct tz *z = map_get(&cache, name);
    if (z) {
        return z;
    }
    char path[sizeof ZONE_DIR + 64];
    (void)snprintf(path, sizeof path, ZONE_DIR "%.*s", SV_ARG(name));
    struct buf bytes = BUF_INIT(FILE_MAX);
    if (file_read(path, &bytes) == 0) {
        z = tz_parse(buf_view(&bytes));
    }
    buf_free(&bytes);
    if (z && map_count(&cache) >= CACHE_MAX) {
        tz_free_all();
    }
    if (z) {
        map_put(&cache, name, z);
    }
    return z;
}

void tz_free_all(void)
{
    sv key;
    void *value;
    for (size_t it = 0; map_next(&cache, &it, &key, &value);) {
        tz_free(value);
    }
    map_free(&cache);
    cache = MAP_INIT;
}

void tz_system_name(char *dst, size_t cap)
{
    char link[PATH_MAX];
    const char *env = getenv("TZ");
    if (env && tz_get(sv_of(env)) && sv_copy(dst, cap, sv_of(env))) {
        return;
    }
    ssize_t n = readlink("/etc/localtime", link, sizeof link - 1);
    if (n > 0) {
        sv target = sv_mem(link, (size_t)n);
        ptrdiff_t at = sv_find(target, SV("zoneinfo/"));
        sv name = at >= 0 ? sv_sub(target, (size_t)at + 9, target.n) : SV_NULL;
        name = sv_eq(name, SV("Etc/UTC")) ? SV("UTC") : name; /* the name people know */
        if (tz_get(name) && sv_copy(dst, cap, name)) {
            return;
        }
    }
    struct buf text = BUF_INIT(256);
    sv name = file_read("/etc/timezone", &text) == 0 ? sv_trim(buf_view(&text)) : SV_NULL;
    if (!tz_get(name) || !sv_copy(dst, cap, name)) {
        (void)sv_copy(dst, cap, SV("UTC"));
    }
    buf_free(&text);
}

/* ---- times ----------------------------------------------------------------------------------------- */

void tz_local(const struct tz *z, int64_t unix_s, struct tz_time *out)
{
    size_t lo = 0, hi = z->n; /* periods[lo].from <= unix_s < periods[hi].from */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (z->periods[mid].from <= unix_s) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    int offset = z->periods[lo].offset_s;
    const char *abbr = z->periods[lo].abbr;
    if (lo + 1 == z->n && z->has_rule) {
        const struct tz_rule_side *side = tz_rule_at(&z->rule, unix_s);
        offset = side->offset_s;
        abbr = side->abbr;
    }
    memset(out, 0, sizeof *out);
    tz_civil(unix_s + offset, out);
    out->offset_s = offset;
    (void)sv_copy(out->abbr, sizeof out->abbr, sv_of(abbr));
}

const char *tz_weekday(int weekday)
{
    static const char *const names[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    return names[((weekday % 7) + 7) % 7];
}
