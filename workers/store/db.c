/*
 * db.c: the LMDB environment: opening, growing, transactions, and what happens when the disk fails.
 * Runs in: store.     Owns: the environment, the lock on the data folder, the table handles.
 * Never: uses WRITEMAP or NOSYNC (a kill alone is harmless without them, power loss is not with them).
 * Tested in: tests/unit/store/test_turn.c, test_care.c; tests/power
 */
#include "workers/store/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "workers/store/disk.h"

#define MAP_START ((size_t)256 << 20)
#define RETRY_MS 1000 /* between two attempts to open a database whose disk fails */

#define BODIES 0x40000000u /* our own flag of tables.def, none of LMDB's */

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

unsigned table_flags(enum table t)
{
    return tables[t].flags & ~BODIES;
}

bool table_has_bodies(enum table t)
{
    return (tables[t].flags & BODIES) != 0;
}

static void env_close(struct db *db)
{
    if (db->env != NULL) {
        mdb_env_close(db->env);
        db->env = NULL;
    }
}

static unsigned env_flags(const struct db *db)
{
    if (db->look) {
        return MDB_NOTLS | MDB_RDONLY | (db->shared ? 0u : MDB_NOLOCK);
    }
    return MDB_NOTLS | (db->fast ? MDB_NOMETASYNC : 0u);
}

static int open_tables(struct db *db, MDB_txn *txn)
{
    int rc = 0;
    for (size_t t = 0; rc == 0 && t < T_COUNT; t++) {
        rc = mdb_dbi_open(txn, tables[t].name, table_flags((enum table)t) | (db->look ? 0u : MDB_CREATE), &db->dbi[t]);
        if (rc == MDB_NOTFOUND && db->look) {
            db->dbi[t] = 0; /* an older database; 0 is a handle of LMDB's own that no table has */
            rc = 0;
        }
    }
    return rc;
}

/* The environment and its tables; the lock is held already. Returns an LMDB code. */
static int env_open(struct db *db)
{
    MDB_txn *txn = NULL;
    MDB_envinfo info = {0};
    int rc = mdb_env_create(&db->env);
    if (rc != 0) {
        return rc;
    }
    rc = db->look ? 0 : mdb_env_set_mapsize(db->env, db->map_bytes);
    rc = rc != 0 ? rc : mdb_env_set_maxdbs(db->env, T_COUNT + 8);
    rc = rc != 0 ? rc : mdb_env_open(db->env, db->dir, env_flags(db), 0600);
    rc = rc != 0 ? rc : mdb_txn_begin(db->env, NULL, db->look ? MDB_RDONLY : 0u, &txn);
    rc = rc != 0 ? rc : open_tables(db, txn);
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    if (rc == 0 && mdb_env_info(db->env, &info) == 0) {
        db->map_bytes = info.me_mapsize; /* an existing database may need more than we asked for */
    }
    if (rc != 0) {
        env_close(db);
    }
    return rc;
}

/*
 * A new database is made under another name and gets its own when it is whole and durable: LMDB writes its first
 * pages without a sync, and a loss of power in between would leave a file that can never be opened.
 */
static int env_make(struct db *db, const char *file)
{
    char tmp[320];
    char lock[330];
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    struct db fresh = {.lock_fd = -1};
    (void)snprintf(tmp, sizeof(tmp), "%s.new", file);
    (void)snprintf(lock, sizeof(lock), "%s-lock", tmp);
    (void)unlink(tmp);
    (void)unlink(lock);
    int rc = mdb_env_create(&env);
    if (rc != 0) {
        return rc;
    }
    rc = mdb_env_set_maxdbs(env, T_COUNT + 8);
    rc = rc != 0 ? rc : mdb_env_open(env, tmp, MDB_NOTLS | MDB_NOSUBDIR, 0600);
    rc = rc != 0 ? rc : mdb_txn_begin(env, NULL, 0, &txn);
    rc = rc != 0 ? rc : open_tables(&fresh, txn);
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
    (void)unlink(lock);
    rc = rc != 0 ? rc : rename(tmp, file) != 0 ? errno : 0;
    return rc != 0 ? rc : disk_sync_dir(db->dir);
}

static uint64_t txn_number(const struct db *db)
{
    MDB_envinfo info = {0};
    return mdb_env_info(db->env, &info) == 0 ? info.me_last_txnid : 0;
}

static int no_env(struct db *db, int rc, char *text, size_t cap)
{
    env_close(db);
    const char *more = rc == ENOMEM ? "; there is not enough address space (LimitAS, ulimit -v)"
                       : rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_VERSION_MISMATCH
                           ? "; it is damaged or no database: restore a backup (tenaza backup restore)"
                           : "";
    (void)snprintf(text, cap, "cannot open the database in %s: %s%s", db->dir, mdb_strerror(rc), more);
    fd_close(&db->lock_fd);
    return rc == ENOSPC || rc == ENOMEM ? EXIT_TEMPFAIL : EXIT_CANTCREAT;
}

static int set_dir(struct db *db, const char *dir, char *text, size_t cap)
{
    if (strlen(dir) >= sizeof(db->dir)) {
        (void)snprintf(text, cap, "the path of the data folder is longer than %zu bytes", sizeof(db->dir) - 1);
        return EXIT_CONFIG;
    }
    (void)snprintf(db->dir, sizeof(db->dir), "%s", dir);
    return 0;
}

