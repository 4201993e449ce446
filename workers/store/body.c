/*
 * body.c: long values live in files of their own, named by their content; the row keeps a reference.
 * Runs in: store.     Owns: the folder media/ of the database and table body.
 * Never: lets a row name a file that is not durable; removes a file before the commit that forgets it.
 * Tested in: tests/unit/store/test_body.c; tests/power
 */
#include "workers/store/body.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/file.h"
#include "common/log.h"
#include "workers/store/disk.h"
#include "workers/store/store_int.h"

#define SWEEP_FILES 500
#define FILE_MAX ((size_t)4 * 1024 * 1024) /* more than any record of messages.def can have */

bool body_is_ref(sv val)
{
    return val.n == BODY_REF && (uint8_t)val.p[0] == BODY_MARK;
}

sv body_hash(sv ref)
{
    return sv_sub(ref, 1, BODY_HASH);
}

uint64_t body_len(sv val)
{
    return body_is_ref(val) ? key_get_u64(val, 1 + BODY_HASH) : val.n;
}

void body_name(sv hash, char name[BODY_NAME])
{
    for (size_t i = 0; i < BODY_HASH; i++) {
        (void)snprintf(name + 2 * i, 3, "%02x", (uint8_t)hash.p[i]);
    }
}

static void media_dir(const struct store *s, char *dst, size_t cap)
{
    (void)snprintf(dst, cap, "%s/media", s->db.dir);
}

static void path_of(const struct store *s, sv hash, char *dst, size_t cap)
{
    char name[BODY_NAME];
    body_name(hash, name);
    (void)snprintf(dst, cap, "%s/media/%s", s->db.dir, name);
}

/* ---- writing ---- */

static void failed(struct tx *tx, int err)
{
    if (tx->db_err == 0) {
        tx->db_err = err != 0 ? err : EIO;
    }
}

/* 0 or an errno. The folder is made durable with the first file. */
static int write_file(struct store *s, sv hash, sv val)
{
    char dir[300];
    char path[400];
    struct stat st;
    media_dir(s, dir, sizeof(dir));
    path_of(s, hash, path, sizeof(path));
    if (stat(path, &st) == 0 && (uint64_t)st.st_size == val.n) {
        return disk_sync_dir(dir); /* its content was synced before it got this name; the name may not have been */
    }
    if (stat(dir, &st) != 0) {
        if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
            return errno;
        }
        int rc = disk_sync_dir(s->db.dir);
        if (rc != 0) {
            return rc;
        }
    }
    return file_replace(path, val, 0600) == OK ? 0 : errno != 0 ? errno : EIO;
}

static void keep_file(struct store *s, sv hash)
{
    for (size_t i = 0; i < s->gone_n; i++) {
        if (memcmp(s->gone[i], hash.p, BODY_HASH) == 0) {
            memset(s->gone[i], 0, BODY_HASH); /* not closed up: turn.c may cut the list back to an earlier length */
        }
    }
}

static void let_go(struct store *s, sv hash)
{
    if (s->gone_n == s->gone_cap) {
        s->gone_cap = s->gone_cap ? s->gone_cap * 2 : 16;
        s->gone = xrealloc(s->gone, s->gone_cap * sizeof(*s->gone));
    }
    memcpy(s->gone[s->gone_n++], hash.p, BODY_HASH);
}

sv body_put(struct tx *tx, sv val)
{
    struct msg_r_body row = {0};
    struct key ref = {.n = 0};
    uint8_t digest[BODY_HASH];
    crypto_sha256(digest, val);
    sv hash = sv_mem(digest, sizeof(digest));
    if (!rec_get(tx, T_BODY, hash, MSG_R_BODY, &row)) {
        int rc = write_file(tx->s, hash, val);
        if (rc != 0) {
            failed(tx, rc);
            return SV_NULL;
        }
        keep_file(tx->s, hash);
        tx->s->state.bodies++;
        row.bytes = val.n;
    }
    row.refs++;
    /* val may be the scratch buffer that this encodes into: it is not looked at any more */
    rec_put(tx, T_BODY, hash, MSG_R_BODY, &row);
    key_u8(&ref, BODY_MARK);
    key_add(&ref, hash);
    key_u64(&ref, val.n);
    return arena_sv(tx->a, key_sv(&ref));
}

