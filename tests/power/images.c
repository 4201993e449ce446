/*
 * images.c: from a recorder's log to what a disk may hold after a loss of power at any moment.
 * Runs in: tests.     Owns: files in memory, and one folder that always shows one possible disk.
 * Never: shows what no disk could hold: a completed sync is believed, nothing else is.
 * Tested in: tests/power/power.c
 */
#include "tests/power/images.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/sv.h"
#include "tests/power/power_log.h"

#define SECTOR 512u
#define FOLDER UINT32_MAX /* a name that is a folder */

/* A write (or change of size) that no sync has confirmed. */
struct pending {
    bool size; /* the file ends at off */
    uint64_t off, n;
    const uint8_t *data; /* in the log */
};

struct file {
    uint8_t *base; /* what is durable */
    size_t n, cap;
    struct pending *wait;
    size_t wait_n, wait_cap;
    int fd; /* of its place in the folder, -1: it has none */
};

/* One name, and what it may stand for: 0 nothing, FOLDER, or a file. */
struct name {
    char path[256]; /* in the folder of images */
    char parent[256];
    uint32_t durable;
    uint32_t wait[8]; /* later states, oldest first */
    size_t wait_n;
};

struct images {
    const uint8_t *log;
    size_t log_n, pos, at, total;
    const char *root, *out;
    struct file *files; /* by number */
    size_t files_n;
    struct name *names;
    size_t names_n, names_cap;
};

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* ---- the log ---- */

static const struct power_rec *record_at(const struct images *m, size_t pos, size_t *next)
{
    static struct power_rec r;
    ASSERT(pos + sizeof(r) <= m->log_n);
    memcpy(&r, m->log + pos, sizeof(r)); /* records are not aligned */
    *next = pos + sizeof(r) + (r.kind == POWER_RANGE ? 0 : r.n);
    ASSERT(*next <= m->log_n);
    return &r;
}

struct images *images_open(const char *log, const char *root, const char *out)
{
    struct images *m = xcalloc(1, sizeof(*m));
    struct stat st;
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) {
        die(1, "power: the recorder has written nothing to %s", log);
    }
    m->log_n = (size_t)st.st_size;
    m->log = mmap(NULL, m->log_n, PROT_READ, MAP_PRIVATE, fd, 0);
    ASSERT(m->log != MAP_FAILED);
    (void)close(fd);
    m->root = root;
    m->out = out;
    for (size_t pos = 0, next; pos < m->log_n; pos = next) {
        const struct power_rec *r = record_at(m, pos, &next);
        m->total++;
        m->files_n = r->file != 0 && r->file != FOLDER && r->file >= m->files_n ? r->file + 1 : m->files_n;
    }
    m->files = xcalloc(m->files_n + 1, sizeof(*m->files));
    for (size_t i = 0; i <= m->files_n; i++) {
        m->files[i].fd = -1;
    }
    return m;
}

void images_close(struct images *m)
{
    for (size_t i = 0; i <= m->files_n; i++) {
        xfree(m->files[i].base);
        xfree(m->files[i].wait);
        if (m->files[i].fd >= 0) {
            (void)close(m->files[i].fd);
        }
    }
    xfree(m->files);
    xfree(m->names);
    (void)munmap((void *)(uintptr_t)m->log, m->log_n);
    xfree(m);
}

size_t images_records(const struct images *m)
{
    return m->total;
}

/* ---- content ---- */

static void write_all(int fd, const void *p, size_t n, uint64_t off)
{
    ASSERT(pwrite(fd, p, n, (off_t)off) == (ssize_t)n);
}

static void base_size(struct file *f, size_t n)
{
    if (n > f->cap) {
        f->cap = n * 2;
        f->base = xrealloc(f->base, f->cap);
    }
    if (n > f->n) {
        memset(f->base + f->n, 0, n - f->n);
    }
    f->n = n;
}

/* The write is durable: into memory, and into the folder when the file has a place there. */
static void confirm(struct file *f, const struct pending *w)
{
    if (w->size) {
        base_size(f, w->off);
        if (f->fd >= 0) {
            ASSERT(ftruncate(f->fd, (off_t)w->off) == 0);
        }
        return;
    }
    if (w->off + w->n > f->n) {
        base_size(f, w->off + w->n);
    }
    memcpy(f->base + w->off, w->data, w->n);
    if (f->fd >= 0) {
        write_all(f->fd, w->data, w->n, w->off);
    }
}