/* A map that just covers a file without free pages (a restored backup) would be full at the first write. */
static void make_room(struct db *db, const char *file)
{
    struct stat st;
    if (stat(file, &st) == 0) {
        size_t wanted = (size_t)st.st_size * 2;
        wanted = wanted < db->map_cap ? wanted : db->map_cap;
        db->map_bytes = wanted > db->map_bytes ? wanted : db->map_bytes;
    }
}

int db_open(struct db *db, const struct db_conf *conf, char *text, size_t cap)
{
    size_t start = conf->map_start != 0 ? conf->map_start : MAP_START;
    *db = (struct db){.map_bytes = start < conf->map_bytes ? start : conf->map_bytes,
                      .map_cap = conf->map_bytes,
                      .fast = conf->fast,
                      .lock_fd = -1};
    int code = set_dir(db, conf->dir, text, cap);
    code = code != 0 ? code : disk_claim(db->dir, &db->lock_fd, text, cap);
    if (code != 0) {
        return code;
    }
    char file[300];
    (void)snprintf(file, sizeof(file), "%s/data.mdb", db->dir);
    int rc = access(file, F_OK) == 0 ? 0 : env_make(db, file);
    make_room(db, file);
    rc = rc != 0 ? rc : env_open(db);
    if (rc != 0) {
        return no_env(db, rc, text, cap);
    }
    db->last_txn = txn_number(db);
    (void)db_reader_check(db);
    return 0;
}

int db_look(struct db *db, const char *dir, bool shared, char *text, size_t cap)
{
    char file[300];
    *db = (struct db){.look = true, .shared = shared, .lock_fd = -1};
    int code = set_dir(db, dir, text, cap);
    (void)snprintf(file, sizeof(file), "%s/data.mdb", dir);
    if (code == 0 && access(file, R_OK) != 0) {
        (void)snprintf(text, cap, "there is no database in %s: %s", dir, strerror(errno));
        return EXIT_CANTCREAT;
    }
    if (code != 0) {
        return code;
    }
    int rc = env_open(db);
    return rc != 0 ? no_env(db, rc, text, cap) : 0;
}

void db_close(struct db *db)
{
    env_close(db);
    fd_close(&db->lock_fd);
}

int db_grow(struct db *db)
{
    size_t bigger = db->map_bytes * 2;
    if (db->map_bytes >= db->map_cap) {
        return MDB_MAP_FULL;
    }
    bigger = bigger > db->map_cap ? db->map_cap : bigger;
    int rc = mdb_env_set_mapsize(db->env, bigger);
    if (rc == 0) {
        db->map_bytes = bigger;
    }
    return rc;
}

/*
 * The last commit failed. What the kernel holds of the file may differ from the disk: after a failed sync it marks
 * pages as clean that were never written. So nothing of it is believed: the environment is closed, what is dirty
 * (LMDB's repaired head page) must reach the disk, and the file is read again.
 */
static int reopen(struct db *db)
{
    char file[300];
    (void)snprintf(file, sizeof(file), "%s/data.mdb", db->dir);
    env_close(db);
    int sync = disk_distrust(file);
    int rc = env_open(db);
    if (rc != 0) {
        return rc;
    }
    db->no_sync = sync; /* reads go on; writing is tried again when a sync works */
    if (txn_number(db) < db->last_txn) {
        db->lost = true;
        log_error("the disk has lost transactions that it had confirmed: %llu, and now %llu",
                  (unsigned long long)db->last_txn, (unsigned long long)txn_number(db));
        return MDB_CORRUPTED;
    }
    return 0;
}

int db_begin(struct db *db, MDB_txn **txn, bool *reopened)
{
    if (db->broken || db->no_sync != 0) {
        int64_t now = clock_mono_ms();
        if (now >= db->retry_ms) {
            db->reopen_rc = reopen(db);
            db->broken = db->reopen_rc != 0;
            db->retry_ms = db->broken || db->no_sync != 0 ? now + RETRY_MS : 0;
            if (reopened != NULL) {
                *reopened = true;
            }
        }
        if (db->broken) {
            return db->reopen_rc;
        }
    }
    return mdb_txn_begin(db->env, NULL, db->look ? MDB_RDONLY : 0u, txn);
}

/* LMDB says EIO for a write that was cut short, which is how a disk that fills up looks. */
static int full_or_broken(const struct db *db, int rc)
{
    return rc == EIO && !disk_has_room(db->dir) ? ENOSPC : rc;
}

bool db_is_full(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == MDB_MAP_FULL;
}

int db_abort(struct db *db, MDB_txn *txn, int rc)
{
    mdb_txn_abort(txn);
    if (rc > 0 || rc == MDB_PANIC) {
        db->broken = true; /* an errno: pages that did not fit into memory were being written */
    }
    return full_or_broken(db, rc);
}

int db_commit(struct db *db, MDB_txn *txn)
{
    int rc = db->fail_next != 0 ? db->fail_next : db->no_sync;
    db->fail_next = 0;
    if (rc != 0) {
        return db_abort(db, txn, rc);
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0) {
        db->last_txn = txn_number(db);
        return 0;
    }
    db->broken = true;
    return full_or_broken(db, rc);
}

int db_reader_check(struct db *db)
{
    int dead = 0;
    (void)mdb_reader_check(db->env, &dead);
    return dead;
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
