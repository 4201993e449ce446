/*
 * ingest.h: what the door asks of the pairing table.
 * Runs in: store.     Owns: nothing.
 * Never: anything but this one question.
 * Tested in: tests/unit/store/test_outbox.c
 */
#ifndef TENAZA_WORKERS_STORE_INGEST_H
#define TENAZA_WORKERS_STORE_INGEST_H

#include "workers/store/model.h"

/* True: the sender is approved, go on. False: a->state says "pairing" (a code went into the outbox) or
 * "ignored" (asked before, or too many open requests). */
bool pairing_gate(struct tx *tx, const struct msg_ingest *in, struct msg_ingested *a) ATTR_NODISCARD;

#endif
