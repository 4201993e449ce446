/*
 * doc.h: the manual of the internal protocol, written from the tables.
 * Runs in: gen-docs (built, not installed) and the test that compares docs/protocol-internal.md.
 * Owns: nothing.     Never: text about a single message by hand; that stands in its row.
 * Tested in: tests/unit/proto/test_doc.c
 */
#ifndef TENAZA_PROTO_DOC_H
#define TENAZA_PROTO_DOC_H

#include "common/buf.h"

/* Appends the whole manual (Markdown); false when it does not fit. */
bool doc_protocol(struct buf *out);
/* The methods of the client protocol (docs/protocol-methods.md), and the same as JSON. */
bool doc_methods(struct buf *out);
bool doc_methods_json(struct buf *out);

#endif
