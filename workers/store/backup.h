/*
 * backup.h: copies of the database beside a running store, their verification, and the way back.
 * Runs in: store executable as a tool (tool.c).     Owns: nothing.
 * Never: leaves half a backup under the name of one; restores over a database that is in use.
 * Tested in: tests/unit/store/test_backup.c, tests/scn/f8-store-care.test.mjs
 */
#ifndef TENAZA_WORKERS_STORE_BACKUP_H
#define TENAZA_WORKERS_STORE_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"

struct backup_report {
    uint64_t rows, files, bytes;
    char created[32];
    char kept[512]; /* restore: where the database that was there before lies now; "": there was none */
};

/*
 * All three: 0, or an exit code of err.h with one sentence in text. db: folder of the database; at: folder of the
 * backup (create: must not exist). limit_ms: a reader keeps old pages alive, so the copy may not take for ever.
 */
int backup_create(const char *db, const char *at, int64_t limit_ms, struct backup_report *r, char *text, size_t cap)
    ATTR_NODISCARD;
int backup_verify(const char *at, struct backup_report *r, char *text, size_t cap) ATTR_NODISCARD;
int backup_restore(const char *db, const char *at, struct backup_report *r, char *text, size_t cap) ATTR_NODISCARD;

#endif
