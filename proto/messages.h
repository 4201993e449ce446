/*
 * messages.h: structs and numbers of every message, expanded from messages.def.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: anything by hand; add a row to messages.def instead.
 * Tested in: tests/unit/proto/test_wire.c
 */
#ifndef TENAZA_PROTO_MESSAGES_H
#define TENAZA_PROTO_MESSAGES_H

#include "proto/field.h"

/* The lists stay defined as macros; each inclusion below uses them differently. */
#define MSG(num, NAME, name, doc)                                                                  \
    struct msg_##name {                                                                            \
        NAME##_FIELDS(FIELD_MEMBER_F, FIELD_MEMBER_L)                                              \
    };
#include "proto/messages.def"
#undef MSG

enum msg_type {
    MSG_NONE = 0,
#define MSG(num, NAME, name, doc) MSG_##NAME = (num),
#include "proto/messages.def"
#undef MSG
};

/* NULL for an unknown number. */
const struct msg_desc *msg_desc(uint16_t type);
const char *msg_name(uint16_t type); /* "?" for an unknown number */
/* All rows in the order of the file; ends with NULL. */
const struct msg_desc *msg_at(size_t i);

#endif
