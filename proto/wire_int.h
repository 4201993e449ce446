/*
 * wire_int.h: what wire.c and wire_json.c share: access to members by field row, and error texts.
 * Runs in: every process but the supervisor.     Owns: nothing.
 * Never: included outside proto/.
 * Tested in: tests/unit/proto/test_wire.c
 */
#ifndef TENAZA_PROTO_WIRE_INT_H
#define TENAZA_PROTO_WIRE_INT_H

#include "proto/wire.h"

/* Member of a body by its row. FIELD_PTR(sv, body, f)->n */
#define FIELD_PTR(type, body, f) ((type *)(void *)((char *)(body) + (f)->off))
#define FIELD_CPTR(type, body, f) ((type const *)(const void *)((const char *)(body) + (f)->off))
#define FIELD_COUNT(body, f) (*(size_t *)(void *)((char *)(body) + (f)->off_n))
#define FIELD_CCOUNT(body, f) (*(const size_t *)(const void *)((const char *)(body) + (f)->off_n))

/* Fills err (may be NULL) and returns code. */
int wire_bad(struct wire_error *err, int code, const struct field *f, const char *fmt, ...) ATTR_PRINTF(4, 5);
/* Is there something to encode? A REQ field always is, unless its string is absent. */
bool wire_has(const struct field *f, const void *body);
/* Limits of a STR, BIN or JSON value; UTF-8 of STR and JSON. OK or ERR_BAD. */
int wire_check_bytes(const struct field *f, sv v, struct wire_error *err);
/* Index of the field with this key, from *hint on (rows usually arrive in order); d->n: none. */
size_t wire_field_at(const struct msg_desc *d, sv key, size_t *hint);
/* First REQ field whose bit is not in `seen`, or NULL. */
const struct field *wire_missing(const struct msg_desc *d, uint64_t seen);

#endif
