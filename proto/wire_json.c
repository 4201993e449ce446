/*
 * wire_json.c: the field tables to and from JSON text.
 * Runs in: edge, command line, tests.     Owns: nothing.
 * Never: embeds JSON it has not parsed; accepts duplicate keys; keeps a jansson object over a call.
 * Tested in: tests/unit/proto/test_wire_json.c; fuzzed by tests/fuzz/fuzz_wire_json.c
 */
#include "common/json.h"
#include "common/text.h"
#include "proto/wire.h"
#include "proto/wire_int.h"

/* ---- to JSON --------------------------------------------------------------------------------------- */

static int print_map(const struct msg_desc *d, const void *body, struct buf *out);

static int print_list(const struct field *f, const void *body, struct buf *out)
{
    size_t n = FIELD_CCOUNT(body, f);
    const char *rows = *FIELD_CPTR(char *, body, f);
    (void)buf_ch(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            (void)buf_ch(out, ',');
        }
        int rc = print_map(f->sub, rows + i * f->sub->size, out);
        if (rc != OK) {
            return rc;
        }
    }
    (void)buf_ch(out, ']');
    return OK;
}

static int print_value(const struct field *f, const void *body, struct buf *out)
{
    switch (f->kind) {
    case FK_STR:
        (void)buf_json_str(out, *FIELD_CPTR(sv, body, f));
        return OK;
    case FK_BIN:
        (void)buf_ch(out, '"');
        (void)b64_encode(out, *FIELD_CPTR(sv, body, f), B64_STD);
        (void)buf_ch(out, '"');
        return OK;
    case FK_JSON: {
        ATTR_CLEANUP(json_free) json_t *v = json_parse(*FIELD_CPTR(sv, body, f), NULL, 0);
        if (!v) {
            return ERR_BAD;
        }
        (void)json_print(out, v);
        return OK;
    }
    case FK_U64:
        (void)buf_printf(out, "%llu", (unsigned long long)*FIELD_CPTR(uint64_t, body, f));
        return OK;
    case FK_I64:
        (void)buf_printf(out, "%lld", (long long)*FIELD_CPTR(int64_t, body, f));
        return OK;
    case FK_BOOL:
        (void)buf_str(out, *FIELD_CPTR(bool, body, f) ? "true" : "false");
        return OK;
    case FK_LIST:
        return print_list(f, body, out);
    default:
        return ERR_INTERNAL;
    }
}

static int print_map(const struct msg_desc *d, const void *body, struct buf *out)
{
    bool first = true;
    (void)buf_ch(out, '{');
    for (size_t i = 0; i < d->n; i++) {
        const struct field *f = &d->fields[i];
        if (!wire_has(f, body)) {
            if (f->need == REQ) {
                return ERR_BAD;
            }
            continue;
        }
        (void)buf_printf(out, "%s\"%s\":", first ? "" : ",", f->key);
        first = false;
        int rc = print_value(f, body, out);
        if (rc != OK) {
            return rc;
        }
    }
    (void)buf_ch(out, '}');
    return OK;
}

int wire_to_json(uint16_t type, const void *body, struct buf *out)
{
    const struct msg_desc *d = msg_desc(type);
    ASSERT(d != NULL);
    size_t before = out->n;
    int rc = print_map(d, body, out);
    if (rc == OK && out->full) {
        rc = ERR_TOOBIG;
    }
    if (rc != OK) {
        out->n = before;
    }
    return rc;
}

/* ---- from JSON ------------------------------------------------------------------------------------- */

struct reader {
    struct arena *arena;
    struct wire_error *err;
};

static int read_map(struct reader *r, const struct msg_desc *d, const json_t *obj, unsigned depth, void *body);

static int wrong_type(struct reader *r, const struct field *f, const char *wanted)
{
    return wire_bad(r->err, ERR_BAD, f, "%s must be %s", f->name, wanted);
}

