/*
 * delta.h: the live side of a run: its answer so far, and the events on bus topic "run".
 * Runs in: agent.     Owns: the text of the whole run, the part that is not sent yet, the event counter.
 * Never: is needed for the result: FINISH carries the text, the bus may lose everything.
 * Tested in: tests/unit/agent/test_delta.c
 */
#ifndef TENAZA_AGENT_DELTA_H
#define TENAZA_AGENT_DELTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/loop.h"
#include "proto/messages.h"
#include "workers/runtime/plane_bus.h"

#define DELTA_MS 30    /* architecture.md 7 */
#define DELTA_BYTES 256
#define RUN_TEXT_MAX ((size_t)384 * 1024) /* the answer of a run: it stands twice in FINISH, which is at most 1 MiB */
/* Event numbers of a later attempt start here times (attempt - 1): an older agent cannot have used as many. */
#define DELTA_SEQ_STRIDE 100000u

struct stream {
    struct plane_bus *bus;
    struct loop_timer timer;
    sv run_id, session_key, session_id, agent_id; /* views into the run's memory */
    uint64_t fence, seq;
    struct buf all;  /* texts of the run's model messages, joined by blank lines */
    size_t item_at;  /* where the current message begins in all */
    size_t sent;     /* so much of all has left */
    unsigned item;   /* number of the current model message, from 1 */
    struct buf hold; /* beginning of a message that may still become NO_REPLY */
    bool holding, item_open;
    bool cut; /* RUN_TEXT_MAX was reached */
};

void stream_init(struct stream *s, struct loop *l, struct plane_bus *bus);
void stream_free(struct stream *s);

/* A text of an earlier attempt that stands in the transcript already; not published. */
void stream_restore(struct stream *s, sv text);
/* The next text belongs to a new model message. */
void stream_item(struct stream *s);
/* False: the run's text has reached its cap and the rest is dropped. */
bool stream_text(struct stream *s, sv delta);
/* The message is complete: a trailing NO_REPLY is cut, held text comes out. True: it was NO_REPLY as a whole. */
bool stream_item_end(struct stream *s);
void stream_flush(struct stream *s);
/* Forgets the text of the current message (a failed try that showed nothing). */
void stream_item_drop(struct stream *s);
sv stream_item_text(const struct stream *s); /* of the current message */
sv stream_all(const struct stream *s);

/* One event of another stream; takes the reference of data. Flushes text first, so that the order is right. */
void stream_event(struct stream *s, const char *name, json_t *data);

#endif
