/*
 * context.h: transcript rows -> messages for a model, within its window.
 * Runs in: agent.     Owns: nothing; pure: the same rows give the same bytes.
 * Never: splits a tool call from its result, drops the newest turn, changes what is stored.
 * Tested in: tests/unit/agent/test_context.c
 */
#ifndef TENAZA_AGENT_CONTEXT_H
#define TENAZA_AGENT_CONTEXT_H

#include "agent/provider/provider.h"
#include "common/arena.h"
#include "proto/messages.h"

struct context_req {
    const struct msg_entry *rows;
    size_t rows_n;
    sv run_id;            /* rows of this run are never dropped */
    sv group_context;     /* unaddressed lines before this run's input */
    bool group;           /* show authors */
    const char *zone;
    uint64_t window;      /* tokens; 0: no limit */
    size_t fixed_chars;   /* system prompt and tool schemas */
    uint64_t max_tokens;  /* kept free for the answer; 0: a quarter of the window, at most 4096 */
};

struct context {
    struct chat_msg *msgs; /* in the arena */
    size_t n;
    size_t dropped;        /* rows that did not fit */
    size_t chars;          /* of what is sent */
    sv last_user;          /* raw text of the newest user row */
};

void context_build(const struct context_req *q, struct arena *a, struct context *out);

#endif