void body_drop(struct tx *tx, sv ref)
{
    struct msg_r_body row;
    sv hash = arena_sv(tx->a, body_hash(ref));
    if (!rec_get(tx, T_BODY, hash, MSG_R_BODY, &row)) {
        return;
    }
    if (row.refs > 1) {
        row.refs--;
        rec_put(tx, T_BODY, hash, MSG_R_BODY, &row);
        return;
    }
    (void)tx_del(tx, T_BODY, hash);
    tx->s->state.bodies--;
    let_go(tx->s, hash);
}

/* ---- reading ---- */

sv body_get(struct tx *tx, sv ref)
{
    char path[400];
    struct buf b = BUF_INIT(FILE_MAX);
    uint8_t digest[BODY_HASH];
    path_of(tx->s, body_hash(ref), path, sizeof(path));
    int rc = file_read(path, &b);
    crypto_sha256(digest, buf_view(&b));
    sv val = SV_NULL;
    if (rc == OK && sv_eq(sv_mem(digest, sizeof(digest)), body_hash(ref))) {
        val = arena_sv(tx->a, buf_view(&b));
    } else {
        log_error("the file %s of a stored value is %s", path, rc == OK ? "damaged" : "missing or unreadable");
        tx->unfit = true;
    }
    buf_free(&b);
    return val;
}

/* ---- care ---- */

static bool from_hex(const char *name, uint8_t hash[BODY_HASH])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(name) != BODY_NAME - 1) {
        return false;
    }
    for (size_t i = 0; i < BODY_HASH; i++) {
        const char *hi = strchr(digits, name[2 * i]);
        const char *lo = strchr(digits, name[2 * i + 1]);
        if (hi == NULL || lo == NULL) {
            return false;
        }
        hash[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
    }
    return true;
}

/* One name of the folder. */
static void sweep_one(struct tx *tx, const char *dir, const char *name)
{
    uint8_t hash[BODY_HASH];
    char path[600];
    sv row;
    if (from_hex(name, hash)) {
        if (!tx_get(tx, T_BODY, sv_mem(hash, sizeof(hash)), &row) && tx->db_err == 0) {
            let_go(tx->s, sv_mem(hash, sizeof(hash)));
        }
    } else if (sv_ends(sv_of(name), SV(".tmp"))) {
        /* Writes are never in progress between two turns: whoever began this one is dead. */
        (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
        (void)unlink(path);
    }
}

void body_sweep(struct tx *tx)
{
    struct store *s = tx->s;
    char dir[300];
    media_dir(s, dir, sizeof(dir));
    if (s->sweep_dir == NULL) {
        s->sweep_dir = opendir(dir);
    }
    for (int i = 0; s->sweep_dir != NULL && i < SWEEP_FILES; i++) {
        const struct dirent *e = readdir(s->sweep_dir);
        if (e == NULL) {
            (void)closedir(s->sweep_dir);
            s->sweep_dir = NULL; /* from the start again next time */
        } else if (e->d_name[0] != '.') {
            sweep_one(tx, dir, e->d_name);
        }
    }
}

void body_collect(struct store *s)
{
    char dir[300];
    if (s->gone_n == 0) {
        return;
    }
    media_dir(s, dir, sizeof(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        s->gone_n = 0; /* a backup reads them: the sweep of the folder finds them later */
    }
    for (size_t i = 0; i < s->gone_n; i++) {
        char path[400];
        path_of(s, sv_mem(s->gone[i], BODY_HASH), path, sizeof(path));
        (void)unlink(path);
    }
    s->gone_n = 0;
    fd_close(&fd);
}

void body_forget(struct store *s)
{
    s->gone_n = 0;
}

void body_free(struct store *s)
{
    xfree(s->gone);
    if (s->sweep_dir != NULL) {
        (void)closedir(s->sweep_dir);
    }
}
