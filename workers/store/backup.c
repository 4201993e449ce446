/*
 * backup.c: copies of the database beside a running store, their verification, and the way back.
 * Runs in: store executable as a tool (tool.c).     Owns: the folder it is making, until that has its name.
 * Never: leaves half a backup under the name of one; restores over a database that is in use.
 * Tested in: tests/unit/store/test_backup.c, tests/scn/f8-store-care.test.mjs
 *
 * A backup is a folder: data.mdb with the rows of one snapshot, copied table by table in slices; media/ with the files
 * those rows name; MANIFEST with the digest of each. It is made beside its place and renamed when all of it is durable.
 */
#include "workers/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "workers/store/body.h"
#include "workers/store/disk.h"
#include "workers/store/look.h"
#include "workers/store/manifest.h"
#include "workers/store/store_int.h"
#include "workers/store/tree.h"

#define SLICE_ROWS 5000
#define SLICE_BYTES ((size_t)8 << 20)
#define FILE_MAX ((size_t)4 * 1024 * 1024) /* as in body.c */

struct copy {
    struct look *from;
    MDB_env *to;
    int64_t deadline; /* monotonic */
    struct backup_report *r;
    char *text;
    size_t cap;
};

static int fail(struct copy *c, const char *what, int rc)
{
    (void)snprintf(c->text, c->cap, "%s: %s", what, mdb_strerror(rc));
    return rc == ENOSPC || rc == EDQUOT ? EXIT_TEMPFAIL : EXIT_CANTCREAT;
}

/* ---- rows ---- */

