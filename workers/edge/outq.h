/*
 * outq.h: what waits to be written to one connection, bounded in bytes.
 * Runs in: edge.     Owns: its messages.
 * Never: copies a message, drops one silently.
 * Tested in: tests/unit/edge/test_outq.c
 *
 * A message is built with room for the frame header in front (OUT_PRE, at least LWS_PRE), so that it can be
 * written as it is.
 */
#ifndef TENAZA_EDGE_OUTQ_H
#define TENAZA_EDGE_OUTQ_H

#include <stdbool.h>

#include "common/buf.h"

#define OUT_PRE 16
/* Largest single message: a history page plus its JSON escapes. */
#define OUT_MSG_MAX (32u * 1024 * 1024)
/* policy.maxBufferedBytes (gateway-ws.md 8.1, 13.3). */
#define OUT_BYTES_MAX 52428800u

struct out_msg {
    struct out_msg *next;
    char *mem; /* OUT_PRE bytes of room, then the text */
    size_t n;  /* bytes of text */
};

struct outq {
    struct out_msg *head, **tail;
    size_t bytes; /* text and bookkeeping */
    size_t count;
};

/* Starts a message. */
void out_begin(struct buf *b);
/* Text of a message that was begun. */
sv out_text(const struct buf *b);

void outq_init(struct outq *q);
void outq_clear(struct outq *q);
/* Takes the memory of b (empty afterwards). False: the queue would exceed OUT_BYTES_MAX, or b is full or
 * empty; b is freed in any case. */
bool outq_push(struct outq *q, struct buf *b);
/* Oldest message or NULL; stays until outq_pop. */
struct out_msg *outq_head(const struct outq *q);
void outq_pop(struct outq *q);

#endif
