/*
 * check.h: the cross-table invariants of the database.
 * Runs in: store.     Owns: nothing.
 * Never: repairs; it only tells.
 * Tested in: after every test of tests/unit/store
 */
#ifndef TENAZA_WORKERS_STORE_CHECK_H
#define TENAZA_WORKERS_STORE_CHECK_H

#include "workers/store/model.h"

/* One violated invariant per line; nothing: all is well. Reads every row; deep: also every file of media/. */
void check_all(struct tx *tx, bool deep, struct buf *out);
/* Runs, sessions, journal (check.c) and outbox, clock, approvals (check_out.c). */
void check_outbox(struct tx *tx, struct buf *out);
void check_dead(struct tx *tx, struct buf *out);
void check_clock(struct tx *tx, struct buf *out);
void check_approvals(struct tx *tx, struct buf *out);
void check_bodies(struct tx *tx, bool deep, struct buf *out);

#endif
