/*
 * agent.h: the agent worker and the runs it works on; shared by the files of this folder.
 * Runs in: agent.     Owns: struct agent owns all runs; a run owns its memory, its model call, its tool call.
 * Never: keeps anything that the store has not got, except text on its way.
 * Tested in: tests/unit/agent/test_run.c
 *
 * One run: GRANT -> prepare -> { model -> STEP intent -> tools -> STEP results } -> FINISH.
 *   run.c   creation, end, timeouts         turn.c  one model call, retries, fallbacks
 *   step.c  what is stored and when, resume calls.c the tool calls of one turn
 *   offer.c which tools there are           effects.c what tools do outside, by way of the store
 *   slots.c GRANT, WANT, ABORT_RUN, drain   caller.c tools that the caller brings along
 */
#ifndef TENAZA_AGENT_AGENT_H
#define TENAZA_AGENT_AGENT_H

#include "agent/delta.h"
#include "agent/models.h"
#include "agent/tools/tool.h"
#include "common/arena.h"
#include "common/map.h"
#include "proto/messages.h"
#include "workers/runtime/context.h"
#include "workers/runtime/worker.h"

#define AGENT_SLOTS 16           /* runs in progress in one process */
#define AGENT_RUNS_MAX 64        /* GRANTs beyond the slots that may cross a smaller WANT (WANT.held) */
#define RUN_MODEL_CALLS_MAX 24   /* the last one gets no tools, so that it answers */
#define RUN_SAME_FAILURES_MAX 3  /* the same call failing with the same arguments */
#define RUN_TOOLS_MAX 192        /* offered in one call: ours and up to 128 of the caller's */
#define RUN_TIMEOUT_MS 600000    /* agent-runtime.md 7.5, without configuration */

struct agent {
    struct worker *worker; /* NULL in unit tests */
    struct loop *loop;
    const struct conf *conf;
    struct plane_store *store;
    struct plane_bus *bus;
    struct http_client *http;
    const char *state_dir; /* default workspaces are below it */
    struct models models;
    struct map runs;       /* run id -> struct run */
    struct map no_tools;   /* "provider/model" of those whose server refuses tools; values mean nothing */
    struct list run_list;
    size_t runs_n;
    struct list invokes;   /* struct invoke.link: tool calls without a run */
    size_t invokes_n;
    char zone[64];         /* of the people here */
    bool spanish;
    bool draining;
    struct loop_timer renew, publish, status, drain;
};

enum run_state {
    RUN_PREPARING, /* new, or waiting for the model probes */
    RUN_MODEL,     /* a model call is under way */
    RUN_RETRY,     /* waiting before the next try */
    RUN_STORING,   /* a STEP is under way */
    RUN_TOOLS,
    RUN_FINISHING, /* FINISH is under way */
    RUN_DEAD,      /* forgotten; freed at the end of the turn of the loop */
};

/* What whoever started the run wants of it (GRANT.opts); zero: nothing. */
struct caller {
    const char *choice; /* "", auto, none, required, tool:<name>; NULL: as "" */
    sv sampling;        /* JSON object, or empty */
    uint64_t max_tokens;
    struct chat_tool *tools;
    size_t tools_n;
};

struct run {
    struct list link;
    struct agent *agent;
    struct arena mem;         /* strings and rows; lives as long as the run */
    struct msg_grant g;       /* its rows member is not used */
    struct msg_entry *rows;   /* transcript, then the rows of this run */
    size_t rows_n, rows_cap;
    uint64_t step;            /* steps stored so far */
    size_t step_from;         /* first row of the step under way */
    void (*step_next)(struct run *r);
    struct trace trace;       /* of the message that brought it */
    int64_t started_ms;
    int64_t call_began_us;      /* monotonic: of the model call */
    struct stream out;
    struct loop_timer deadline, retry;

    struct model_choice choice; /* of the current call */
    size_t candidate;           /* 0: the selected model, then the fallbacks */
    struct model_call *call;
    sv failures;                /* lines for the user about candidates that failed */
    const char *failure_kind;   /* error_kind of the last one, or NULL */
    sv fallback_from;           /* "provider/model: reason" when a fallback answers */
    uint64_t in_tokens, out_tokens;

