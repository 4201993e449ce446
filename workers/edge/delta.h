/*
 * delta.h: the live text of one run: pieces with offsets go in, merged deltas come out.
 * Runs in: edge.     Owns: the text so far.
 * Never: knows about connections or time.
 * Tested in: tests/unit/edge/test_delta.c
 *
 * Offsets count bytes of the answer of the whole run, in which the texts of several model messages ("items")
 * are joined with a blank line (gateway-ws.md 12.4). The blank line belongs to no item.
 */
#ifndef TENAZA_EDGE_DELTA_H
#define TENAZA_EDGE_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define DELTA_TEXT_MAX (786432u) /* messages.def RUN.reply */

struct delta {
    struct buf text;   /* whole answer so far */
    size_t item_start; /* where the text of the current item begins */
    size_t sent;       /* so much of text has been sent */
    char item[160];    /* id of the current item */
    bool replace;      /* text was replaced: the next delta must say so */
};

enum delta_result {
    DELTA_ADDED,
    DELTA_NOTHING, /* known already */
    DELTA_ITEM,    /* another item begins: send what is pending, then add again */
    DELTA_GAP,     /* bytes before this one are missing */
};

void delta_init(struct delta *d);
void delta_free(struct delta *d);
enum delta_result delta_add(struct delta *d, uint64_t off, sv item, sv piece);
/* Another attempt starts over at `off`: what is behind it was said in vain. */
void delta_rewind(struct delta *d, uint64_t off);
/* The whole text so far, from another source (a snapshot, the stored reply). True when it changed something:
 * a longer text with the same beginning continues, anything else replaces. */
bool delta_set(struct delta *d, sv text);

bool delta_pending(const struct delta *d);
sv delta_new(const struct delta *d);  /* not sent yet; with replace: everything */
sv delta_item(const struct delta *d); /* cumulative text of the current item */
sv delta_all(const struct delta *d);
void delta_sent(struct delta *d);

#endif
