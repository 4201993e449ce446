/*
 * outbox.h: what the files of the outbox share about delivery rows.
 * Runs in: store.     Owns: nothing.
 * Never: used outside outbox.c, parts.c, receipt.c, decide.c and the check.
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
/* An ended delivery (state unknown or dead) takes its place behind everything that waits in its chat. */
void out_revive(struct tx *tx, struct msg_out_row *row);
/* Only a tombstone without text is left, for a week. */
void out_bury(struct tx *tx, struct msg_out_row *row);
/* Adds a line to the story of the delivery; the caller puts the row. */
void out_log(struct tx *tx, struct msg_out_row *row, const char *what, sv detail);

/* ---- parts (parts.c) ---- */

/*
 * The part at hand has arrived, or nobody knows whether it has: the next one is due, or the delivery has ended.
 * A part of unknown outcome is noted and steps aside; the rest goes on. */
void part_arrived(struct tx *tx, struct msg_out_row *row);
void part_unsure(struct tx *tx, struct msg_out_row *row, sv why);
/* One below the last part that a worker may send now; 0: all (DELIVER.stop). */
uint64_t part_stop(const struct msg_out_row *row);

#endif