/* Rows behind the cursor's place, as many as a slice takes; *more: there are others. An LMDB code. */
static int copy_slice(struct copy *c, MDB_cursor *from, MDB_dbi to, MDB_cursor_op op, bool *more)
{
    MDB_txn *txn;
    MDB_val k;
    MDB_val v;
    size_t bytes = 0;
    int rc = mdb_txn_begin(c->to, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }
    for (int i = 0; i < SLICE_ROWS && bytes < SLICE_BYTES; i++, op = MDB_NEXT) {
        rc = mdb_cursor_get(from, &k, &v, op);
        if (rc != 0) {
            break;
        }
        bytes += k.mv_size + v.mv_size;
        rc = mdb_put(txn, to, &k, &v, MDB_APPEND);
        if (rc != 0) {
            break;
        }
        c->r->rows++;
    }
    *more = rc == 0;
    if (rc != 0 && rc != MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int copy_table(struct copy *c, enum table t)
{
    struct tx *tx = look_tx(c->from);
    MDB_txn *txn;
    MDB_dbi to;
    MDB_cursor *cursor;
    bool more = true;
    int rc = mdb_txn_begin(c->to, NULL, 0, &txn);
    rc = rc != 0 ? rc : mdb_dbi_open(txn, table_name(t), MDB_CREATE | table_flags(t), &to);
    rc = rc != 0 ? rc : mdb_txn_commit(txn);
    if (rc != 0 || tx->s->db.dbi[t] == 0) {
        return rc != 0 ? fail(c, "cannot make the copy", rc) : 0;
    }
    rc = mdb_cursor_open(tx->txn, tx->s->db.dbi[t], &cursor);
    for (MDB_cursor_op op = MDB_FIRST; rc == 0 && more; op = MDB_NEXT) {
        rc = copy_slice(c, cursor, to, op, &more);
        if (clock_mono_ms() > c->deadline) {
            (void)snprintf(c->text, c->cap, "the copy takes longer than its limit (--limit); nothing was kept");
            mdb_cursor_close(cursor);
            return EXIT_TEMPFAIL;
        }
    }
    if (cursor != NULL) {
        mdb_cursor_close(cursor);
    }
    return rc != 0 ? fail(c, "cannot copy the rows", rc) : 0;
}

static int copy_rows(struct copy *c, const char *dir)
{
    char path[600];
    uint64_t used;
    uint64_t map;
    db_size(&look_tx(c->from)->s->db, &used, &map);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", dir);
    int rc = mdb_env_create(&c->to);
    if (rc != 0) {
        return fail(c, "cannot make the copy", rc);
    }
    /* no syncs on the way: nobody believes this file before its last one and its name */
    rc = mdb_env_set_mapsize(c->to, used * 2 + (64u << 20));
    rc = rc != 0 ? rc : mdb_env_set_maxdbs(c->to, T_COUNT + 8);
    rc = rc != 0 ? rc : mdb_env_open(c->to, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    int code = rc != 0 ? fail(c, "cannot make the copy", rc) : 0;
    for (int t = 0; code == 0 && t < T_COUNT; t++) {
        code = copy_table(c, (enum table)t);
    }
    rc = code == 0 ? mdb_env_sync(c->to, 1) : 0;
    code = rc != 0 ? fail(c, "cannot write the copy", rc) : code;
    mdb_env_close(c->to);
    return code;
}

/* ---- files ---- */

static int copy_bytes(struct copy *c, const char *from, const char *to)
{
    struct buf b = BUF_INIT(FILE_MAX);
    int code = 0;
    if (file_read(from, &b) != OK) {
        (void)snprintf(c->text, c->cap, "cannot read %s: %s", from, strerror(errno));
        code = EXIT_CANTCREAT;
    } else if (file_replace(to, buf_view(&b), 0600) != OK) {
        code = fail(c, "cannot write the copy", errno);
    }
    buf_free(&b);
    return code;
}

/* Every file that a row of the snapshot names. The caller holds the lock that keeps them from being removed. */
static int copy_files(struct copy *c, const char *db, const char *dir)
{
    struct tx *tx = look_tx(c->from);
    struct scan sc;
    sv k;
    sv v;
    int code = 0;
    char from[600];
    char to[600];
    (void)snprintf(to, sizeof(to), "%s/media", dir);
    if (tx_count(tx, T_BODY) > 0 && mkdir(to, 0700) != 0) {
        return fail(c, "cannot make the copy", errno);
    }
    scan_open(&sc, tx, T_BODY, SV(""), 0, false);
    while (code == 0 && scan_next(&sc, &k, &v)) {
        char name[BODY_NAME];
        body_name(k, name);
        (void)snprintf(from, sizeof(from), "%s/media/%s", db, name);
        (void)snprintf(to, sizeof(to), "%s/media/%s", dir, name);
        code = copy_bytes(c, from, to);
        c->r->files++;
        if (code == 0 && clock_mono_ms() > c->deadline) {
            (void)snprintf(c->text, c->cap, "the copy takes longer than its limit (--limit); nothing was kept");
            code = EXIT_TEMPFAIL;
        }
    }
    scan_close(&sc);
    return code;
}

static int list_files(struct copy *c, const char *dir)
{
    struct manifest m = {0};
    struct arena a = ARENA_INIT;
    struct buf out = BUF_INIT((size_t)256 << 20);
    struct tx *tx = look_tx(c->from);
    struct scan sc;
    sv k;
    sv v;
    char path[600];
    clock_iso(clock_real_ms(), c->r->created);
    m.created = sv_of(c->r->created);
    m.schema = tx->s->state.schema;
    int rc = manifest_add(&m, dir, "data.mdb", &a);
    scan_open(&sc, tx, T_BODY, SV(""), 0, false);
    while (rc == 0 && scan_next(&sc, &k, &v)) {
        char name[BODY_NAME];
        body_name(k, name);
        (void)snprintf(path, sizeof(path), "media/%s", name);
        rc = manifest_add(&m, dir, path, &a);
        if (rc == 0 && strcmp(name, m.files[m.n - 1].digest) != 0) {
            (void)snprintf(c->text, c->cap, "the file media/%s of the database is damaged", name);
            rc = EBADMSG;
        }
    }
    scan_close(&sc);
    for (size_t i = 0; i < m.n; i++) {
        c->r->bytes += m.files[i].bytes;
    }
    manifest_print(&m, &out);
    (void)snprintf(path, sizeof(path), "%s/" MANIFEST_NAME, dir);
    if (rc == 0 && (out.full || file_replace(path, buf_view(&out), 0600) != OK)) {
        rc = errno != 0 ? errno : ENOSPC;
    }
    buf_free(&out);
    arena_free(&a);
    manifest_free(&m);
    return rc == 0 ? 0 : rc == EBADMSG ? EXIT_CANTCREAT : fail(c, "cannot write the list of files", rc);
}

/* ---- create ---- */

static int make(struct copy *c, const char *db, const char *tmp)
{
    char media[600];
    (void)snprintf(media, sizeof(media), "%s/media", db);
    int keep = open(media, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keep >= 0 && flock(keep, LOCK_SH) != 0) { /* before the snapshot: no file of it may go */
        int rc = errno;
        fd_close(&keep);
        return fail(c, "cannot hold the files of the database", rc);
    }
    int code = look_open(db, true, &c->from, c->text, c->cap);
    code = code != 0 ? code : copy_rows(c, tmp);
    code = code != 0 ? code : copy_files(c, db, tmp);
    code = code != 0 ? code : list_files(c, tmp);
    look_close(c->from);
    fd_close(&keep);
    return code;
}

int backup_create(const char *db, const char *at, int64_t limit_ms, struct backup_report *r, char *text, size_t cap)
{
    struct copy c = {.deadline = clock_mono_ms() + limit_ms, .r = r, .text = text, .cap = cap};
    char tmp[500];
    struct stat st;
    *r = (struct backup_report){0};
    if (stat(at, &st) == 0) {
        (void)snprintf(text, cap, "%s exists already; a backup gets a folder of its own", at);
        return EXIT_CANTCREAT;
    }
    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.partial", at) >= sizeof(tmp)) {
        (void)snprintf(text, cap, "the path of the backup is too long");
        return EXIT_CANTCREAT;
    }
    tree_remove(tmp);
    if (dir_make(tmp, 0700) != OK) {
        return fail(&c, "cannot make the folder of the backup", errno);
    }
    int code = make(&c, db, tmp);
    code = code != 0 ? code : tree_sync(tmp) != 0 ? fail(&c, "cannot write the copy", errno) : 0;
    if (code == 0 && rename(tmp, at) != 0) {
        code = fail(&c, "cannot give the backup its name", errno);
    }
    if (code != 0) {
        tree_remove(tmp);
        return code;
    }
    return tree_sync_parent(at) == 0 ? 0 : fail(&c, "cannot write the folder of the backup", errno);
}

/* ---- verify ---- */

static int verify_files(const char *at, const struct manifest *m, struct backup_report *r, char *text, size_t cap)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct manifest_file *f = &m->files[i];
        char digest[65];
        uint64_t bytes = 0;
        char *path = xasprintf("%s/%.*s", at, SV_ARG(f->name));
        int rc = manifest_digest(path, digest, &bytes);
        xfree(path);
        if (rc != 0 || bytes != f->bytes || strcmp(digest, f->digest) != 0) {
            (void)snprintf(text, cap, "%.*s of the backup is %s", SV_ARG(f->name), rc != 0 ? strerror(rc) : "not what it was");
            return EXIT_CANTCREAT;
        }
        r->bytes += bytes;
        r->files += !sv_eqc(f->name, "data.mdb");
    }
    return 0;
}

