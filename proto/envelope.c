/*
 * envelope.c: the header frame in front of every message.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: grows a field in the middle.
 * Tested in: tests/unit/proto/test_envelope.c; fuzzed by tests/fuzz/fuzz_wire.c
 */
#include "proto/envelope.h"

#include "common/err.h"
#include "common/text.h"
#include "proto/mpack.h"

/* Positions, as in envelope.h. A newer version may append more; we read what we know. */
enum { AT_VER, AT_TYPE, AT_FLAGS, AT_RID, AT_SRC, AT_DST, AT_FENCE, AT_DEADLINE, AT_TRACE, AT_END };

#define NAME_LIMIT 128 /* of a worker name or topic, bytes */
#define TRACE_BYTES 16

bool envelope_encode(const struct envelope *e, struct buf *out)
{
    if (e->src.n > NAME_LIMIT || e->dst.n > NAME_LIMIT || (e->trace.n != 0 && e->trace.n != TRACE_BYTES)) {
        return false;
    }
    size_t before = out->n;
    msgpack_packer pk;
    mpack_packer(&pk, out);
    (void)msgpack_pack_array(&pk, AT_END);
    (void)msgpack_pack_uint8(&pk, ENVELOPE_VERSION);
    (void)msgpack_pack_uint16(&pk, e->type);
    (void)msgpack_pack_uint8(&pk, e->flags);
    (void)msgpack_pack_uint64(&pk, e->rid);
    mpack_str(&pk, e->src);
    mpack_str(&pk, e->dst);
    (void)msgpack_pack_uint64(&pk, e->fence);
    (void)msgpack_pack_int64(&pk, e->deadline_ms);
    mpack_bin(&pk, e->trace);
    if (out->full) {
        out->n = before;
        return false;
    }
    return true;
}

static bool get_u64(const msgpack_object *o, uint64_t max, uint64_t *v)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max) {
        return false;
    }
    *v = o->via.u64;
    return true;
}

static bool get_name(const msgpack_object *o, sv *v)
{
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size > NAME_LIMIT) {
        return false;
    }
    *v = o->via.str.size ? sv_mem(o->via.str.ptr, o->via.str.size) : SV_NULL;
    return utf8_valid(*v);
}

static bool get_trace(const msgpack_object *o, sv *v)
{
    if (o->type != MSGPACK_OBJECT_BIN || (o->via.bin.size != 0 && o->via.bin.size != TRACE_BYTES)) {
        return false;
    }
    *v = o->via.bin.size ? sv_mem(o->via.bin.ptr, o->via.bin.size) : SV_NULL;
    return true;
}

static int read_array(const msgpack_object *o, struct envelope *e)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < AT_END) {
        return ERR_BAD;
    }
    const msgpack_object *v = o->via.array.ptr;
    uint64_t ver, type, flags, deadline;
    if (!get_u64(&v[AT_VER], UINT8_MAX, &ver) || ver < ENVELOPE_VERSION ||
        (ver == ENVELOPE_VERSION && o->via.array.size != AT_END)) {
        return ERR_BAD;
    }
    if (!get_u64(&v[AT_TYPE], UINT16_MAX, &type) || !get_u64(&v[AT_FLAGS], UINT8_MAX, &flags) ||
        !get_u64(&v[AT_RID], UINT64_MAX, &e->rid) || !get_name(&v[AT_SRC], &e->src) ||
        !get_name(&v[AT_DST], &e->dst) || !get_u64(&v[AT_FENCE], UINT64_MAX, &e->fence) ||
        !get_u64(&v[AT_DEADLINE], INT64_MAX, &deadline) || !get_trace(&v[AT_TRACE], &e->trace)) {
        return ERR_BAD;
    }
    e->type = (uint16_t)type;
    e->flags = (uint8_t)flags;
    e->deadline_ms = (int64_t)deadline;
    return OK;
}

int envelope_decode(sv bytes, struct envelope *out)
{
    *out = (struct envelope){0};
    if (bytes.n > ENVELOPE_MAX) {
        return ERR_BAD;
    }
    msgpack_object o;
    if (mpack_parse(bytes, &o) != OK) {
        return ERR_PARSE;
    }
    int rc = read_array(&o, out);
    mpack_done();
    return rc;
}
