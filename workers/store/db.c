/*
 * db.c: the LMDB environment: opening, refusing, growing, transactions.
 * Runs in: store.     Owns: the environment, the lock on the data folder, the table handles.
 * Never: uses WRITEMAP or NOSYNC (a kill alone is harmless without them, power loss is not with them).
 * Tested in: tests/unit/store/test_turn.c
 */
#include "workers/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"

/* Less room than a turn with a long message needs counts as full. */
#define FULL_BYTES (256u * 1024u)

static const struct {
    const char *name;
    unsigned flags;
} tables[T_COUNT] = {
#define TABLE(NAME, name, flags, doc) {name, flags},
#include "workers/store/tables.def"
#undef TABLE
};

const char *table_name(enum table t)
{
    return tables[t].name;
}

/* linux/magic.h and the man page of statfs(2). */
const char *db_network_fs(uint64_t fs_magic)
{
    static const struct {
        uint64_t magic;
        const char *name;
    } rows[] = {{0x6969, "NFS"},       {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"},  {0x517b, "SMB"},
                {0x01021997, "9p"},    {0x65735546, "FUSE"}, {0x5346414f, "AFS"},   {0x00c36400, "Ceph"},
                {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"}, {0x0bd00bd0, "Lustre"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].magic == fs_magic) {
            return rows[i].name;
        }
    }
    return NULL;
}

/* The environment and its tables; the lock is held already. Returns an LMDB code. */
static int env_open(struct db *db)
{
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&db->env);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_env_set_mapsize(db->env, db->map_bytes);
    rc = rc != 0 ? rc : mdb_env_set_maxdbs(db->env, T_COUNT + 8);
    rc = rc != 0 ? rc : mdb_env_open(db->env, db->dir, MDB_NOTLS | (db->fast ? MDB_NOMETASYNC : 0u), 0600);
    rc = rc != 0 ? rc : mdb_txn_begin(db->env, NULL, 0, &txn);
    for (size_t t = 0; rc == 0 && t < T_COUNT; t++) {
        rc = mdb_dbi_open(txn, tables[t].name, MDB_CREATE | tables[t].flags, &db->dbi[t]);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    if (rc != 0) {
        mdb_env_close(db->env);
        db->env = NULL;
    }
    return rc;
}

static int lock_dir(struct db *db, char *text, size_t cap)
{
    struct statfs fs;
    if (dir_make(db->dir, 0700) != OK || statfs(db->dir, &fs) != 0) {
        (void)snprintf(text, cap, "cannot make or read the data folder %s: %s", db->dir, strerror(errno));
        return EXIT_CANTCREAT;
    }
    const char *net = db_network_fs((uint64_t)fs.f_type & 0xffffffffu);
    if (net != NULL) {
        (void)snprintf(text, cap,
                       "the data folder %s lies on a network file system (%s): its locks and memory maps are not "
                       "reliable enough for the database; set state.dir to a local disk",
                       db->dir, net);
        return EXIT_CONFIG;
    }
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/store.lock", db->dir);
    db->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (db->lock_fd < 0) {
        (void)snprintf(text, cap, "cannot open %s: %s", path, strerror(errno));
        return EXIT_CANTCREAT;
    }
    if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(text, cap, "the data folder %s is in use by another store process", db->dir);
        fd_close(&db->lock_fd);
        return EXIT_TEMPFAIL;
    }
    return 0;
}

int db_open(struct db *db, const char *dir, size_t map_bytes, bool fast, char *text, size_t cap)
{
    *db = (struct db){.map_bytes = map_bytes, .fast = fast, .lock_fd = -1};
    if (strlen(dir) >= sizeof(db->dir)) {
        (void)snprintf(text, cap, "the path of the data folder is longer than %zu bytes", sizeof(db->dir) - 1);
        return EXIT_CONFIG;
    }
    (void)snprintf(db->dir, sizeof(db->dir), "%s", dir);
    int code = lock_dir(db, text, cap);
    if (code != 0) {
        return code;
    }
    int rc = env_open(db);
    if (rc != 0) {
        (void)snprintf(text, cap, "cannot open the database in %s: %s", dir, mdb_strerror(rc));
        fd_close(&db->lock_fd);
        return rc == ENOSPC || rc == ENOMEM ? EXIT_TEMPFAIL : EXIT_CANTCREAT;
    }
    db_reader_check(db);
    return 0;
}

void db_close(struct db *db)
{
    if (db->env != NULL) {
        mdb_env_close(db->env);
        db->env = NULL;
    }
    fd_close(&db->lock_fd);
}

int db_grow(struct db *db)
{
    size_t bigger = db->map_bytes * 2;
    int rc = mdb_env_set_mapsize(db->env, bigger);
    if (rc == 0) {
        db->map_bytes = bigger;
    }
    return rc;
}

int db_begin(struct db *db, MDB_txn **txn)
{
    int rc = db->env != NULL ? mdb_txn_begin(db->env, NULL, 0, txn) : MDB_PANIC;
    if (rc == MDB_PANIC) {
        if (db->env != NULL) {
            mdb_env_close(db->env);
            db->env = NULL;
        }
        rc = env_open(db);
        rc = rc != 0 ? rc : mdb_txn_begin(db->env, NULL, 0, txn);
    }
    return rc;
}

bool db_has_room(const struct db *db)
{
    struct statfs fs;
    return statfs(db->dir, &fs) != 0 || (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= FULL_BYTES;
}

/* LMDB says EIO for a write that was cut short, which is how a disk that fills up looks. */
static int full_or_broken(const struct db *db, int rc)
{
    return rc == EIO && !db_has_room(db) ? ENOSPC : rc;
}

int db_commit(struct db *db, MDB_txn *txn)
{
    if (db->fail_next != 0) {
        int rc = db->fail_next;
        db->fail_next = 0;
        mdb_txn_abort(txn);
        return rc;
    }
    return full_or_broken(db, mdb_txn_commit(txn));
}

void db_reader_check(struct db *db)
{
    int dead = 0;
    (void)mdb_reader_check(db->env, &dead);
}

void db_size(struct db *db, uint64_t *used, uint64_t *map)
{
    MDB_envinfo info = {0};
    MDB_stat st = {0};
    *used = 0;
    *map = db->map_bytes;
    if (db->env != NULL && mdb_env_info(db->env, &info) == 0 && mdb_env_stat(db->env, &st) == 0) {
        *used = ((uint64_t)info.me_last_pgno + 1) * st.ms_psize;
    }
}