static int verify_rows(const char *at, struct backup_report *r, char *text, size_t cap)
{
    struct look *l = NULL;
    struct buf findings = BUF_INIT(4096);
    int code = look_open(at, false, &l, text, cap);
    if (code != 0) {
        return code;
    }
    look_check(l, false, &findings);
    for (int t = 0; t < T_COUNT; t++) {
        r->rows += tx_count(look_tx(l), (enum table)t);
    }
    look_close(l);
    if (findings.n > 0) {
        sv rest = buf_view(&findings);
        (void)snprintf(text, cap, "the check of the backup found: %.*s", SV_ARG(sv_cut(&rest, '\n')));
        code = EXIT_CANTCREAT;
    }
    buf_free(&findings);
    return code;
}

int backup_verify(const char *at, struct backup_report *r, char *text, size_t cap)
{
    struct manifest m = {0};
    struct buf b = BUF_INIT((size_t)256 << 20);
    char *path = xasprintf("%s/" MANIFEST_NAME, at);
    int code = 0;
    *r = (struct backup_report){0};
    if (file_read(path, &b) != OK || manifest_parse(&m, buf_view(&b)) != OK) {
        (void)snprintf(text, cap, "%s is no whole backup: its %s is missing or damaged", at, MANIFEST_NAME);
        code = EXIT_CANTCREAT;
    }
    code = code != 0 ? code : verify_files(at, &m, r, text, cap);
    code = code != 0 ? code : verify_rows(at, r, text, cap);
    (void)sv_copy(r->created, sizeof(r->created), m.created);
    manifest_free(&m);
    buf_free(&b);
    xfree(path);
    return code;
}

