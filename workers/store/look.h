/*
 * look.h: a database opened only to be looked at: one snapshot, no writes.
 * Runs in: store executable as a tool (tool.c), tests.     Owns: struct look.
 * Never: changes anything below its folder, but LMDB's table of readers when it looks beside a running store.
 * Tested in: tests/power/power.c
 */
#ifndef TENAZA_WORKERS_STORE_LOOK_H
#define TENAZA_WORKERS_STORE_LOOK_H

#include "common/buf.h"
#include "workers/store/rec.h"

struct look;

/* shared: see db_look. 0, or an exit code of err.h with one sentence in text (also for a newer schema). */
int look_open(const char *dir, bool shared, struct look **out, char *text, size_t cap) ATTR_NODISCARD;
void look_close(struct look *l);
/* The snapshot; lives until look_close. */
struct tx *look_tx(struct look *l);
/* One violated invariant per line; nothing: all is well. deep: reads the files of media/ too. */
void look_check(struct look *l, bool deep, struct buf *out);

#endif
