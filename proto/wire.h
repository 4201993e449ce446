/*
 * wire.h: the one interpreter of field tables: C struct <-> msgpack map <-> JSON.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: allocates outside the arena it is given; trusts a length; accepts duplicate keys or trailing bytes.
 * Tested in: tests/unit/proto/test_wire.c; fuzzed by tests/fuzz/fuzz_wire.c and fuzz_wire_json.c
 */
#ifndef TENAZA_PROTO_WIRE_H
#define TENAZA_PROTO_WIRE_H

#include "common/arena.h"
#include "common/attrs.h"
#include "common/buf.h"
#include "common/err.h"
#include "proto/messages.h"

/* Deepest nesting of lists a message may have. */
#define WIRE_MAX_DEPTH 8

/* What was wrong, for STATUS.field and STATUS.text. */
struct wire_error {
    const char *field; /* member name or NULL */
    char text[160];
};

/* Appends the msgpack map of `body` (a struct msg_<name>). ERR_BAD: a REQ string is absent or a limit is
 * exceeded (err says which); ERR_TOOBIG: out->max reached. err may be NULL. */
int wire_encode(uint16_t type, const void *body, struct buf *out, struct wire_error *err) ATTR_NODISCARD;
/* Decodes into *body (the zeroed struct, msg_desc(type)->size bytes). Strings are views into `bytes`; lists
 * live in the arena. Unknown keys are skipped. ERR_PARSE, ERR_BAD. */
int wire_decode(uint16_t type, sv bytes, struct arena *a, void *body, struct wire_error *err) ATTR_NODISCARD;

/* The same tables to and from JSON text (keys as in the table, BIN as base64). */
int wire_to_json(uint16_t type, const void *body, struct buf *out) ATTR_NODISCARD;
int wire_from_json(uint16_t type, sv text, struct arena *a, void *body, struct wire_error *err) ATTR_NODISCARD;

#endif
