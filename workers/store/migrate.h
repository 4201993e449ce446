/*
 * migrate.h: databases of older versions become current; newer ones are refused.
 * Runs in: store, at its start.     Owns: nothing.
 * Never: changes a database before a copy of it is safe beside it.
 * Tested in: tests/unit/store/test_care.c
 */
#ifndef TENAZA_WORKERS_STORE_MIGRATE_H
#define TENAZA_WORKERS_STORE_MIGRATE_H

#include "workers/store/rec.h"

/* Version of the databases that this program writes. */
unsigned migrate_version(void);
/*
 * s->state has been read. Copies the database to before-schema-<version>.mdb in its folder, then takes one step
 * after the other. 0, or an exit code of err.h with one sentence in text.
 */
int migrate(struct store *s, char *text, size_t cap) ATTR_NODISCARD;

#endif
