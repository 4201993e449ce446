/*
 * oai_run.h: a request of the OpenAI interface and the run that answers it: in through the store's one door, then
 *            watched to its end; the two APIs say each step in their own way (struct oai_voice).
 * Runs in: edge.     Owns: the request's work (http_req.work), until the answer is out or the client is gone.
 * Never: starts a run twice for one Idempotency-Key, leaves a run going on for nobody.
 * Tested in: tests/conformance/openai.test.mjs, tests/scn/h2-openai.test.mjs
 */
#ifndef TENAZA_EDGE_OAI_RUN_H
#define TENAZA_EDGE_OAI_RUN_H

#include "workers/edge/oai.h"
#include "workers/edge/oai_out.h"
#include "workers/edge/oai_req.h"
#include "workers/edge/runs.h"
#include "workers/edge/sesskey.h"

struct oai_run;

/* How an API says what happens. Streams: begin, then text any number of times, then end or fail. */
struct oai_voice {
    enum oai_api api;
    const char *prefix; /* of run ids */
    void (*begin)(struct oai_run *w);
    void (*text)(struct oai_run *w, sv piece);
    void (*end)(struct oai_run *w);
    void (*fail)(struct oai_run *w, const struct http_fail *f);
    void (*whole)(struct oai_run *w, struct buf *b);
};

struct oai_run {
    struct http_req *r;
    const struct oai_voice *voice;
    struct oai_req q;
    char agent[65], run_id[129], key[SESSKEY_MAX + 1], model[257];
    bool fresh;          /* the session was made for this request */
    uint64_t keep_ms;
    bool sent;           /* the store was asked to start the run */
    bool ended, replay;
    struct run_watch watch;
    struct buf said;     /* text that went out */
    uint64_t seq;        /* responses: number of the next event */
    bool item_open;      /* responses: the message item was announced */
    struct oai_answer a; /* filled in at the end */
};

/* Reads the body and starts the run. */
void oai_run_start(struct http_req *r, const struct oai_voice *voice);
/* Takes the session of `key` instead of one of its own; from a voice's own checks. */
void oai_run_ingest(struct oai_run *w);
/* The error that a run ended with, in the words of this interface. */
struct http_fail oai_run_failure(const struct msg_run *m);
void oai_run_answer_of(struct oai_answer *a, const struct msg_run *m);

extern const struct oai_voice oai_chat_voice, oai_resp_voice;

#endif
