/*
 * db.h: the LMDB environment: opening, refusing, growing, transactions.
 * Runs in: store.     Owns: the environment, the lock on the data folder, the table handles.
 * Never: knows records; grows the map while a transaction is open.
 * Tested in: tests/unit/store/test_turn.c
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

struct db {
    MDB_env *env;
    MDB_dbi dbi[T_COUNT];
    char dir[256];
    size_t map_bytes;
    bool fast; /* NOMETASYNC */
    int lock_fd;
    int fail_next; /* tests: the next commit fails with this errno; 0: none */
};

/* Makes `dir` if needed, locks it, opens everything. 0, or an exit code of err.h with one sentence in
 * text. map_bytes is address space; the file grows as it is used. */
int db_open(struct db *db, const char *dir, size_t map_bytes, bool fast, char *text, size_t cap) ATTR_NODISCARD;
void db_close(struct db *db);
/* Doubles the map. Only with no transaction open. Returns an LMDB code. */
int db_grow(struct db *db) ATTR_NODISCARD;
/* LMDB codes. A database that declared itself broken (a failed write of its head page) is opened anew. */
int db_begin(struct db *db, MDB_txn **txn) ATTR_NODISCARD;
int db_commit(struct db *db, MDB_txn *txn) ATTR_NODISCARD;
/* False: the file system of the database is as good as full. */
bool db_has_room(const struct db *db);
/* Frees slots of dead readers; called at start and each minute. */
void db_reader_check(struct db *db);
/* Bytes of pages in use, and of the map. */
void db_size(struct db *db, uint64_t *used, uint64_t *map);
const char *table_name(enum table t);
/* Why a database must not live there ("NFS"), or NULL. fs_magic: f_type of statfs(2). Pure. */
const char *db_network_fs(uint64_t fs_magic);

#endif
