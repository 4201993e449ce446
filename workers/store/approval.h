/*
 * approval.h: what the clock of the store needs of approval.c.
 * Runs in: store.     Owns: nothing.
 * Never: the handlers; they stand in handlers.def.
 * Tested in: tests/unit/store/test_approval.c
 */
#ifndef TENAZA_WORKERS_STORE_APPROVAL_H
#define TENAZA_WORKERS_STORE_APPROVAL_H

#include "workers/store/model.h"

/* A question may have expired, or have been kept long enough. */
void approval_timer(struct tx *tx, sv id);

#endif
