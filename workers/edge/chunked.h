/*
 * chunked.h: decodes a chunked request body (RFC 9112, 7.1): libwebsockets 4.1 hands its bytes over as they came.
 * Runs in: edge.     Owns: nothing; the decoded bytes go where the caller says.
 * Never: passes framing on as content, accepts a bare LF, keeps extensions or trailers.
 * Tested in: tests/unit/edge/test_chunked.c; fuzzed by tests/fuzz/fuzz_http_req.c
 */
#ifndef TENAZA_EDGE_CHUNKED_H
#define TENAZA_EDGE_CHUNKED_H

#include <stdbool.h>

#include "common/buf.h"

/* Bytes of extensions and trailers together; nobody needs them. */
#define CHUNKED_EXTRA_MAX 4096

struct chunked {
    int state; /* zero: before the first size */
    uint64_t left;
    size_t digits, extra, line;
    bool done;
};

enum chunked_result { CHUNKED_MORE, CHUNKED_DONE, CHUNKED_BAD, CHUNKED_FULL };

/* Eats `in`, appends content to `body`. DONE: the end was seen; bytes behind it are dropped. FULL: body's cap. */
enum chunked_result chunked_add(struct chunked *c, sv in, struct buf *body);

#endif