static void wait_add(struct file *f, struct pending w)
{
    if (f->wait_n == f->wait_cap) {
        f->wait_cap = f->wait_cap ? f->wait_cap * 2 : 16;
        f->wait = xrealloc(f->wait, f->wait_cap * sizeof(*f->wait));
    }
    f->wait[f->wait_n++] = w;
}

static void confirm_all(struct file *f)
{
    for (size_t i = 0; i < f->wait_n; i++) {
        confirm(f, &f->wait[i]);
    }
    f->wait_n = 0;
}

/* What lies inside the range is durable, the rest still waits. */
static void confirm_range(struct file *f, uint64_t off, uint64_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->wait_n; i++) {
        struct pending w = f->wait[i];
        if (!w.size && w.off >= off && w.off + w.n <= off + n) {
            confirm(f, &w);
        } else {
            f->wait[kept++] = w;
        }
    }
    f->wait_n = kept;
}

/* ---- names ---- */

static void place(struct images *m, struct name *nm)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s%s", m->out, nm->path);
    if (nm->durable == FOLDER) {
        (void)mkdir(path, 0700);
    } else if (nm->durable != 0) {
        struct file *f = &m->files[nm->durable];
        if (f->fd < 0) {
            f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            ASSERT(f->fd >= 0);
            write_all(f->fd, f->base, f->n, 0);
        }
    }
}

static void unplace(struct images *m, struct name *nm)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s%s", m->out, nm->path);
    if (nm->durable != 0 && nm->durable != FOLDER) {
        fd_close(&m->files[nm->durable].fd);
        (void)unlink(path);
    }
}

static struct name *name_of(struct images *m, sv path)
{
    sv rel = sv_sub(path, strlen(m->root), path.n);
    ASSERT(sv_starts(path, sv_of(m->root)));
    for (size_t i = 0; i < m->names_n; i++) {
        if (sv_eqc(rel, m->names[i].path)) {
            return &m->names[i];
        }
    }
    if (m->names_n == m->names_cap) {
        m->names_cap = m->names_cap ? m->names_cap * 2 : 64;
        m->names = xrealloc(m->names, m->names_cap * sizeof(*m->names));
    }
    struct name *nm = &m->names[m->names_n++];
    *nm = (struct name){0};
    ASSERT(sv_copy(nm->path, sizeof(nm->path), rel));
    (void)snprintf(nm->parent, sizeof(nm->parent), "%s", nm->path);
    char *slash = strrchr(nm->parent, '/');
    ASSERT(slash != NULL);
    *slash = '\0';
    return nm;
}

static void name_becomes(struct images *m, sv path, uint32_t what)
{
    struct name *nm = name_of(m, path);
    if (nm->wait_n == sizeof(nm->wait) / sizeof(nm->wait[0])) {
        memmove(nm->wait, nm->wait + 1, sizeof(nm->wait) - sizeof(nm->wait[0])); /* the oldest of many is left out */
        nm->wait_n--;
    }
    nm->wait[nm->wait_n++] = what;
}

static void names_confirm(struct images *m, sv folder)
{
    sv rel = sv_sub(folder, strlen(m->root), folder.n);
    rel.n -= sv_ends(rel, SV("/"));
    for (size_t i = 0; i < m->names_n; i++) {
        struct name *nm = &m->names[i];
        if (nm->wait_n > 0 && sv_eqc(rel, nm->parent)) {
            uint32_t last = nm->wait[nm->wait_n - 1];
            nm->wait_n = 0;
            if (last != nm->durable) {
                unplace(m, nm);
                nm->durable = last;
                place(m, nm);
            }
        }
    }
}

/* ---- moving on ---- */

static void apply(struct images *m, const struct power_rec *r, const uint8_t *data,
                  void (*on_mark)(void *ctx, const char *mark), void *ctx)
{
    char mark[128];
    sv text = sv_mem(data, r->n);
    struct file *f = &m->files[r->file];
    switch ((enum power_kind)r->kind) {
    case POWER_NAME:
    case POWER_RENAME:
        name_becomes(m, text, r->file);
        break;
    case POWER_UNLINK:
        name_becomes(m, text, 0);
        break;
    case POWER_MKDIR:
        name_becomes(m, text, FOLDER);
        break;
    case POWER_WRITE:
        wait_add(f, (struct pending){.off = r->off, .n = r->n, .data = data});
        break;
    case POWER_SIZE:
        wait_add(f, (struct pending){.size = true, .off = r->off});
        break;
    case POWER_SYNC:
        confirm_all(f);
        break;
    case POWER_RANGE:
        confirm_range(f, r->off, r->n);
        break;
    case POWER_DIRSYNC:
        names_confirm(m, text);
        break;
    case POWER_MARK:
        ASSERT(sv_copy(mark, sizeof(mark), text));
        on_mark(ctx, mark);
        break;
    }
}

