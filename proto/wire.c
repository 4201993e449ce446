/*
 * wire.c: the interpreter of field tables: C struct <-> msgpack map.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: allocates outside the arena it is given; trusts a length; accepts duplicate keys or trailing bytes.
 * Tested in: tests/unit/proto/test_wire.c; fuzzed by tests/fuzz/fuzz_wire.c
 */
#include "proto/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "proto/mpack.h"
#include "proto/wire_int.h"

/* Keys nobody knows (a newer sender) are skipped, up to this many in one map. */
#define UNKNOWN_KEYS_MAX 32

int wire_bad(struct wire_error *err, int code, const struct field *f, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->field = f ? f->name : NULL;
        (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

bool wire_has(const struct field *f, const void *body)
{
    switch (f->kind) {
    case FK_STR:
    case FK_BIN:
    case FK_JSON: {
        const sv *v = FIELD_CPTR(sv, body, f);
        return f->need == REQ ? v->p != NULL : v->n > 0;
    }
    case FK_U64:
        return f->need == REQ || *FIELD_CPTR(uint64_t, body, f) != 0;
    case FK_I64:
        return f->need == REQ || *FIELD_CPTR(int64_t, body, f) != 0;
    case FK_BOOL:
        return f->need == REQ || *FIELD_CPTR(bool, body, f);
    case FK_LIST:
        return FIELD_CCOUNT(body, f) > 0;
    default:
        return false;
    }
}

int wire_check_bytes(const struct field *f, sv v, struct wire_error *err)
{
    if (v.n > f->max) {
        return wire_bad(err, ERR_BAD, f, "%s is longer than %llu bytes", f->name,
                        (unsigned long long)f->max);
    }
    if (f->kind != FK_BIN && !utf8_valid(v)) {
        return wire_bad(err, ERR_BAD, f, "%s is not valid UTF-8", f->name);
    }
    return OK;
}

size_t wire_field_at(const struct msg_desc *d, sv key, size_t *hint)
{
    for (size_t k = 0; k < d->n; k++) {
        size_t i = *hint + k < d->n ? *hint + k : *hint + k - d->n;
        if (key.n == d->fields[i].key_n && memcmp(key.p, d->fields[i].key, key.n) == 0) {
            *hint = i + 1 < d->n ? i + 1 : 0;
            return i;
        }
    }
    return d->n;
}

const struct field *wire_missing(const struct msg_desc *d, uint64_t seen)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->fields[i].need == REQ && (seen >> i & 1) == 0) {
            return &d->fields[i];
        }
    }
    return NULL;
}

/* ---- encode ---------------------------------------------------------------------------------------- */

static int encode_map(msgpack_packer *pk, const struct msg_desc *d, const void *body, unsigned depth,
                      struct wire_error *err);

