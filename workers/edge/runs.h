/*
 * runs.h: the runs that clients watch: live text and events from the bus, the end from the store.
 * Runs in: edge.     Owns: one row per run that is going on, and a short memory of ended ones.
 * Never: ends a run by itself: only the store's RUN says so. Bus events are decoration that may be lost.
 * Tested in: tests/unit/edge/test_delta.c (text), the scenarios
 */
#ifndef TENAZA_EDGE_RUNS_H
#define TENAZA_EDGE_RUNS_H

#include "workers/edge/conn.h"
#include "workers/edge/delta.h"
#include "workers/edge/rpc.h"

/* gateway-ws.md 12.3: at most one pair of text events per run in this time. */
#define RUNS_MERGE_MS 75

struct run_live {
    struct list all;     /* runs.live or runs.ended, oldest first */
    struct edge *e;
    char *run_id, *key;
    char session_id[65], agent_id[65];
    char worker[129];    /* lease holder, empty: not known */
    char starter[37];    /* conn_id of the client that started it */
    uint64_t fence, seq; /* of the last event */
    struct delta text;
    bool agent_sent;     /* the assistant event for what is pending has been sent, the chat event not yet */
    bool asked_text;     /* a snapshot is being fetched */
    bool said_start;     /* lifecycle start has been sent */
    bool ended;
    int64_t started_ms, touched_ms, flushed_ms;
    struct loop_timer flush;
    struct list waiters; /* struct rpc_call.of_run */
    struct list watches; /* struct run_watch.of_run */
};

/* Somebody who is not a client of the protocol follows a run: an HTTP request. Belongs to its owner. */
struct run_watch {
    struct list of_run;
    const struct run_live *run; /* NULL: not watching */
    void (*on_text)(void *ctx);                         /* run->text has grown or changed */
    void (*on_end)(void *ctx, const struct msg_run *m); /* the watch is over */
    void *ctx;
};
void runs_watch(struct edge *e, sv run_id, sv key, struct run_watch *w);
void runs_unwatch(struct run_watch *w);
bool runs_watched(const struct edge *e, sv run_id);

struct runs *runs_new(struct edge *e);
void runs_free(struct runs *r);

/* A client's message became this run. Remembers who started it. */
void runs_started(struct edge *e, sv run_id, sv key, sv session_id, const struct conn *c);
/* call->on_run is called when the run ends. */
void runs_wait(struct rpc_call *call, sv run_id);
/* Asks the store for every run that somebody waits for: after its restart, and now and then. */
void runs_recheck(struct edge *e, bool all);
/* A run as the store describes it: a push, or an answer to RUN_GET. */
void runs_take(struct edge *e, const struct msg_run *m);
/* The run going on in this session, NULL: none that we know. */
const struct run_live *runs_of_session(const struct edge *e, sv key);

/* Appends the runs that are going on with their text so far, as a JSON array. */
void runs_snapshot(const struct edge *e, struct buf *b);

bool run_state_ended(sv state);

/* Topic and push handlers. */
void runs_on_event(void *ctx, uint16_t type, const void *body, bool gap);
void runs_on_push(void *ctx, uint16_t type, const void *body);
void runs_on_row(void *ctx, uint16_t type, const void *body);

/* ---- run_emit.c: runs as events of the protocol ---------------------------------------------------- */

/* Sends what is pending of the text. agent, chat: which of the two events (12.5: at the end they part). */
void emit_text(struct run_live *r, bool agent, bool chat);
void emit_stream(struct run_live *r, const struct msg_run_event *ev);
void emit_start(struct run_live *r);
void emit_end(struct run_live *r, const struct msg_run *m);
void emit_merged(struct edge *e, sv run_id, sv key);
void emit_command(struct edge *e, sv run_id, sv key, sv text);
/* reason or phase may be NULL. */
void emit_session_changed(struct edge *e, sv key, sv session_id, sv run_id, const char *reason,
                          const char *phase, const char *status, bool active);
void emit_session_deleted(struct edge *e, sv key, sv session_id);
void emit_row(struct edge *e, const struct msg_row *row);

#endif
