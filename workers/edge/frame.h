/*
 * frame.h: one WebSocket message of a client, told apart as gateway-ws.md section 2.1 wants it.
 * Runs in: edge.     Owns: the parsed tree, until frame_free.
 * Never: looks into params, knows about connections.
 * Tested in: tests/unit/edge/test_frame.c; fuzzed by tests/fuzz/fuzz_frame.c
 */
#ifndef TENAZA_EDGE_FRAME_H
#define TENAZA_EDGE_FRAME_H

#include "common/json.h"

enum frame_kind {
    FRAME_NOT_JSON, /* nothing to answer to */
    FRAME_BAD,      /* JSON, but not a request frame; `why` says what is wrong */
    FRAME_REQUEST,
};

struct frame {
    enum frame_kind kind;
    json_t *root;   /* NULL with FRAME_NOT_JSON */
    sv id;          /* "invalid" when the frame has none that could be echoed */
    sv method;
    json_t *params; /* borrowed from root; NULL when absent */
    char why[320];
};

/* Longest id that is echoed; a longer one is treated as a bad frame (our own limit). */
#define FRAME_MAX_ID 256

void frame_parse(sv text, struct frame *out);
void frame_free(struct frame *f);

#endif