/* ---- restore ---- */

/* The new database takes the place of the old one in one step; *kept then names the old one. */
static int swap_in(struct copy *c, const char *fresh, const char *db, bool had)
{
    if (!had) {
        return rename(fresh, db) == 0 && tree_sync_parent(db) == 0 ? 0 : fail(c, "cannot put the database in place", errno);
    }
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, db, RENAME_EXCHANGE) != 0) {
        return fail(c, "this file system cannot exchange two folders in one step; move the old database away first", errno);
    }
    (void)snprintf(c->r->kept, sizeof(c->r->kept), "%s.before-restore-%" PRId64, db, clock_real_ms() / 1000);
    if (rename(fresh, c->r->kept) != 0) {
        (void)snprintf(c->r->kept, sizeof(c->r->kept), "%s", fresh);
    }
    return tree_sync_parent(db) == 0 ? 0 : fail(c, "cannot put the database in place", errno);
}

static int fill(struct copy *c, const char *at, const char *fresh)
{
    struct stat st;
    char *media = xasprintf("%s/media", at);
    int code = tree_copy_file(at, fresh, "data.mdb") != 0 ? fail(c, "cannot copy the backup", errno) : 0;
    if (code == 0 && stat(media, &st) == 0 && tree_copy_folder(at, fresh, "media") != 0) {
        code = fail(c, "cannot copy the backup", errno);
    }
    if (code == 0 && tree_sync(fresh) != 0) {
        code = fail(c, "cannot write the database", errno);
    }
    xfree(media);
    return code;
}

int backup_restore(const char *db, const char *at, struct backup_report *r, char *text, size_t cap)
{
    struct copy c = {.r = r, .text = text, .cap = cap};
    char fresh[500];
    struct stat st;
    int old_lock = -1;
    int new_lock = -1;
    bool had = stat(db, &st) == 0;
    int code = backup_verify(at, r, text, cap);
    if (code == 0 && had) {
        code = disk_claim(db, &old_lock, text, cap); /* a running store holds it */
    }
    if (code != 0) {
        return code;
    }
    (void)snprintf(fresh, sizeof(fresh), "%s.restore", db);
    tree_remove(fresh);
    code = disk_claim(fresh, &new_lock, text, cap); /* so that nobody starts with it before we are done */
    code = code != 0 ? code : fill(&c, at, fresh);
    code = code != 0 ? code : tree_own(fresh, had ? db : NULL) != 0 ? fail(&c, "cannot hand the files over", errno) : 0;
    code = code != 0 ? code : swap_in(&c, fresh, db, had);
    if (code != 0) {
        tree_remove(fresh);
    }
    fd_close(&new_lock);
    fd_close(&old_lock);
    return code;
}
