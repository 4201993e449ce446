/*
 * fake_planes.h: stands in for the planes of a worker, so that run.c and its friends can be driven in one
 *                process: remembers what an agent sends, answers when the test says so.
 * Runs in: unit tests.     Owns: copies of requests and events.
 * Never: delays an answer by itself.
 * Tested in: itself a test tool.
 */
#ifndef TENAZA_TESTS_UNIT_AGENT_FAKE_PLANES_H
#define TENAZA_TESTS_UNIT_AGENT_FAKE_PLANES_H

#include "agent/agent.h"

#define FAKE_CALLS_MAX 256
#define FAKE_EVENTS_MAX 2048

/* A request to the store, encoded and decoded again: what does not fit its table is found here. */
struct fake_call {
    uint16_t type;
    store_reply_fn *cb; /* NULL: forgotten or answered */
    void *ctx;
    struct msg_step step;
    struct msg_finish finish;
    struct msg_want want;
    struct msg_send send;
};

struct fake {
    struct arena mem;
    struct fake_call calls[FAKE_CALLS_MAX];
    size_t calls_n;
    struct msg_run_event events[FAKE_EVENTS_MAX];
    size_t events_n;
    size_t models_n;
    struct msg_model model; /* the last one published */
    store_push_fn *on_grant, *on_abort;
    void *push_ctx;
    bus_topic_fn *on_ask;
    bus_serve_fn *on_text_get;
    uint16_t answer_type; /* of the last bus_reply */
    struct msg_run_text answer;
    bool auto_ok; /* DONE to every STEP and FINISH, at the end of the turn of the loop */
    struct loop *loop;
};

extern struct fake fake;

void fake_reset(struct loop *l);
void fake_free(void);
/* Answers call i. */
void fake_answer(size_t i, int err);
/* Index of the n-th request of this type (from 0), or -1. */
int fake_find(uint16_t type, size_t n);
size_t fake_count(uint16_t type);
/* Deltas of the run so far, joined; asserts that offsets and numbers have no gap. */
void fake_text(struct buf *dst);
/* Number of events of this stream whose data contains the text (NULL: any). */
size_t fake_events(const char *stream, const char *part);

#endif
