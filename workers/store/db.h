/*
 * db.h: the LMDB environment: opening, growing, transactions, and what happens when the disk fails.
 * Runs in: store.     Owns: the environment, the lock on the data folder, the table handles.
 * Never: knows records; grows the map while a transaction is open; goes on with an environment whose commit failed.
 * Tested in: tests/unit/store/test_turn.c, test_care.c; tests/power
 */
#ifndef TENAZA_WORKERS_STORE_DB_H
#define TENAZA_WORKERS_STORE_DB_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"

enum table {
#define TABLE(NAME, name, flags, doc) T_##NAME,
#include "workers/store/tables.def"
#undef TABLE
    T_COUNT
};

struct db_conf {
    const char *dir;
    size_t map_bytes; /* greatest size of the database (store.mapSize) */
    size_t map_start; /* address space at the start, 0: 256 MiB; doubled when it is used up */
    bool fast;        /* NOMETASYNC */
};

struct db {
    MDB_env *env;
    MDB_dbi dbi[T_COUNT];
    char dir[256];
    size_t map_bytes; /* now */
    size_t map_cap;
    bool fast;
    bool look, shared; /* opened by db_look */
    bool broken;       /* a commit failed: the environment is opened anew before the next transaction */
    int reopen_rc;     /* what came of the last attempt to do so */
    int no_sync;       /* errno of the disk when it could not even sync what was there: nothing is written; 0: fine */
    int64_t retry_ms;  /* monotonic: not to be tried again before */
    uint64_t last_txn; /* number of the last transaction that was committed and acknowledged */
    bool lost;         /* a transaction that was acknowledged is not there any more */
    int lock_fd;
    int fail_next; /* tests: the next commit fails with this errno; 0: none */
};

/* Makes the folder if needed, locks it, opens everything. 0, or an exit code of err.h with one sentence in
 * text. The map is address space; the file grows as it is used. */
int db_open(struct db *db, const struct db_conf *conf, char *text, size_t cap) ATTR_NODISCARD;
/* Opens an existing database for reading only. shared: beside a running store, which goes on writing; without it
 * nobody may write meanwhile. Tables that it does not have are empty. */
int db_look(struct db *db, const char *dir, bool shared, char *text, size_t cap) ATTR_NODISCARD;
void db_close(struct db *db);
/* Doubles the map, up to the cap. Only with no transaction open. An LMDB code; MDB_MAP_FULL: it is at its cap. */
int db_grow(struct db *db) ATTR_NODISCARD;
/*
 * LMDB codes. After a failed commit the environment is opened anew and shows what is really on the disk;
 * *reopened (may be NULL) then becomes true: what is known of the content must be read again.
 */
int db_begin(struct db *db, MDB_txn **txn, bool *reopened) ATTR_NODISCARD;
int db_commit(struct db *db, MDB_txn *txn) ATTR_NODISCARD;
/* Ends a transaction that met an error or has nothing to keep; rc is handed through (0: nothing to keep). */
int db_abort(struct db *db, MDB_txn *txn, int rc);
/* True: rc says that there is no room, on the disk or in the map, and not that the disk is broken. */
bool db_is_full(int rc);
/* Frees slots of dead readers; called at start and each minute. Returns how many there were. */
int db_reader_check(struct db *db);
/* Bytes of pages in use, and of the map. */
void db_size(struct db *db, uint64_t *used, uint64_t *map);
const char *table_name(enum table t);
/* As mdb_dbi_open takes them. */
unsigned table_flags(enum table t);
/* Values of this table may be long: those above BODY_MAX lie in files (body.h). */
bool table_has_bodies(enum table t);

/* Takes the database's pages out of our memory; they stay in the kernel's cache and come back when they are read.
 * (letgo.c) */
void db_let_go(void);

#endif
