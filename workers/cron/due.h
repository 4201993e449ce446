/*
 * due.h: pure decisions of the clock worker: how long to sleep, what message a due job becomes, what comes after.
 * Runs in: the cron worker.     Owns: nothing.
 * Never: reads a clock; makes two different messages of one due time.
 * Tested in: tests/unit/cron/test_due.c
 */
#ifndef TENAZA_WORKERS_CRON_DUE_H
#define TENAZA_WORKERS_CRON_DUE_H

#include "common/arena.h"
#include "proto/messages.h"

/* Longest sleep: real time may jump while we wait (automation.md 1.7). */
#define DUE_SLEEP_MAX_MS 60000

/* Milliseconds until the store is asked again. next_due_ms: 0 when nothing is planned. */
int64_t due_sleep_ms(int64_t now_ms, int64_t next_due_ms);
/* Fills *out; strings are views of *job or live in the arena. The event id and the run id are made of the job
 * and its due time (or the id of the start by hand), so that firing it again after a crash changes nothing. */
void due_ingest(const struct msg_cron_job *job, struct arena *a, struct msg_ingest *out);
/* The run before has not ended: this time is skipped. A start by hand is not. */
bool due_skip(const struct msg_cron_job *job, int64_t now_ms);
/* The time after the one that is fired now; what was missed while nobody ran is caught up by this one run. 0: none. */
int64_t due_next(const struct msg_cron_job *job, int64_t now_ms);

#endif
