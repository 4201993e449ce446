/*
 * http_rules.h: what a request's headers and query must look like (http-surfaces.md 1.2, 3.1).
 * Runs in: edge.     Owns: nothing.
 * Never: looks at a connection or the configuration.
 * Tested in: tests/unit/edge/test_http_rules.c; fuzzed by tests/fuzz/fuzz_http_req.c
 */
#ifndef TENAZA_EDGE_HTTP_RULES_H
#define TENAZA_EDGE_HTTP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/sv.h"

#define REQUEST_ID_MAX 128

/* Printable ASCII without spaces, 1..128: echoed and logged as it is. */
bool request_id_ok(sv id);
/* The credential of "Bearer X" (the scheme in any case), SV_NULL: none or another scheme. */
sv bearer_of(sv authorization);
/* Does the query carry a credential? Such URLs end up in logs and histories. */
bool query_has_secret(sv query);
/* Value for an Idempotency-Key: printable ASCII, 1..200. */
bool idempotency_key_ok(sv key);

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_BAD };
/* How long the body is, from its two headers (empty: absent). Both at once are bad (request smuggling), so is any
 * coding but chunked and any length that is not a plain number. */
enum body_kind body_kind(sv content_length, sv transfer_encoding, uint64_t *length);

#endif
