/*
 * body.h: long values live in files of their own, named by their content; the row keeps a reference.
 * Runs in: store.     Owns: the folder media/ of the database and table body.
 * Never: lets a row name a file that is not durable; removes a file before the commit that forgets it.
 * Tested in: tests/unit/store/test_body.c; tests/power
 *
 * What is long: a message with its raw event, a transcript row (tool output, long texts), the reply of a run. The
 * name of a file is the SHA-256 of its content in hex, so `sha256sum` verifies it.
 */
#ifndef TENAZA_WORKERS_STORE_BODY_H
#define TENAZA_WORKERS_STORE_BODY_H

#include "workers/store/rec.h"

/* Longest value that stays in its row (architecture.md 4). */
#define BODY_MAX ((size_t)64 * 1024)
#define BODY_HASH 32
#define BODY_NAME 65 /* hex and a NUL */
/* A reference: a byte that never begins a msgpack map, the hash, the length (big endian). */
#define BODY_MARK 0xc1
#define BODY_REF (1 + BODY_HASH + 8)

bool body_is_ref(sv val);
sv body_hash(sv ref);
/* Length of the value, wherever it lies. */
uint64_t body_len(sv val);
void body_name(sv hash, char name[BODY_NAME]);
/* Writes the file (tmp, fsync, rename, fsync of the folder) unless it is there; counts one more row. Returns the
 * reference, in the arena. tx->db_err is set when it cannot be written. */
sv body_put(struct tx *tx, sv val);
/* The value, in the arena. SV_NULL: the file is missing or damaged (logged; tx->unfit is set). */
sv body_get(struct tx *tx, sv ref);
/* One row less; the last one takes the file with it, after the commit. */
void body_drop(struct tx *tx, sv ref);
/* A slice of the folder: files that no row names and remains of interrupted writes leave after the commit. */
void body_sweep(struct tx *tx);
/* Removes what the turn has let go of; only after its commit. While somebody (a backup) holds a lock (flock) on the
 * folder media/ nothing goes. */
void body_collect(struct store *s);
/* Forgets what the thrown-away transaction wanted removed. */
void body_forget(struct store *s);
void body_free(struct store *s);

#endif
