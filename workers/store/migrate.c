/*
 * migrate.c: databases of older versions become current; newer ones are refused.
 * Runs in: store, at its start.     Owns: the copy it makes first.
 * Never: changes a database before a copy of it is safe beside it.
 * Tested in: tests/unit/store/test_care.c
 */
#include "workers/store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "workers/store/body.h"
#include "workers/store/disk.h"
#include "workers/store/store_int.h"

#define SLICE 32 /* long values moved at a time: bounds the memory of a migration */
#define GROWS_MAX 16

typedef void migrate_fn(struct tx *tx);

/* ---- the steps ---- */

/* Keys behind *from whose values are long, copied into the arena; *from becomes the last key looked at. */
static size_t long_keys(struct tx *tx, enum table t, struct key *from, sv *keys)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, t, key_sv(from), 0, false);
    while (n < SLICE && scan_next(&sc, &k, &v)) {
        if (v.n > BODY_MAX) {
            keys[n++] = arena_sv(tx->a, k);
        }
    }
    scan_close(&sc);
    if (n > 0) {
        from->n = 0;
        key_add(from, keys[n - 1]); /* its value is short now, so it is not found again */
    }
    return n;
}

static void long_values_move(struct tx *tx)
{
    struct arena slice = ARENA_INIT;
    struct arena *outer = tx->a;
    tx->a = &slice;
    for (int t = 0; t < T_COUNT; t++) {
        struct key from = {.n = 0};
        sv keys[SLICE];
        sv val;
        size_t n;
        while (table_has_bodies((enum table)t) && (n = long_keys(tx, (enum table)t, &from, keys)) > 0) {
            for (size_t i = 0; i < n && tx_get(tx, (enum table)t, keys[i], &val); i++) {
                tx_put(tx, (enum table)t, keys[i], arena_sv(tx->a, val));
            }
            arena_reset(&slice);
        }
    }
    tx->a = outer;
    arena_free(&slice);
}

static const struct {
    unsigned from;
    migrate_fn *fn;
    const char *doc;
} steps[] = {
#define MIGRATION(from, fn, doc) {from, fn, doc},
#include "workers/store/migrations.def"
#undef MIGRATION
};

unsigned migrate_version(void)
{
    return steps[ARRAY_LEN(steps) - 1].from + 1;
}

/* ---- the way ---- */

static int copy_database(struct store *s, char *text, size_t cap)
{
    uint64_t used;
    uint64_t map;
    char path[400];
    char tmp[410];
    db_size(&s->db, &used, &map);
    if (disk_free(s->db.dir) < used + used / 8) {
        (void)snprintf(text, cap, "the database must be brought to a newer version and is copied first: %" PRIu64
                       " MiB must be free on the disk of %s", (used + used / 8) >> 20, s->db.dir);
        return EXIT_TEMPFAIL;
    }
    (void)snprintf(path, sizeof(path), "%s/before-schema-%u.mdb", s->db.dir, migrate_version());
    (void)snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 ? errno : mdb_env_copyfd2(s->db.env, fd, 0);
    rc = rc != 0 ? rc : fsync(fd) != 0 ? errno : 0;
    fd_close(&fd);
    rc = rc != 0 ? rc : rename(tmp, path) != 0 ? errno : 0;
    rc = rc != 0 ? rc : disk_sync_dir(s->db.dir);
    if (rc != 0) {
        (void)unlink(tmp);
        (void)snprintf(text, cap, "cannot copy the database to %s before it is changed: %s", path, mdb_strerror(rc));
        return EXIT_TEMPFAIL;
    }
    log_info("the database is copied to %s", path);
    return 0;
}

/* One step in one transaction. An LMDB code. */
static int take_step(struct store *s, unsigned to, migrate_fn *fn)
{
    struct tx tx = {.s = s, .a = &s->arena, .now = clock_real_ms()};
    struct msg_r_state saved = s->state;
    int rc = db_begin(&s->db, &tx.txn, NULL);
    if (rc != 0) {
        return rc;
    }
    fn(&tx);
    s->state.schema = to;
    rec_put(&tx, T_META, SV("state"), MSG_R_STATE, &s->state);
    rc = tx.unfit && tx.db_err == 0 ? MDB_CORRUPTED : tx.db_err;
    rc = rc != 0 ? db_abort(&s->db, tx.txn, rc) : db_commit(&s->db, tx.txn);
    arena_reset(&s->arena);
    if (rc != 0) {
        s->state = saved;
    }
    return rc;
}

int migrate(struct store *s, char *text, size_t cap)
{
    if (s->state.schema > migrate_version()) {
        (void)snprintf(text, cap,
                       "the database was written by a newer version of Tenaza (schema %" PRIu64 ", this one knows %u): "
                       "install that version again, or restore a backup made with this one",
                       s->state.schema, migrate_version());
        return EXIT_CONFIG;
    }
    if (s->state.schema == migrate_version()) {
        return 0;
    }
    int code = copy_database(s, text, cap);
    for (size_t i = 0; code == 0 && i < ARRAY_LEN(steps); i++) {
        if (steps[i].from != s->state.schema) {
            continue;
        }
        log_info("the database goes from schema %u to %u: %s", steps[i].from, steps[i].from + 1, steps[i].doc);
        int rc = take_step(s, steps[i].from + 1, steps[i].fn);
        for (int grows = 0; rc == MDB_MAP_FULL && grows < GROWS_MAX && db_grow(&s->db) == 0; grows++) {
            rc = take_step(s, steps[i].from + 1, steps[i].fn);
        }
        if (rc != 0) {
            (void)snprintf(text, cap, "the step to schema %u failed and nothing was changed: %s", steps[i].from + 1,
                           mdb_strerror(rc));
            code = EXIT_TEMPFAIL;
        }
    }
    return code;
}
