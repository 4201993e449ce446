/*
 * tool.h: what a tool is, and one call of a tool.
 * Runs in: agent.     Owns: nothing.
 * Never: knows how runs are stored; a tool only sees its arguments and struct tool_env.
 * Tested in: tests/unit/agent/test_tools.c
 */
#ifndef TENAZA_AGENT_TOOLS_TOOL_H
#define TENAZA_AGENT_TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "common/loop.h"
#include "common/sv.h"

enum tool_replay { REPLAY_NO, REPLAY_YES };
/* What a tool touches; the configuration (tools.deny) and the kind of chat decide by it who is offered it. */
enum tool_group { GROUP_SESSION, GROUP_FS, GROUP_MESSAGING };

struct tool_run;
/* A message that a tool wants to leave; empty route: the chat of this conversation. */
struct tool_message {
    sv channel, account, chat_id, thread_id, text;
};

/* Facts a tool may tell the model; views live as long as the run. */
struct tool_env {
    struct loop *loop;
    sv session_key, session_id, agent_id, channel, run_id;
    const char *provider, *model;
    const char *zone;      /* the user's zone */
    uint64_t window;       /* context tokens, 0: unknown */
    uint64_t rows;         /* transcript rows in view */
    uint64_t in_tokens, out_tokens; /* of this run so far */
    int64_t started_ms;
    sv workspace;          /* folder of the file tools, absolute; made when it is first written to */
    /* Puts a message into the outbox under t->key and calls t->done, later; cancel takes it back from the caller,
     * not from the store. NULL in tests of tools that do not send. */
    void (*send)(struct tool_run *t, const struct tool_message *m);
    void (*send_cancel)(struct tool_run *t);
};

struct tool;
typedef void tool_done_fn(void *ctx, struct tool_run *t, sv text, bool is_error);

/* One call under way. The owner keeps it until done was called or cancel returned. */
struct tool_run {
    const struct tool *tool;
    const struct tool_env *env;
    const json_t *args; /* checked against the schema */
    sv key;             /* names this call in every attempt: the key of its effect */
    tool_done_fn *done;
    void *ctx;
    void *state; /* the tool's own */
};

struct tool_ops {
    /* Calls t->done exactly once, now or later from the loop, unless cancelled. */
    void (*start)(struct tool_run *t);
    void (*cancel)(struct tool_run *t); /* NULL for tools that finish at once */
};

struct tool {
    const char *name, *description, *schema;
    enum tool_group group;
    enum tool_replay replay;
    size_t result_max;
    const struct tool_ops *ops;
};

size_t tool_count(void);
const struct tool *tool_at(size_t i);
const struct tool *tool_find(sv name); /* NULL: there is none */
const char *tool_group_name(enum tool_group g); /* "group:fs" */

/* Parses arguments and checks them. 0 and *out, or ERR_BAD and a sentence for the model in err. */
int tool_args(const struct tool *t, sv text, json_t **out, char *err, size_t cap) ATTR_NODISCARD;
/* The check alone, against any schema of the supported words. */
int tool_args_check(const json_t *schema, json_t *args, char *err, size_t cap) ATTR_NODISCARD;
/* Writes "there is no tool X; there are: a, b". */
void tool_unknown(sv name, char *dst, size_t cap);

#endif
