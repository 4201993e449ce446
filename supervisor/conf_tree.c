/*
 * conf_tree.c: typed values: checking against the row, storing, finding, defaults.
 * Runs in: supervisor, command line.     Owns: the values of a struct cfg.
 * Never: reads files, logs.
 * Tested in: tests/unit/supervisor/test_conf_load.c
 */
#include "supervisor/conf_tree.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/text.h"

/* More messages than anybody reads; the first ones matter. */
#define MAX_ERRORS 20

void cfg_init(struct cfg *c)
{
    memset(c, 0, sizeof *c);
    c->errors = BUF_INIT((size_t)64 * 1024);
    c->warnings = BUF_INIT((size_t)64 * 1024);
}

static void value_clear(struct cfg_value *v)
{
    if (v->s != NULL) {
        explicit_bzero(v->s, strlen(v->s));
    }
    xfree(v->s);
    for (size_t i = 0; i < v->list_n; i++) {
        xfree(v->list[i]);
    }
    xfree(v->list);
    xfree(v->path);
    xfree(v->origin);
    memset(v, 0, sizeof *v);
}

void cfg_free(struct cfg *c)
{
    for (size_t i = 0; i < c->n; i++) {
        value_clear(&c->v[i]);
    }
    for (size_t i = 0; i < c->file_n; i++) {
        xfree(c->files[i]);
    }
    xfree(c->v);
    xfree(c->files);
    buf_free(&c->errors);
    buf_free(&c->warnings);
    memset(c, 0, sizeof *c);
}

static void message(struct buf *b, const char *origin, const char *path, const char *fmt, va_list ap)
    ATTR_PRINTF(4, 0);
static void message(struct buf *b, const char *origin, const char *path, const char *fmt, va_list ap)
{
    if (origin != NULL && origin[0] != '\0') {
        buf_printf(b, "%s: ", origin);
    }
    if (path != NULL && path[0] != '\0') {
        buf_printf(b, "%s: ", path);
    }
    buf_vprintf(b, fmt, ap);
    buf_ch(b, '\n');
}

void cfg_error(struct cfg *c, const char *origin, const char *path, const char *fmt, ...)
{
    va_list ap;
    char place[1024];

    /* A number that the parser changed is out of range too; the first thing said about a setting is enough. */
    int n = snprintf(place, sizeof place, "%s: %s: ", origin ? origin : "", path ? path : "");
    if (path != NULL && n > 0 && sv_find(buf_view(&c->errors), sv_mem(place, strnlen(place, sizeof place))) >= 0) {
        return;
    }
    c->error_n++;
    if (c->error_n > MAX_ERRORS) {
        return;
    }
    va_start(ap, fmt);
    message(&c->errors, origin, path, fmt, ap);
    va_end(ap);
}

void cfg_warn(struct cfg *c, const char *origin, const char *path, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message(&c->warnings, origin, path, fmt, ap);
    va_end(ap);
}

const struct cfg_value *cfg_find(const struct cfg *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->v[i].path, path) == 0) {
            return &c->v[i];
        }
    }
    return NULL;
}

static struct cfg_value *slot_for(struct cfg *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->v[i].path, path) == 0) {
            value_clear(&c->v[i]);
            return &c->v[i];
        }
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->v = xrealloc(c->v, c->cap * sizeof *c->v);
    }
    memset(&c->v[c->n], 0, sizeof c->v[c->n]);
    return &c->v[c->n++];
}

/* What a number stands for, for messages: "1024", "90000 ms", "1048576 bytes". */
static const char *unit_of(enum conf_type t)
{
    return t == CT_DURATION ? " ms" : t == CT_SIZE ? " bytes" : "";
}

static bool range_ok(struct cfg *c, const char *path, const struct conf_row *row, int64_t n, const char *what,
                     const char *origin)
{
    if (n >= row->min && n <= row->max) {
        return true;
    }
    cfg_error(c, origin, path, "%s%lld%s is out of range, possible: %lld to %lld%s", what, (long long)n,
              unit_of(row->type), (long long)row->min, (long long)row->max, unit_of(row->type));
    return false;
}

static bool type_number(struct cfg *c, const char *path, const struct conf_row *row,
                        const struct cfg_raw *raw, const char *origin, int64_t *out)
{
    bool fits = false;

    if (row->type == CT_INT) {
        *out = raw->i;
        fits = raw->kind == RAW_INT;
    } else if (row->type == CT_BOOL) {
        *out = raw->i != 0;
        fits = raw->kind == RAW_BOOL;
    } else if (raw->kind == RAW_STR) {
        fits = row->type == CT_DURATION ? duration_parse(sv_of(raw->s), out) : size_parse(sv_of(raw->s), out);
    }
    if (!fits) {
        cfg_error(c, origin, path, "%s is wanted here", conf_type_name(row->type));
        return false;
    }
    return row->type == CT_BOOL || range_ok(c, path, row, *out, "", origin);
}

static bool type_text(struct cfg *c, const char *path, const struct conf_row *row, const struct cfg_raw *raw,
                      const char *origin)
{
    if (raw->kind != RAW_STR) {
        cfg_error(c, origin, path, "%s is wanted here", conf_type_name(row->type));
        return false;
    }
    if (!utf8_valid(sv_of(raw->s))) {
        cfg_error(c, origin, path, "the text is not valid UTF-8");
        return false;
    }
    if (row->choices != NULL && !conf_choice_ok(row->choices, raw->s)) {
        cfg_error(c, origin, path, "\"%s\" is not possible, choose one of: %s", raw->s, row->choices);
        return false;
    }
    /* The length of a secret is checked when it is resolved. */
    return row->type == CT_SECRET ||
           range_ok(c, path, row, (int64_t)strlen(raw->s), "a text of length ", origin);
}

