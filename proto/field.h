/*
 * field.h: the grammar of messages.def, and its expansion into C structs and field tables.
 * Runs in: every process that speaks msgpack.     Owns: nothing.
 * Never: code; only macros and the descriptor types that wire.c interprets.
 * Tested in: tests/unit/proto/test_wire.c
 *
 * A message is a list macro of scalar fields F and list fields L, followed by one MSG row:
 *   #define PING_FIELDS(F, L)                                                   \
 *       F(STR, name, "name", 64, REQ, "who asks")                               \
 *       L(items, "it", item, 16, "what is asked for")
 *   MSG(0x0001, PING, ping, "what it is for")
 * F(kind, member, key, max, need, doc)   kinds: STR BIN JSON U64 I64 BOOL
 *   max: bytes for STR, BIN, JSON; greatest value for U64 (0 = no limit); ignored otherwise.
 *   REQ: must be present. OPT: absent decodes as zero / SV_NULL, and zero / empty is not encoded.
 * L(member, key, sub, max, doc)          list of the message `sub`, at most max; no message contains itself.
 */
#ifndef TENAZA_PROTO_FIELD_H
#define TENAZA_PROTO_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

enum field_kind { FK_STR, FK_BIN, FK_JSON, FK_U64, FK_I64, FK_BOOL, FK_LIST };
enum field_need { OPT, REQ };

/* C type of a scalar kind. JSON is a view of JSON text, embedded as a value by the JSON bridge. */
#define FIELD_C_STR sv
#define FIELD_C_BIN sv
#define FIELD_C_JSON sv
#define FIELD_C_U64 uint64_t
#define FIELD_C_I64 int64_t
#define FIELD_C_BOOL bool

struct msg_desc;

struct field {
    enum field_kind kind;
    enum field_need need;
    const char *name; /* member name, for errors and the manual */
    const char *key;  /* msgpack map key, and JSON key */
    uint64_t max;
    size_t off;       /* of the member */
    size_t off_n;     /* FK_LIST: of the counter */
    const struct msg_desc *sub;
    const char *doc;
    size_t key_n;     /* bytes of key */
};

struct msg_desc {
    uint16_t type;
    const char *name; /* "INGEST" */
    size_t size;      /* of the C struct */
    const struct field *fields;
    size_t n;
    const char *doc;
};

#define FIELD_MEMBER_F(kind, member, key, max, need, doc) FIELD_C_##kind member;
#define FIELD_MEMBER_L(member, key, sub, max, doc)                                                 \
    struct msg_##sub *member;                                                                      \
    size_t member##_n;

#endif
