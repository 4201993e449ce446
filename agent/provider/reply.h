/*
 * reply.h: what a model answers, collected from a stream in whatever dialect it comes.
 * Runs in: agent.     Owns: text, tool calls and error text of one model call.
 * Never: knows a dialect, grows past REPLY_TEXT_MAX and REPLY_ARGS_MAX.
 * Tested in: tests/unit/agent/test_openai.c, test_anthropic.c; fuzzed by tests/fuzz/fuzz_provider.c
 */
#ifndef TENAZA_AGENT_PROVIDER_REPLY_H
#define TENAZA_AGENT_PROVIDER_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/provider/fault.h"
#include "common/buf.h"
#include "common/sv.h"

#define REPLY_TEXT_MAX ((size_t)256 * 1024) /* bytes of one model message: text goes twice into FINISH (1 MiB) */
#define REPLY_ARGS_MAX ((size_t)64 * 1024) /* bytes of the arguments of one call, cap of all calls together too */
#define REPLY_CALLS_MAX 32            /* ENTRY.calls */
#define REPLY_ID_MAX 128
#define REPLY_NAME_MAX 64

enum model_stop {
    STOP_NONE,
    STOP_END,
    STOP_TOOL,
    STOP_LENGTH,
    STOP_REFUSAL,
    STOP_PAUSE, /* the server wants the message back to go on */
};

struct reply_call {
    char id[REPLY_ID_MAX + 1];
    char name[REPLY_NAME_MAX + 1];
    struct buf args; /* JSON text as it came, possibly not valid */
    int64_t index;   /* the dialect's own number */
};

struct reply {
    struct buf text;
    struct reply_call calls[REPLY_CALLS_MAX];
    size_t calls_n;
    size_t args_n; /* bytes of all arguments */
    uint64_t in_tokens, out_tokens;
    bool has_usage;
    enum model_stop stop;
    bool done; /* the dialect's own end mark came */

    enum fault fault; /* not FAULT_NONE: the call failed */
    int status;
    int64_t retry_after_ms; /* -1: none */
    char detail[256];

    void (*on_text)(void *ctx, sv delta); /* may be NULL */
    void *ctx;
};

void reply_init(struct reply *r);
void reply_reset(struct reply *r); /* empty again, for the next try; keeps on_text */
void reply_free(struct reply *r);

/* For dialects. */
void reply_text(struct reply *r, sv delta);
/* The call with this index; made when new. NULL when there are too many: the reply is marked failed. */
struct reply_call *reply_call(struct reply *r, int64_t index);
void reply_call_name(struct reply_call *c, sv id, sv name); /* empty views change nothing */
void reply_args(struct reply *r, struct reply_call *c, sv delta);
/* The first failure stays. type and message are the server's; status 0 inside a stream. */
void reply_error(struct reply *r, int status, sv type, sv message);
void reply_fail(struct reply *r, enum fault f, const char *detail);
/* After the stream: gives calls without an id one, "{}" to calls without arguments, and drops calls that
 * have no name. prefix: makes the ids unique inside a run. */
void reply_settle(struct reply *r, const char *prefix);

#endif