static bool type_list(struct cfg *c, const char *path, const struct conf_row *row, const struct cfg_raw *raw,
                      const char *origin)
{
    if (raw->kind != RAW_LIST) {
        cfg_error(c, origin, path, "%s is wanted here", conf_type_name(row->type));
        return false;
    }
    for (size_t i = 0; i < raw->list_n; i++) {
        if (raw->list[i][0] == '\0' || strlen(raw->list[i]) > 4000 || !utf8_valid(sv_of(raw->list[i]))) {
            cfg_error(c, origin, path, "entry %zu is empty, too long or not valid UTF-8", i + 1);
            return false;
        }
    }
    return range_ok(c, path, row, (int64_t)raw->list_n, "a list of length ", origin);
}

void cfg_put(struct cfg *c, const char *path, const struct cfg_raw *given, const char *origin)
{
    const struct conf_row *row = conf_row_find(path);
    struct cfg_raw raw = *given;
    int64_t number = 0;
    bool ok;

    ASSERT(row != NULL);
    if (row->type == CT_LIST && raw.kind == RAW_STR) {
        /* One text is a list of one. */
        raw = (struct cfg_raw){.kind = RAW_LIST, .list = &given->s, .list_n = 1};
    }
    switch (row->type) {
    case CT_STR:
    case CT_SECRET:
        ok = type_text(c, path, row, &raw, origin);
        break;
    case CT_LIST:
        ok = type_list(c, path, row, &raw, origin);
        break;
    case CT_INT:
    case CT_BOOL:
    case CT_DURATION:
    case CT_SIZE:
    default:
        ok = type_number(c, path, row, &raw, origin, &number);
        break;
    }
    if (!ok) {
        return;
    }
    struct cfg_value *v = slot_for(c, path);
    v->path = xstrdup(path);
    v->row = row;
    v->origin = xstrdup(origin);
    v->i = number;
    v->s = row->type == CT_STR || row->type == CT_SECRET ? xstrdup(raw.s) : NULL;
    if (row->type == CT_LIST) {
        v->list = xcalloc(raw.list_n + 1, sizeof *v->list);
        for (size_t i = 0; i < raw.list_n; i++) {
            v->list[v->list_n++] = xstrdup(raw.list[i]);
        }
    }
}

void cfg_mark(struct cfg *c, const char *path, const char *origin)
{
    if (cfg_find(c, path) == NULL) {
        struct cfg_value *v = slot_for(c, path);
        v->path = xstrdup(path);
        v->origin = xstrdup(origin);
    }
}

const struct cfg_value *cfg_get(const struct cfg *c, const char *path, struct cfg_value *scratch)
{
    const struct cfg_value *v = cfg_find(c, path);
    const struct conf_row *row = conf_row_find(path);

    if (v != NULL && v->row != NULL) {
        return v;
    }
    if (row == NULL || row->dflt == NULL) {
        return NULL;
    }
    *scratch = (struct cfg_value){.row = row};
    sv text = sv_of(row->dflt);
    bool ok = true;
    switch (row->type) {
    case CT_INT:
        ok = sv_i64(text, &scratch->i);
        break;
    case CT_BOOL:
        scratch->i = sv_eqc(text, "true");
        break;
    case CT_DURATION:
        ok = duration_parse(text, &scratch->i);
        break;
    case CT_SIZE:
        ok = size_parse(text, &scratch->i);
        break;
    case CT_STR:
    case CT_SECRET:
    case CT_LIST:
    default:
        /* Constant text of the table; nobody writes through or frees a scratch value. */
        memcpy(&scratch->s, &row->dflt, sizeof scratch->s);
        break;
    }
    ASSERT(ok);
    return scratch;
}

int64_t cfg_int(const struct cfg *c, const char *path)
{
    struct cfg_value scratch;
    const struct cfg_value *v = cfg_get(c, path, &scratch);

    return v ? v->i : 0;
}

const char *cfg_str(const struct cfg *c, const char *path)
{
    struct cfg_value scratch;
    const struct cfg_value *v = cfg_get(c, path, &scratch);

    return v ? v->s : NULL;
}

const char *cfg_list_at(const struct cfg *c, const char *path, size_t i)
{
    struct cfg_value scratch;
    const struct cfg_value *v = cfg_get(c, path, &scratch);

    if (v == NULL) {
        return NULL;
    }
    if (v == &scratch) {
        return i == 0 ? v->s : NULL;
    }
    return i < v->list_n ? v->list[i] : NULL;
}

static bool is_below(const char *path, const char *group, sv *rest)
{
    size_t n = strlen(group);

    if (strncmp(path, group, n) != 0 || path[n] != '.') {
        return false;
    }
    *rest = sv_of(path + n + 1);
    return true;
}

bool cfg_has_below(const struct cfg *c, const char *path)
{
    sv rest;

    for (size_t i = 0; i < c->n; i++) {
        if (is_below(c->v[i].path, path, &rest)) {
            return true;
        }
    }
    return false;
}

bool cfg_child(const struct cfg *c, const char *path, size_t want, char *name, size_t cap)
{
    size_t seen = 0;

    for (size_t i = 0; i < c->n; i++) {
        sv rest;
        if (!is_below(c->v[i].path, path, &rest)) {
            continue;
        }
        sv first = sv_cut(&rest, '.');
        bool repeated = false;
        for (size_t j = 0; j < i && !repeated; j++) {
            sv other;
            repeated = is_below(c->v[j].path, path, &other) && sv_eq(sv_cut(&other, '.'), first);
        }
        if (repeated) {
            continue;
        }
        if (seen++ == want) {
            return sv_copy(name, cap, first);
        }
    }
    return false;
}
