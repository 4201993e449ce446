/*
 * approvals.h: approvals as JSON of the protocol, who may see and answer them, and who waits for a decision.
 * Runs in: edge.     Owns: nothing; the store owns the rows, calls own themselves.
 * Never: lets the connection that asks answer itself.
 * Tested in: tests/scn/e8-approvals.test.mjs
 */
#ifndef TENAZA_EDGE_APPROVALS_H
#define TENAZA_EDGE_APPROVALS_H

#include "workers/edge/rpc.h"

/* gateway-ws.md 12.6: may this connection see the row, and so decide? */
bool approval_visible(const struct conn *c, const struct msg_approval *a);
/* Is there anybody else who would hear of it? */
bool approval_has_route(const struct conn *asker);
/* What is stored of a request: its parameters and the decisions that are possible. False: too large. */
bool approval_request_json(const struct rpc_call *call, struct buf *dst);
bool approval_allows(const struct msg_approval *a, sv decision);

/* {"id":..,"request":..,"createdAtMs":..,"expiresAtMs":..,"approvalKind":"exec"} */
void approval_row(struct buf *b, const struct msg_approval *a);
/* The generic form: status, presentation, who decided. */
void approval_snapshot(struct buf *b, const struct msg_approval *a);
/* The command as people read it, as JSON string. */
void approval_command(struct buf *b, const json_t *request);
/* {"id":..,"decision":..,"createdAtMs":..,"expiresAtMs":..}; with why: also its terminalReason. */
void approval_decision(struct buf *b, const struct msg_approval *a, bool why);

/* Keeps the call until the approval `id` ends; then done(call, row) must end it. */
void approval_wait_for(struct rpc_call *call, const struct msg_approval *a,
                       void (*done)(struct rpc_call *call, const struct msg_approval *a));

/* Push handler of APPROVALS and APPROVAL_ENDED. */
void approvals_on_news(void *ctx, uint16_t type, const void *body);

#endif