void images_advance(struct images *m, size_t at, void (*on_mark)(void *ctx, const char *mark), void *ctx)
{
    for (; m->at < at && m->pos < m->log_n; m->at++) {
        size_t next;
        struct power_rec r = *record_at(m, m->pos, &next);
        apply(m, &r, m->log + m->pos + sizeof(r), on_mark, ctx);
        m->pos = next;
    }
}

/* ---- one image ---- */

static void put_some(int fd, const struct pending *w, bool torn, uint64_t *rng)
{
    if (w->size) {
        ASSERT(ftruncate(fd, (off_t)w->off) == 0);
        return;
    }
    for (uint64_t done = 0; done < w->n;) {
        uint64_t end = torn ? ((w->off + done) / SECTOR + 1) * SECTOR - w->off : w->n;
        end = end > w->n ? w->n : end;
        if (!torn || rnd(rng) % 2 == 0) {
            write_all(fd, w->data + done, end - done, w->off + done);
        }
        done = end;
    }
}

static void show_file(struct file *f, enum images_fate fate, uint64_t *rng)
{
    size_t spared = f->wait_n > 0 ? rnd(rng) % f->wait_n : 0;
    for (size_t i = 0; i < f->wait_n; i++) {
        bool in = fate == FATE_ALL || (fate == FATE_ALL_BUT && i != spared) || fate == FATE_TORN ||
                  (fate == FATE_SOME && rnd(rng) % 2 == 0);
        if (in) {
            put_some(f->fd, &f->wait[i], fate == FATE_TORN, rng);
        }
    }
}

bool images_make(struct images *m, enum images_fate fate, uint64_t *rng)
{
    bool there = false;
    for (size_t i = 0; i < m->names_n; i++) {
        struct name *nm = &m->names[i];
        if (nm->wait_n > 0) {
            /* one of the states this name may be in; images_undo goes back to the durable one */
            size_t pick = fate == FATE_ALL ? nm->wait_n : fate == FATE_NONE ? 0 : rnd(rng) % (nm->wait_n + 1);
            uint32_t durable = nm->durable;
            if (pick > 0) {
                unplace(m, nm);
                nm->durable = nm->wait[pick - 1];
                place(m, nm);
                memmove(nm->wait + 1, nm->wait, sizeof(nm->wait) - sizeof(nm->wait[0]));
                nm->wait[0] = durable;
                nm->wait_n |= 0x100; /* the state that was durable stands first in the list */
            }
        }
        there = there || (strcmp(nm->path, "/data.mdb") == 0 && nm->durable != 0);
    }
    for (size_t i = 0; i < m->files_n; i++) {
        if (m->files[i].fd >= 0 && m->files[i].wait_n > 0) {
            show_file(&m->files[i], fate, rng);
        }
    }
    return there;
}

void images_undo(struct images *m)
{
    for (size_t i = 0; i < m->files_n; i++) {
        struct file *f = &m->files[i];
        if (f->fd < 0) {
            continue;
        }
        for (size_t k = 0; k < f->wait_n; k++) {
            const struct pending *w = &f->wait[k];
            uint64_t off = w->size ? (w->off < f->n ? w->off : f->n) : w->off;
            uint64_t end = w->size ? f->n : w->off + w->n;
            end = end > f->n ? f->n : end;
            if (off < end) {
                write_all(f->fd, f->base + off, end - off, off);
            }
        }
        if (f->wait_n > 0) {
            ASSERT(ftruncate(f->fd, (off_t)f->n) == 0);
        }
    }
    for (size_t i = 0; i < m->names_n; i++) {
        struct name *nm = &m->names[i];
        if ((nm->wait_n & 0x100) != 0) {
            nm->wait_n &= 0xff;
            uint32_t durable = nm->wait[0];
            memmove(nm->wait, nm->wait + 1, sizeof(nm->wait) - sizeof(nm->wait[0]));
            unplace(m, nm);
            nm->durable = durable;
            place(m, nm);
        }
    }
}

void images_restore(struct images *m)
{
    for (size_t i = 0; i < m->names_n; i++) {
        struct name *nm = &m->names[i];
        unplace(m, nm);
        place(m, nm);
    }
}
