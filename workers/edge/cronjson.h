/*
 * cronjson.h: jobs, their runs and news about them as JSON of the protocol (gateway-ws.md 15.7, 12.7).
 * Runs in: edge.     Owns: nothing.
 * Never: changes anything.
 * Tested in: tests/unit/edge/test_cronparams.c, tests/scn/e8-cron.test.mjs
 */
#ifndef TENAZA_EDGE_CRONJSON_H
#define TENAZA_EDGE_CRONJSON_H

#include "common/buf.h"
#include "proto/messages.h"

void cron_job_row(struct buf *b, const struct msg_cron_job *job);
void cron_entry_row(struct buf *b, const struct msg_cron_entry *e);
/* Payload of a `cron` event. */
void cron_news(struct buf *b, const struct msg_cron_news *n);

#endif
