/*
 * params.c: see params.h. Order of the details: first missing member, unknown members, wrong values.
 * Runs in: edge.     Owns: nothing.
 * Never: recursion deeper than the tables are.
 * Tested in: tests/unit/edge/test_params.c
 */
#include "workers/edge/params.h"

#include <string.h>

#include "common/text.h"

/* One detail may name a member that a stranger chose: this many bytes of it are repeated. */
#define NAME_SHOWN 64

struct check {
    struct buf *why;
    enum param_strict strict;
    bool ok;
};

bool one_of(const char *list, sv value)
{
    sv rest = sv_of(list);
    while (rest.n > 0) {
        if (sv_eq(sv_cut(&rest, '|'), value)) {
            return true;
        }
    }
    return false;
}

/* Starts one detail: "; " between details, then where ("at /client/id: "). */
static void detail(struct check *k, const char *path, const char *name)
{
    k->ok = false;
    if (k->why->n > 0) {
        buf_str(k->why, "; ");
    }
    if (path[0] != '\0' || name != NULL) {
        buf_printf(k->why, "at %s%s%s: ", path, name ? "/" : "", name ? name : "");
    }
}

static const struct param *row_of(const struct param *rows, const char *name)
{
    for (const struct param *p = rows; p->name != NULL; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

static const char *kind_text(enum param_kind kind)
{
    static const char *const text[] = {
        [P_ANY] = "anything", [P_STR] = "string", [P_INT] = "integer", [P_NUM] = "number",
        [P_BOOL] = "boolean", [P_OBJ] = "object", [P_ARR] = "array",   [P_STRS] = "array of strings", [P_WORD] = "string or null",
    };
    return text[kind];
}

static bool is_strings(const json_t *v)
{
    if (!json_is_array(v)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (!json_is_string(json_array_get(v, i))) {
            return false;
        }
    }
    return true;
}

static bool kind_ok(enum param_kind kind, const json_t *v)
{
    switch (kind) {
    case P_ANY:
        return true;
    case P_STR:
        return json_is_string(v);
    case P_INT:
        return json_is_integer(v);
    case P_NUM:
        return json_is_number(v);
    case P_BOOL:
        return json_is_boolean(v);
    case P_OBJ:
        return json_is_object(v);
    case P_ARR:
        return json_is_array(v);
    case P_STRS:
        return is_strings(v);
    case P_WORD:
        return json_is_string(v) || json_is_null(v);
    }
    return false;
}

static void check_string(struct check *k, const char *path, const struct param *p, sv s)
{
    if (p->min != PARAM_NO && p->min > 0 && (int64_t)s.n < p->min * 4 &&
        (int64_t)utf8_length(s) < p->min) {
        detail(k, path, p->name);
        buf_printf(k->why, "must not have fewer than %lld characters", (long long)p->min);
    } else if (p->max != PARAM_NO && (int64_t)s.n > p->max && (int64_t)utf8_length(s) > p->max) {
        detail(k, path, p->name);
        buf_printf(k->why, "must not have more than %lld characters", (long long)p->max);
    }
    if (p->one != NULL && !one_of(p->one, s)) {
        detail(k, path, p->name);
        buf_str(k->why, strchr(p->one, '|') ? "must be equal to one of the allowed values"
                                            : "must be equal to constant");
    }
}

static void check_integer(struct check *k, const char *path, const struct param *p, json_int_t n)
{
    if (p->min != PARAM_NO && n < p->min) {
        detail(k, path, p->name);
        buf_printf(k->why, "must be >= %lld", (long long)p->min);
    } else if (p->max != PARAM_NO && n > p->max) {
        detail(k, path, p->name);
        buf_printf(k->why, "must be <= %lld", (long long)p->max);
    }
}

static void check_object(struct check *k, const char *path, const json_t *v, const struct param *rows);

static void check_value(struct check *k, const char *path, const struct param *p, const json_t *v)
{
    if (!kind_ok(p->kind, v)) {
        detail(k, path, p->name);
        buf_printf(k->why, "must be %s", kind_text(p->kind));
        return;
    }
    if (p->kind == P_STR || (p->kind == P_WORD && json_is_string(v))) {
        check_string(k, path, p, sv_mem(json_string_value(v), json_string_length(v)));
    } else if (p->kind == P_INT) {
        check_integer(k, path, p, json_integer_value(v));
    } else if (p->kind == P_OBJ && p->sub != NULL) {
        char deeper[128];
        if (sv_copy(deeper, sizeof deeper, sv_of(path))) {
            strncat(deeper, "/", sizeof deeper - strlen(deeper) - 1);
            strncat(deeper, p->name, sizeof deeper - strlen(deeper) - 1);
            check_object(k, deeper, v, p->sub);
        }
    }
}

static void check_unknown(struct check *k, const char *path, const json_t *v, const struct param *rows)
{
    const char *name;
    const json_t *value;
    /* jansson iterates over a non-const object; it is not changed. */
    for (void *it = json_object_iter((json_t *)(uintptr_t)v); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        name = json_object_iter_key(it);
        value = json_object_iter_value(it);
        if (value == NULL || row_of(rows, name) != NULL) {
            continue;
        }
        detail(k, path[0] ? path : "root", NULL);
        buf_str(k->why, "unexpected property '");
        buf_add(k->why, name, utf8_cut(sv_of(name), NAME_SHOWN));
        buf_str(k->why, "'");
    }
}

static void check_object(struct check *k, const char *path, const json_t *v, const struct param *rows)
{
    for (const struct param *p = rows; p->name != NULL; p++) {
        if (p->required && json_object_get(v, p->name) == NULL) {
            detail(k, path, NULL);
            buf_printf(k->why, "must have required property '%s'", p->name);
            break;
        }
    }
    if (k->strict == PARAM_STRICT) {
        check_unknown(k, path, v, rows);
    }
    for (const struct param *p = rows; p->name != NULL; p++) {
        const json_t *member = json_object_get(v, p->name);
        if (member != NULL) {
            check_value(k, path, p, member);
        }
    }
}

bool params_check(const json_t *v, const struct param *rows, enum param_strict strict, struct buf *why)
{
    struct check k = {.why = why, .strict = strict, .ok = true};
    if (v != NULL && !json_is_object(v)) {
        detail(&k, "root", NULL);
        buf_str(why, "must be object");
        return false;
    }
    check_object(&k, "", v, rows);
    return k.ok;
}