    struct tool_env env;        /* for tools */
    uint64_t hidden_tools;      /* bit i: tool_at(i) is not for this conversation */
    struct tool_run tool;
    struct msg_send send;       /* under way, for the tool `message` */
    int64_t work_ms;            /* real time at which the model call or the tool began */
    json_t *tool_args;
    size_t turn_row;            /* index of the assistant row whose calls are worked on */
    size_t next_call;
    size_t results_from;        /* first row of the results that are not stored yet */
    uint64_t bad_call;          /* hash of the last failing call */
    struct caller caller;
    struct msg_tool_call *handed; /* calls of this turn that the caller has to make */
    size_t handed_n;

    struct msg_finish fin;      /* strings in the run's memory */
    struct msg_entry fin_row;

    enum run_state state;
    unsigned tries;             /* of this candidate, for the current call */
    unsigned calls_made;        /* of the model, in this attempt */
    unsigned bad_times;         /* bad_call failed so often in a row */
    bool no_tools;              /* the current call is to answer, not to call tools */
    bool composed;              /* the extra call for an answer was made */
    bool tool_active;
    bool item_stored;           /* the text of the current message stands in a step already */
    bool resumed;               /* taken over from an earlier attempt: the next call may have been begun by it */
    bool in_calls;              /* calls_run is on the stack */
    bool caller_asked_again;    /* a call of a caller's tool is due and was asked for a second time */
    bool fin_small;             /* second try of a FINISH that was refused as malformed */
};

/* ---- slots.c */
void agent_start(struct agent *ag);  /* fields up to bus are set */
void agent_stop(struct agent *ag);
void agent_drain(struct agent *ag, int64_t within_ms);
void agent_grant(struct agent *ag, const struct msg_grant *g);
void agent_status(struct agent *ag); /* tells the supervisor what is going on */

/* ---- run.c */
struct run *run_new(struct agent *ag, const struct msg_grant *g);
void run_begin(struct run *r);
/* Log lines of the moment belong to this run: first thing in callbacks that no message started. */
void run_enter(const struct run *r);
const char *run_phase(const struct run *r); /* "waiting for model" */
uint64_t run_work_ms(const struct run *r);  /* since the model call or the tool began */
/* Adds a row to the transcript in memory; strings are copied. */
struct msg_entry *run_add_row(struct run *r, const struct msg_entry *e);
/* Ends the run for everybody: stops what is under way, keeps partial text, sends FINISH. status: ok error
 * aborted timeout. kind and text: of an error. */
void run_finish(struct run *r, const char *status, const char *kind, sv text, const char *stop);
void run_abort(struct run *r, sv reason);
/* The store no longer wants anything of it. */
void run_forget(struct run *r);

/* ---- turn.c */
void turn_start(struct run *r); /* the next model call */
void turn_model_ready(struct run *r); /* the automatic choice is there */
void turn_cancel(struct run *r);

/* ---- offer.c */
/* Which tools this conversation has: r->hidden_tools. */
void offer_tools(struct run *r);
/* Appends "name<tab>description<newline>" of every tool that the configuration does not deny. */
void offer_list(const struct conf *c, struct buf *dst);
bool offer_denied(const struct conf *c, const struct tool *t); /* tools.deny names it */
bool offer_has(const struct run *r, const struct tool *t);

/* ---- effects.c */
/* struct tool_env.send and send_cancel: the outbox, through the store. */
void effect_send(struct tool_run *t, const struct tool_message *m);
void effect_send_cancel(struct tool_run *t);

/* ---- calls.c */
void calls_run(struct run *r, size_t row, bool resumed); /* calls of rows[row] that have no result yet */
void calls_cancel(struct run *r);

/* ---- caller.c */
void caller_init(struct run *r, const struct msg_grant *g);
bool caller_has(const struct run *r, sv name);
bool caller_forces(const struct run *r);
/* Every tool of a call: ours and the caller's. chars: adds what they take. */
size_t caller_list_tools(const struct run *r, struct chat_tool *dst, size_t cap, size_t *chars);
void caller_prompt(const struct run *r, struct buf *dst);
void caller_hand_out(struct run *r, const struct msg_tool_call *c);
bool caller_insists(struct run *r);

/* ---- invoke.c */
void invoke_serve(struct agent *ag);
void invoke_stop(struct agent *ag);

/* ---- step.c */
/* Stores rows[from..] as the next step; then calls next(r) unless the run has ended meanwhile. */
void step_store(struct run *r, size_t from, void (*next)(struct run *r));
/* After a takeover: true when calls without results were found and are being dealt with. */
bool step_resume(struct run *r);

#endif