static int read_bytes(struct reader *r, const struct field *f, const json_t *v, sv *out)
{
    if (f->kind == FK_STR || f->kind == FK_BIN) {
        if (!json_is_string(v)) {
            return wrong_type(r, f, f->kind == FK_STR ? "a string" : "a base64 string");
        }
    }
    sv text = json_is_string(v) ? sv_mem(json_string_value(v), json_string_length(v)) : SV_NULL;
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    if (f->kind == FK_BIN) {
        if (!b64_decode(&b, text)) {
            return wrong_type(r, f, b.full ? "smaller" : "a base64 string");
        }
        text = buf_view(&b);
    } else if (f->kind == FK_JSON) {
        if (!json_print(&b, v)) {
            return wrong_type(r, f, "smaller");
        }
        text = buf_view(&b);
    }
    int rc = wire_check_bytes(f, text, r->err);
    if (rc == OK) {
        *out = arena_sv(r->arena, text.p ? text : SV(""));
    }
    return rc;
}

static int read_number(struct reader *r, const struct field *f, const json_t *v, void *body)
{
    if (!json_is_integer(v)) {
        return wrong_type(r, f, "an integer");
    }
    json_int_t i = json_integer_value(v);
    if (f->kind == FK_I64) {
        *FIELD_PTR(int64_t, body, f) = i;
        return OK;
    }
    if (i < 0) {
        return wrong_type(r, f, "an integer of 0 or more");
    }
    if (f->max != 0 && (uint64_t)i > f->max) {
        return wire_bad(r->err, ERR_BAD, f, "%s is above %llu", f->name, (unsigned long long)f->max);
    }
    *FIELD_PTR(uint64_t, body, f) = (uint64_t)i;
    return OK;
}

static int read_list(struct reader *r, const struct field *f, const json_t *v, unsigned depth, void *body)
{
    if (!json_is_array(v)) {
        return wrong_type(r, f, "a list");
    }
    size_t n = json_array_size(v);
    if (n > f->max) {
        return wire_bad(r->err, ERR_BAD, f, "%s has more than %llu elements", f->name,
                        (unsigned long long)f->max);
    }
    if (n == 0) {
        return OK;
    }
    ASSERT(depth < WIRE_MAX_DEPTH);
    char *rows = arena_alloc(r->arena, n * f->sub->size);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(v, i);
        if (!json_is_object(e)) {
            return wrong_type(r, f, "a list of objects");
        }
        int rc = read_map(r, f->sub, e, depth + 1, rows + i * f->sub->size);
        if (rc != OK) {
            return rc;
        }
    }
    *FIELD_PTR(void *, body, f) = rows;
    FIELD_COUNT(body, f) = n;
    return OK;
}

static int read_value(struct reader *r, const struct field *f, const json_t *v, unsigned depth, void *body)
{
    switch (f->kind) {
    case FK_STR:
    case FK_BIN:
    case FK_JSON:
        return read_bytes(r, f, v, FIELD_PTR(sv, body, f));
    case FK_U64:
    case FK_I64:
        return read_number(r, f, v, body);
    case FK_BOOL:
        if (!json_is_boolean(v)) {
            return wrong_type(r, f, "true or false");
        }
        *FIELD_PTR(bool, body, f) = json_is_true(v);
        return OK;
    case FK_LIST:
        return read_list(r, f, v, depth, body);
    default:
        return ERR_INTERNAL;
    }
}

static int read_map(struct reader *r, const struct msg_desc *d, const json_t *obj, unsigned depth, void *body)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < d->n; i++) {
        const json_t *v = json_object_get(obj, d->fields[i].key);
        if (!v) {
            continue;
        }
        seen |= 1ull << i;
        int rc = read_value(r, &d->fields[i], v, depth, body);
        if (rc != OK) {
            return rc;
        }
    }
    const struct field *missing = wire_missing(d, seen);
    if (missing) {
        return wire_bad(r->err, ERR_BAD, missing, "%s is missing", missing->name);
    }
    return OK;
}

int wire_from_json(uint16_t type, sv text, struct arena *a, void *body, struct wire_error *err)
{
    const struct msg_desc *d = msg_desc(type);
    if (!d) {
        return wire_bad(err, ERR_BAD, NULL, "unknown message type 0x%04x", type);
    }
    char why[120];
    ATTR_CLEANUP(json_free) json_t *v = json_parse(text, why, sizeof why);
    if (!v) {
        return wire_bad(err, ERR_PARSE, NULL, "%s", why);
    }
    if (!json_is_object(v)) {
        return wire_bad(err, ERR_BAD, NULL, "%s is not an object", d->name);
    }
    struct reader r = {a, err};
    return read_map(&r, d, v, 0, body);
}
