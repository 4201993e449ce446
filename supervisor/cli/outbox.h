/*
 * outbox.h: what the commands outbox and deadletters share about deliveries.
 * Runs in: command line.     Owns: nothing.
 * Never: included outside supervisor/cli/.
 * Tested in: tests/scn/p2-unknown.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CLI_OUTBOX_H
#define TENAZA_SUPERVISOR_CLI_OUTBOX_H

#include "supervisor/cli/cli.h"

json_t *outbox_json(const struct msg_out_row *r); /* to be owned by the caller */
/* The answer to OUTBOX_LIST with an id; ctx: struct cli. */
void outbox_show(void *ctx, uint16_t type, const void *body);
/* One delivery (id), or all in a state; returns how many. action: retry or drop. */
uint64_t outbox_decide(struct session *s, const char *action, const char *id, const char *state);

#endif
