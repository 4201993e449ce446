/*
 * envelope.h: the header frame in front of every message.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: grows a field in the middle: it is a msgpack array, position = meaning, appended only.
 * Tested in: tests/unit/proto/test_envelope.c; fuzzed by tests/fuzz/fuzz_wire.c
 */
#ifndef TENAZA_PROTO_ENVELOPE_H
#define TENAZA_PROTO_ENVELOPE_H

#include "common/attrs.h"
#include "common/buf.h"
#include "common/sv.h"

#define ENVELOPE_VERSION 1
#define ENVELOPE_MAX 1024 /* bytes of an encoded header */

enum envelope_flag {
    ENV_REQUEST = 1, /* wants an answer with the same rid */
    ENV_REPLY = 2,
    ENV_PUSH = 4,    /* nobody asked, no answer */
    ENV_TOPIC = 8,   /* bus: dst is a topic, not a worker */
    ENV_GAP = 16,    /* bus: messages for this receiver were dropped before this one */
};

/* [ver, type, flags, rid, src, dst, fence, deadline_ms, trace] */
struct envelope {
    uint16_t type;
    uint8_t flags;
    uint64_t rid;
    sv src;              /* worker name */
    sv dst;              /* worker name or topic; empty: the hub itself */
    uint64_t fence;
    int64_t deadline_ms; /* real time; 0: none */
    sv trace;            /* 16 bytes or empty */
};

bool envelope_encode(const struct envelope *e, struct buf *out);
int envelope_decode(sv bytes, struct envelope *out) ATTR_NODISCARD; /* views into bytes; ERR_PARSE, ERR_BAD */

#endif
