/*
 * outbox.h: what outbox.c and receipt.c share about delivery rows.
 * Runs in: store.     Owns: nothing.
 * Never: used outside these two files and check.c.
 * Tested in: tests/unit/store/test_outbox.c
 */
#ifndef TENAZA_WORKERS_STORE_OUTBOX_H
#define TENAZA_WORKERS_STORE_OUTBOX_H

#include "workers/store/model.h"

/* Key of a row in OUTC, OUTQ, OUTF. */
struct key outc_key(struct tx *tx, const struct msg_out_row *row);
struct key outq_key(sv account_hash, int64_t due_ms, sv id);
struct key outf_key(sv account_hash, sv id);

void out_put_row(struct tx *tx, const struct msg_out_row *row);
/* Leaves the flight and waits for due_ms at the head of its chat. */
void out_requeue(struct tx *tx, struct msg_out_row *row, int64_t due_ms);
/* The delivery has ended (state set by the caller); the next one of its chat moves up. */
void out_end(struct tx *tx, struct msg_out_row *row);

#endif
