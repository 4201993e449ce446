/*
 * cronparams.h: what clients say about a job (cron.add, the patch of cron.update) as a row of the store.
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a job that this gateway could not run as it says.
 * Tested in: tests/unit/edge/test_cronparams.c
 */
#ifndef TENAZA_EDGE_CRONPARAMS_H
#define TENAZA_EDGE_CRONPARAMS_H

#include "common/arena.h"
#include "common/json.h"
#include "proto/messages.h"

/*
 * Takes over what `spec` names and leaves the rest of *job as it is (empty for cron.add). Strings are views of spec or
 * live in the arena. False: `why` has the detail that follows "invalid cron.add params: ".
 */
bool cron_params(const json_t *spec, struct arena *a, int64_t now_ms, struct msg_cron_job *job, struct buf *why);
/* Next time of the job as it is defined now, 0: none. */
int64_t cron_params_due(const struct msg_cron_job *job, int64_t now_ms);

#endif