static int encode_list(msgpack_packer *pk, const struct field *f, const void *body, unsigned depth,
                       struct wire_error *err)
{
    size_t n = FIELD_CCOUNT(body, f);
    const char *rows = *FIELD_CPTR(char *, body, f);
    if (n > f->max) {
        return wire_bad(err, ERR_BAD, f, "%s has more than %llu elements", f->name,
                        (unsigned long long)f->max);
    }
    ASSERT(depth < WIRE_MAX_DEPTH && rows != NULL);
    (void)msgpack_pack_array(pk, n);
    for (size_t i = 0; i < n; i++) {
        int rc = encode_map(pk, f->sub, rows + i * f->sub->size, depth + 1, err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

static int encode_value(msgpack_packer *pk, const struct field *f, const void *body, unsigned depth,
                        struct wire_error *err)
{
    int rc;
    switch (f->kind) {
    case FK_STR:
    case FK_JSON:
    case FK_BIN: {
        sv v = *FIELD_CPTR(sv, body, f);
        rc = wire_check_bytes(f, v, err);
        if (rc == OK) {
            (f->kind == FK_BIN ? mpack_bin : mpack_str)(pk, v);
        }
        return rc;
    }
    case FK_U64: {
        uint64_t v = *FIELD_CPTR(uint64_t, body, f);
        if (f->max != 0 && v > f->max) {
            return wire_bad(err, ERR_BAD, f, "%s is above %llu", f->name, (unsigned long long)f->max);
        }
        (void)msgpack_pack_uint64(pk, v);
        return OK;
    }
    case FK_I64:
        (void)msgpack_pack_int64(pk, *FIELD_CPTR(int64_t, body, f));
        return OK;
    case FK_BOOL:
        (void)(*FIELD_CPTR(bool, body, f) ? msgpack_pack_true(pk) : msgpack_pack_false(pk));
        return OK;
    case FK_LIST:
        return encode_list(pk, f, body, depth, err);
    default:
        return ERR_INTERNAL;
    }
}

static int encode_map(msgpack_packer *pk, const struct msg_desc *d, const void *body, unsigned depth,
                      struct wire_error *err)
{
    uint64_t present = 0;
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (wire_has(&d->fields[i], body)) {
            present |= 1ull << i;
            n++;
        }
    }
    const struct field *missing = wire_missing(d, present);
    if (missing) {
        return wire_bad(err, ERR_BAD, missing, "%s is missing", missing->name);
    }
    (void)msgpack_pack_map(pk, n);
    for (size_t i = 0; i < d->n; i++) {
        if ((present >> i & 1) == 0) {
            continue;
        }
        mpack_str(pk, sv_mem(d->fields[i].key, d->fields[i].key_n));
        int rc = encode_value(pk, &d->fields[i], body, depth, err);
        if (rc != OK) {
            return rc;
        }
    }
    return OK;
}

int wire_encode(uint16_t type, const void *body, struct buf *out, struct wire_error *err)
{
    const struct msg_desc *d = msg_desc(type);
    ASSERT(d != NULL);
    size_t before = out->n;
    msgpack_packer pk;
    mpack_packer(&pk, out);
    int rc = encode_map(&pk, d, body, 0, err);
    if (rc == OK && out->full) {
        rc = wire_bad(err, ERR_TOOBIG, NULL, "%s is larger than %zu bytes", d->name, out->max);
    }
    if (rc != OK) {
        out->n = before;
    }
    return rc;
}

/* ---- decode ---------------------------------------------------------------------------------------- */

struct dec {
    struct arena *arena;
    struct wire_error *err;
};

static int decode_map(struct dec *c, const struct msg_desc *d, const msgpack_object *o, unsigned depth,
                      void *body);

static int wrong_type(struct dec *c, const struct field *f, const char *wanted)
{
    return wire_bad(c->err, ERR_BAD, f, "%s must be %s", f->name, wanted);
}

static int decode_list(struct dec *c, const struct field *f, const msgpack_object *o, unsigned depth,
                       void *body)
{
    if (o->type != MSGPACK_OBJECT_ARRAY) {
        return wrong_type(c, f, "a list");
    }
    size_t n = o->via.array.size;
    if (n > f->max) {
        return wire_bad(c->err, ERR_BAD, f, "%s has more than %llu elements", f->name,
                        (unsigned long long)f->max);
    }
    if (n == 0) {
        return OK;
    }
    ASSERT(depth < WIRE_MAX_DEPTH);
    char *rows = arena_alloc(c->arena, n * f->sub->size);
    for (size_t i = 0; i < n; i++) {
        const msgpack_object *e = &o->via.array.ptr[i];
        if (e->type != MSGPACK_OBJECT_MAP) {
            return wrong_type(c, f, "a list of maps");
        }
        int rc = decode_map(c, f->sub, e, depth + 1, rows + i * f->sub->size);
        if (rc != OK) {
            return rc;
        }
    }
    *FIELD_PTR(void *, body, f) = rows;
    FIELD_COUNT(body, f) = n;
    return OK;
}

static int decode_number(struct dec *c, const struct field *f, const msgpack_object *o, void *body)
{
    if (f->kind == FK_I64) {
        bool fits = o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ||
                    (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX);
        if (!fits) {
            return wrong_type(c, f, "a 64-bit integer");
        }
        *FIELD_PTR(int64_t, body, f) = o->via.i64;
        return OK;
    }
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
        return wrong_type(c, f, "an integer of 0 or more");
    }
    if (f->max != 0 && o->via.u64 > f->max) {
        return wire_bad(c->err, ERR_BAD, f, "%s is above %llu", f->name, (unsigned long long)f->max);
    }
    *FIELD_PTR(uint64_t, body, f) = o->via.u64;
    return OK;
}

static int decode_value(struct dec *c, const struct field *f, const msgpack_object *o, unsigned depth,
                        void *body)
{
    switch (f->kind) {
    case FK_STR:
    case FK_JSON:
    case FK_BIN: {
        bool bin = f->kind == FK_BIN;
        if (o->type != (bin ? MSGPACK_OBJECT_BIN : MSGPACK_OBJECT_STR)) {
            return wrong_type(c, f, bin ? "bytes" : "a string");
        }
        sv v = bin ? sv_mem(o->via.bin.ptr, o->via.bin.size) : sv_mem(o->via.str.ptr, o->via.str.size);
        if (v.n == 0) {
            v.p = "";
        }
        int rc = wire_check_bytes(f, v, c->err);
        if (rc == OK) {
            *FIELD_PTR(sv, body, f) = v;
        }
        return rc;
    }
    case FK_U64:
    case FK_I64:
        return decode_number(c, f, o, body);
    case FK_BOOL:
        if (o->type != MSGPACK_OBJECT_BOOLEAN) {
            return wrong_type(c, f, "true or false");
        }
        *FIELD_PTR(bool, body, f) = o->via.boolean;
        return OK;
    case FK_LIST:
        return decode_list(c, f, o, depth, body);
    default:
        return ERR_INTERNAL;
    }
}

/* Keys that no row has, of one map; only to find duplicates among them. */
struct unknown {
    sv keys[UNKNOWN_KEYS_MAX];
    size_t n;
};

static int note_unknown(struct dec *c, struct unknown *u, sv key)
{
    for (size_t i = 0; i < u->n; i++) {
        if (sv_eq(u->keys[i], key)) {
            return wire_bad(c->err, ERR_BAD, NULL, "a key stands twice in one map");
        }
    }
    if (u->n == UNKNOWN_KEYS_MAX) {
        return wire_bad(c->err, ERR_BAD, NULL, "more than %d unknown keys in one map", UNKNOWN_KEYS_MAX);
    }
    u->keys[u->n++] = key;
    return OK;
}

static int decode_map(struct dec *c, const struct msg_desc *d, const msgpack_object *o, unsigned depth,
                      void *body)
{
    struct unknown unknown;
    unknown.n = 0;
    uint64_t seen = 0;
    size_t hint = 0;
    for (size_t i = 0; i < o->via.map.size; i++) {
        const msgpack_object_kv *kv = &o->via.map.ptr[i];
        if (kv->key.type != MSGPACK_OBJECT_STR) {
            return wire_bad(c->err, ERR_BAD, NULL, "a key of %s is not a string", d->name);
        }
        sv key = sv_mem(kv->key.via.str.ptr, kv->key.via.str.size);
        size_t at = wire_field_at(d, key, &hint);
        int rc;
        if (at == d->n) {
            rc = note_unknown(c, &unknown, key);
        } else if (seen >> at & 1) {
            rc = wire_bad(c->err, ERR_BAD, &d->fields[at], "%s stands twice", d->fields[at].name);
        } else {
            seen |= 1ull << at;
            rc = decode_value(c, &d->fields[at], &kv->val, depth, body);
        }
        if (rc != OK) {
            return rc;
        }
    }
    const struct field *missing = wire_missing(d, seen);
    if (missing) {
        return wire_bad(c->err, ERR_BAD, missing, "%s is missing", missing->name);
    }
    return OK;
}

int wire_decode(uint16_t type, sv bytes, struct arena *a, void *body, struct wire_error *err)
{
    const struct msg_desc *d = msg_desc(type);
    if (!d) {
        return wire_bad(err, ERR_BAD, NULL, "unknown message type 0x%04x", type);
    }
    msgpack_object o;
    int rc = mpack_parse(bytes, &o);
    if (rc != OK) {
        return wire_bad(err, ERR_PARSE, NULL, "the body of %s is not well-formed msgpack", d->name);
    }
    if (o.type != MSGPACK_OBJECT_MAP) {
        rc = wire_bad(err, ERR_BAD, NULL, "the body of %s is not a map", d->name);
    } else {
        struct dec c = {a, err};
        rc = decode_map(&c, d, &o, 0, body);
    }
    mpack_done();
    return rc;
}
