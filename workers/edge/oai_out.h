/*
 * oai_out.h: answers of the OpenAI interface as JSON, whole and in pieces (http-surfaces.md 5.3, 5.4, 6.2, 6.3).
 * Runs in: edge.     Owns: nothing.
 * Never: writes to a connection; knows runs only as struct oai_answer.
 * Tested in: tests/unit/edge/test_oai_out.c; tests/conformance/openai.test.mjs
 */
#ifndef TENAZA_EDGE_OAI_OUT_H
#define TENAZA_EDGE_OAI_OUT_H

#include <stdbool.h>

#include "common/buf.h"
#include "proto/messages.h"

struct oai_answer {
    const char *id;      /* of the run, too */
    const char *model;   /* as the caller wrote it */
    const char *previous; /* responses: the one before, or NULL */
    int64_t created_s;
    sv text, stop;       /* stop: of the run: stop, length, tool_calls */
    const struct msg_tool_call *calls;
    size_t calls_n;
    uint64_t in_tokens, out_tokens;
};

/* ---- chat completions */
void oai_chat_whole(struct buf *b, const struct oai_answer *a);
void oai_chat_role(struct buf *b, const struct oai_answer *a);
void oai_chat_text(struct buf *b, const struct oai_answer *a, sv piece);
/* One call takes two chunks: name with empty arguments, then the arguments. */
void oai_chat_call(struct buf *b, const struct oai_answer *a, size_t i, bool args);
void oai_chat_finish(struct buf *b, const struct oai_answer *a);
void oai_chat_usage(struct buf *b, const struct oai_answer *a);

/* ---- responses */
struct oai_state {
    const char *status;  /* in_progress, completed, incomplete, failed */
    const char *error_code;
    sv error;            /* failed: for people */
    bool output;         /* with the output items */
};
void oai_resp_whole(struct buf *b, const struct oai_answer *a, const struct oai_state *s);
/* {"type":TYPE,"sequence_number":N  - to be continued and closed */
void oai_resp_event(struct buf *b, const char *type, uint64_t seq);
/* The i-th output item: the message first (when there are words), then the calls. done: with its content. */
size_t oai_resp_items(const struct oai_answer *a);
void oai_resp_item(struct buf *b, const struct oai_answer *a, size_t i, bool done);
void oai_resp_item_id(struct buf *b, const struct oai_answer *a, size_t i);
void oai_resp_part(struct buf *b, sv text);

#endif
