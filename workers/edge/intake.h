/*
 * intake.h: a client's message on its way into the store, shared by chat.send and agent.
 * Runs in: edge.     Owns: nothing.
 * Never: runs anything; the store decides.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_INTAKE_H
#define TENAZA_EDGE_INTAKE_H

#include "workers/edge/rpc.h"

enum intake_command { INTAKE_NONE, INTAKE_STOP, INTAKE_NEW };

/* What a reset answers when the store has no words of its own (gateway-ws.md 15.5). */
#define INTAKE_NEW_TEXT "\xe2\x9c\x85 New session started."

struct intake {
    sv key; /* run id and idempotency key; empty: the call's "idempotencyKey" */
    sv queue_mode, extra_system, model, lane;
    int64_t timeout_ms;
    bool deliver;
    sv deliver_channel, deliver_account, deliver_to;
};

/* Is the message a control command? Not when suppressCommandInterpretation says so. */
enum intake_command intake_command(const struct rpc_call *call);
/* Puts the call's "message" under its "idempotencyKey" into call->session_key. */
void intake_send(struct rpc_call *call, const struct intake *in, rpc_reply_fn *fn);
/* Models in use as a JSON array (models.list, chat.startup). */
void intake_models(struct buf *b, const struct edge *e);

#endif
