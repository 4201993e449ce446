/*
 * rpc.h: requests of clients: from frame to row of proto/rpc.def, checked, called, answered.
 * Runs in: edge.     Owns: calls under way; each ends with rpc_done, rpc_fail or its connection.
 * Never: answers twice (but for the two phases of `agent`), leaves a call without a deadline.
 * Tested in: tests/scn/e1-protocol.test.mjs, the other scenarios
 */
#ifndef TENAZA_EDGE_RPC_H
#define TENAZA_EDGE_RPC_H

#include "common/json.h"
#include "workers/edge/conn.h"

enum rpc_flags {
    RPC_ADVERTISED = 1,
    RPC_LENIENT = 2,
    RPC_ANYONE = 4,
    RPC_TARGET = 8,
    RPC_KEYED = 16,
    RPC_LIMITED = 32, /* counts against the limit of control-plane writes (13.4) */
    RPC_NODE = 64,    /* for role node only */
};

/* How long the store may take for a call of a client. */
#define RPC_STORE_MS 30000

struct rpc_method;
struct rpc_call;
typedef void rpc_reply_fn(struct rpc_call *call, int err, uint16_t type, const void *body);

struct rpc_call {
    struct list of_conn; /* conn.calls */
    struct list of_run;  /* waiters of a run (runs.h); empty when it waits for none */
    struct conn *c;
    struct edge *e;
    const struct rpc_method *m;
    char *id;
    json_t *root;        /* keeps params alive */
    const json_t *params;
    struct loop_timer deadline;
    void (*on_deadline)(struct rpc_call *call);
    char session_key[513]; /* canonical, when the handler needs one */
    char run_id[129];
    bool flag;             /* the handler's own */
    unsigned pending;      /* requests to other processes under way */
    rpc_reply_fn *on_reply;
    void (*on_run)(struct rpc_call *call, const struct msg_run *run); /* the run it waits for has ended */
    void *data;            /* the handler's own, freed with xfree ... */
    void (*on_free)(struct rpc_call *call); /* ... after this, which frees what it points to; may be NULL */
    struct buf extra;      /* the handler's own, freed with buf_free */
    int64_t started_ms;    /* real time */
};

typedef void rpc_fn(struct rpc_call *call);

/* An answer of the store, for functions that take it on. */
struct rpc_answer {
    int err;
    uint16_t type;
    const void *body;
};

struct rpc_error {
    const char *code;
    sv message;
    sv details;            /* JSON or empty */
    bool retryable;
    int64_t retry_after_ms; /* 0: left out */
};

struct rpc_table *rpc_new(void);
void rpc_free(struct rpc_table *t);
sv rpc_names(const struct rpc_table *t); /* advertised methods, JSON array */

/* One message of a connection that is through the handshake. */
void rpc_message(struct conn *c, sv text);
void rpc_cancel_all(struct conn *c);

/* ---- for handlers ---------------------------------------------------------------------------------- */

/* Starts the text of an answer up to and including "payload":; append the payload, then rpc_done. */
void rpc_begin(struct rpc_call *call, struct buf *b);
/* Ends it, sends it and frees the call. */
void rpc_done(struct rpc_call *call, struct buf *b);
/* The same, but the call goes on: another answer follows. */
void rpc_more(struct rpc_call *call, struct buf *b);
void rpc_fail(struct rpc_call *call, const char *code, const char *fmt, ...) ATTR_PRINTF(3, 4);
void rpc_fail_with(struct rpc_call *call, const struct rpc_error *err);
/* FORBIDDEN, as the generic check words it: for scopes that depend on parameters (9.3). */
void rpc_fail_scope(struct rpc_call *call, const char *scope);
/* A store or bus request failed: body is its STATUS or NULL. */
void rpc_fail_store(struct rpc_call *call, int err, uint16_t type, const void *body);
/* Asks the store; fn gets the answer (body dies with the call of fn) and usually ends the call. */
void rpc_store(struct rpc_call *call, uint16_t type, const void *body, rpc_reply_fn *fn);
/* The same, but BUSY of the store is told to the client at once, with the time to wait. */
void rpc_store_try(struct rpc_call *call, uint16_t type, const void *body, rpc_reply_fn *fn);
/* From now on `fn` runs when the time is over; it must end the call. */
void rpc_deadline(struct rpc_call *call, int64_t ms, void (*fn)(struct rpc_call *call));
/* Frees the call without an answer (the answer was made by other means). */
void rpc_end(struct rpc_call *call);

const char *rpc_name(const struct rpc_call *call); /* "cron.add" */
sv rpc_str(const struct rpc_call *call, const char *param);
int64_t rpc_int(const struct rpc_call *call, const char *param, int64_t dflt);
bool rpc_bool(const struct rpc_call *call, const char *param, bool dflt);
/* Canonical session key of the parameter `name` (and "agentId") into call->session_key; false: answered with
 * an error, the call is gone. */
bool rpc_session(struct rpc_call *call, const char *name);

/* For connect.c: an error response without a call. */
void rpc_send_error(struct conn *c, sv id, const struct rpc_error *err);

#endif
