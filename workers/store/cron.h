/*
 * cron.h: clock work as the rest of the store sees it.
 * Runs in: store.     Owns: nothing.
 * Never: the handlers; they stand in handlers.def.
 * Tested in: tests/unit/store/test_cron.c
 */
#ifndef TENAZA_WORKERS_STORE_CRON_H
#define TENAZA_WORKERS_STORE_CRON_H

#include "workers/store/model.h"

/* A run of the cron lane has ended: log entry, state of its job. */
void cron_ended(struct tx *tx, const struct run *run);
/* A log entry may be old enough to go. key: in table cronlog. */
void cron_expire(struct tx *tx, sv key);

/* ---- between cronrows.c and cronlog.c ---- */

/* Id of the job that a run belongs to ("cron:<job>:<due>", "manual:<job>:<ms>"); empty: of none. */
sv cron_job_of(sv run_id);
void cron_log(struct tx *tx, const struct msg_cron_entry *e);
/* Forgets the entries of a job. */
void cron_log_drop(struct tx *tx, sv job_id);
struct cron_told {
    const char *action;
    struct msg_cron_job *job;     /* NULL: removed */
    struct msg_cron_entry *entry; /* finished */
};
void cron_tell(struct tx *tx, sv job_id, const struct cron_told *t);

#endif
