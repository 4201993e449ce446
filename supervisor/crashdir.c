/*
 * crashdir.c: the folder of crash reports: names, order, how many are kept.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: follows a name that does not look like a report of ours; reads more than ENTRIES_MAX names.
 * Tested in: tests/unit/supervisor/test_evidence.c
 */
#include "supervisor/crashdir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/file.h"

#define ENTRIES_MAX 4096
#define SEEN ".seen"
/* "-20261120T180431.123Z" */
#define STAMP_LEN 21

void crash_dir(const char *state_dir, char *dst, size_t cap)
{
    (void)snprintf(dst, cap, "%s/crash", state_dir);
}

void crash_id(const char *worker, int64_t real_ms, char *dst, size_t cap)
{
    char iso[CLOCK_ISO_LEN];
    size_t n = 0;

    for (const char *p = worker; *p != '\0' && n + STAMP_LEN + 1 < cap; p++) {
        dst[n++] = *p == '/' ? '_' : *p;
    }
    clock_iso(real_ms, iso);
    dst[n++] = '-';
    for (const char *p = iso; *p != '\0' && n + 1 < cap; p++) {
        if (*p != '-' && *p != ':') {
            dst[n++] = *p;
        }
    }
    dst[n] = '\0';
}

/* "-YYYYMMDDTHHMMSS.mmmZ" at the end. */
bool crash_id_parse(const char *id, int64_t *real_ms)
{
    size_t n = strlen(id);

    if (n <= STAMP_LEN || n >= CRASH_ID_MAX || strchr(id, '/') != NULL || id[0] == '.') {
        return false;
    }
    const char *t = id + n - STAMP_LEN;
    char iso[40];
    (void)snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2s%s", t + 1, t + 5, t + 7, t + 10, t + 12, t + 14, t + 16);
    return t[0] == '-' && t[9] == 'T' && clock_iso_parse(sv_of(iso), real_ms);
}

static int newest_first(const void *a, const void *b)
{
    const struct crash *x = a, *y = b;

    return x->at_ms < y->at_ms ? 1 : x->at_ms > y->at_ms ? -1 : strcmp(x->id, y->id);
}

/* All reports, newest first; the caller frees the list. */
static struct crash *read_all(const char *dir, size_t *n)
{
    struct crash *list = NULL;
    size_t cap = 0;
    DIR *d = opendir(dir);

    *n = 0;
    for (struct dirent *e; d != NULL && *n < ENTRIES_MAX && (e = readdir(d)) != NULL;) {
        struct crash c;
        sv name = sv_of(e->d_name);
        if (!sv_ends(name, SV(".txt")) || !sv_copy(c.id, sizeof c.id, sv_sub(name, 0, name.n - 4)) ||
            !crash_id_parse(c.id, &c.at_ms)) {
            continue;
        }
        if (*n == cap) {
            cap = cap ? cap * 2 : 64;
            list = xrealloc(list, cap * sizeof *list);
        }
        list[(*n)++] = c;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    if (*n > 0) {
        qsort(list, *n, sizeof *list, newest_first);
    }
    return list;
}

size_t crash_list(const char *dir, struct crash *list, size_t max)
{
    size_t n;
    struct crash *all = read_all(dir, &n);

    n = n < max ? n : max;
    if (n > 0) {
        memcpy(list, all, n * sizeof *list);
    }
    xfree(all);
    return n;
}

void crash_prune(const char *dir)
{
    size_t n;
    struct crash *all = read_all(dir, &n);

    for (size_t i = CRASH_KEEP; i < n; i++) {
        char *path = xasprintf("%s/%s.txt", dir, all[i].id);
        (void)unlink(path);
        xfree(path);
    }
    xfree(all);
}

int64_t crash_seen(const char *dir)
{
    struct stat st;
    char *path = xasprintf("%s/" SEEN, dir);
    bool found = stat(path, &st) == 0;

    xfree(path);
    return found ? (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 : 0;
}

void crash_set_seen(const char *dir)
{
    char *path = xasprintf("%s/" SEEN, dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0) {
        (void)futimens(fd, NULL);
    }
    fd_close(&fd);
    xfree(path);
}
