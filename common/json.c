/*
 * json.c: jansson with our flags: strict parsing, bounded nesting, getters by dotted path.
 * Runs in: edge, agent, chan, command line, store.     Owns: nothing.
 * Never: accepts duplicate keys, trailing text, invalid UTF-8 or deep nesting.
 * Tested in: tests/unit/common/test_json.c; fuzzed by tests/fuzz/fuzz_json.c
 */
#include "common/json.h"

#include <stdio.h>

#include "common/err.h"
#include "common/text.h"

#define PRINT_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* Depth of nesting in text that may be malformed; brackets inside strings do not count. */
static size_t nesting(sv text)
{
    size_t depth = 0, worst = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > worst) {
                worst = depth;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return worst;
}

json_t *json_parse(sv text, char *err, size_t cap)
{
    if (err && cap > 0) {
        err[0] = '\0';
    }
    if (nesting(text) > JSON_DEPTH_MAX) {
        if (err && cap > 0) {
            (void)snprintf(err, cap, "nested more than %d levels deep", JSON_DEPTH_MAX);
        }
        return NULL;
    }
    json_error_t e;
    json_t *v = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!v && err && cap > 0) {
        (void)snprintf(err, cap, "line %d column %d: %s", e.line, e.column, e.text);
    }
    return v;
}

static int append(const char *p, size_t n, void *ctx)
{
    return buf_add(ctx, p, n) ? 0 : -1;
}

static bool print(struct buf *dst, const json_t *v, size_t flags)
{
    size_t before = dst->n;
    if (json_dump_callback(v, append, dst, flags) == 0) {
        return true;
    }
    dst->n = before; /* all or nothing, like any other append */
    return false;
}

bool json_print(struct buf *dst, const json_t *v)
{
    return print(dst, v, PRINT_FLAGS);
}

bool json_print_sorted(struct buf *dst, const json_t *v)
{
    return print(dst, v, PRINT_FLAGS | JSON_SORT_KEYS);
}

void json_free(json_t **v)
{
    json_decref(*v);
    *v = NULL;
}

const json_t *json_at(const json_t *v, const char *path)
{
    sv rest = sv_of(path);
    while (v && !sv_empty(rest)) {
        sv key = sv_cut(&rest, '.');
        uint64_t i;
        if (json_is_object(v)) {
            v = json_object_getn(v, key.p, key.n);
        } else if (json_is_array(v) && sv_u64(key, &i)) {
            v = json_array_get(v, (size_t)i);
        } else {
            v = NULL;
        }
    }
    return v;
}

sv json_sv(const json_t *v, const char *path)
{
    v = json_at(v, path);
    return json_is_string(v) ? (sv){json_string_value(v), json_string_length(v)} : SV_NULL;
}

int64_t json_i64(const json_t *v, const char *path, int64_t dflt)
{
    v = json_at(v, path);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : dflt;
}

bool json_flag(const json_t *v, const char *path, bool dflt)
{
    v = json_at(v, path);
    return json_is_boolean(v) ? json_is_true(v) : dflt;
}

/* NUL is valid UTF-8 but our own reader refuses it in JSON, so it is replaced like a broken byte. */
static json_t *clean_string(sv value)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(value.n * 3 + 8);
    sv rest = value;
    while (!sv_empty(rest)) {
        ptrdiff_t nul = sv_chr(rest, '\0');
        size_t n = nul < 0 ? rest.n : (size_t)nul;
        utf8_clean(&b, sv_sub(rest, 0, n));
        if (nul < 0) {
            break;
        }
        buf_str(&b, "\xEF\xBF\xBD");
        rest = sv_sub(rest, n + 1, rest.n);
    }
    return json_stringn(b.p ? b.p : "", b.n);
}

void json_put(json_t *obj, const char *key, sv value)
{
    if (!value.p) {
        return;
    }
    json_t *s = utf8_valid(value) && sv_chr(value, '\0') < 0 ? json_stringn_nocheck(value.p, value.n)
                                                             : clean_string(value);
    if (!s || json_object_set_new(obj, key, s) != 0) {
        panic("cannot set JSON member %s", key);
    }
}
