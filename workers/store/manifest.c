/*
 * manifest.c: the list of files of a backup with their digests.
 * Runs in: store executable as a tool.     Owns: struct manifest.
 * Never: lists a file outside the folder of the backup.
 * Tested in: tests/unit/store/test_backup.c
 */
#include "workers/store/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/file.h"

#define HEAD "tenaza-backup 1"

void manifest_free(struct manifest *m)
{
    xfree(m->files);
    *m = (struct manifest){0};
}

static struct manifest_file *file_add(struct manifest *m)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 16;
        m->files = xrealloc(m->files, m->cap * sizeof(*m->files));
    }
    struct manifest_file *f = &m->files[m->n++];
    *f = (struct manifest_file){0};
    return f;
}

int manifest_digest(const char *path, char digest[65], uint64_t *bytes)
{
    uint8_t raw[32];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int rc = errno;
        fd_close(&fd);
        return rc;
    }
    size_t n = (size_t)st.st_size;
    void *p = n > 0 ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    int rc = p == MAP_FAILED ? errno : 0;
    fd_close(&fd);
    if (rc != 0) {
        return rc;
    }
    crypto_sha256(raw, sv_mem(p, n));
    if (p != NULL) {
        (void)munmap(p, n);
    }
    for (size_t i = 0; i < sizeof(raw); i++) {
        (void)snprintf(digest + 2 * i, 3, "%02x", raw[i]);
    }
    *bytes = n;
    return 0;
}

int manifest_add(struct manifest *m, const char *dir, const char *name, struct arena *a)
{
    struct manifest_file *f = file_add(m);
    char *path = xasprintf("%s/%s", dir, name);
    int rc = manifest_digest(path, f->digest, &f->bytes);
    f->name = arena_sv(a, sv_of(name));
    xfree(path);
    return rc;
}

void manifest_print(const struct manifest *m, struct buf *out)
{
    (void)buf_printf(out, HEAD "\ncreated %.*s\nschema %llu\n", SV_ARG(m->created), (unsigned long long)m->schema);
    for (size_t i = 0; i < m->n; i++) {
        const struct manifest_file *f = &m->files[i];
        (void)buf_printf(out, "file %.*s %llu %s\n", SV_ARG(f->name), (unsigned long long)f->bytes, f->digest);
    }
    (void)buf_str(out, "end\n");
}

static bool is_hex(sv s, size_t n)
{
    bool ok = s.n == n;
    for (size_t i = 0; ok && i < n; i++) {
        ok = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
    }
    return ok;
}

/* Only names that a backup can have: nothing of it may lead elsewhere. */
static bool name_ok(sv name)
{
    return sv_eqc(name, "data.mdb") || (sv_starts(name, SV("media/")) && is_hex(sv_sub(name, 6, name.n), 64));
}

static int parse_file(struct manifest *m, sv rest)
{
    struct manifest_file *f = file_add(m);
    sv digest;
    f->name = sv_cut(&rest, ' ');
    if (!name_ok(f->name) || !sv_u64(sv_cut(&rest, ' '), &f->bytes)) {
        return ERR_PARSE;
    }
    digest = rest;
    return is_hex(digest, 64) && sv_copy(f->digest, sizeof(f->digest), digest) ? OK : ERR_PARSE;
}

int manifest_parse(struct manifest *m, sv text)
{
    bool ended = false;
    *m = (struct manifest){0};
    if (!sv_eqc(sv_cut(&text, '\n'), HEAD)) {
        return ERR_PARSE;
    }
    while (!ended && !sv_empty(text)) {
        sv rest = sv_cut(&text, '\n');
        sv word = sv_cut(&rest, ' ');
        int rc = OK;
        if (sv_eqc(word, "created")) {
            m->created = rest;
        } else if (sv_eqc(word, "schema")) {
            rc = sv_u64(rest, &m->schema) ? OK : ERR_PARSE;
        } else if (sv_eqc(word, "file")) {
            rc = parse_file(m, rest);
        } else {
            ended = sv_eqc(word, "end");
            rc = ended ? OK : ERR_PARSE;
        }
        if (rc != OK) {
            return rc;
        }
    }
    return ended && m->n > 0 ? OK : ERR_PARSE;
}
