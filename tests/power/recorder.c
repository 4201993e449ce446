/*
 * recorder.c: preload library: writes down every change and every sync of the files below one folder, in order.
 * Runs in: the program under test (LD_PRELOAD).     Owns: the log; the table of open files.
 * Never: changes what a call does. The program must have one thread and must not fork.
 * Tested in: tests/power/power.c
 *
 * TENAZA_POWER_LOG: path of the log. TENAZA_POWER_DIR: only files below it count. TENAZA_POWER_FORGET: a word; syncs
 * it names are not written down, as if the program had left them out: "data" (fdatasync), "media" (fsync of files in
 * media/), "dir" (fsync of the folder media/).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/power/power_log.h"

#define FDS 1024
#define FILES 16384
#define LOG_FD 1000

static int log_fd = -1;
static const char *root;
static const char *forget = "";
static struct {
    uint32_t file;
    bool dsync, dir;
    char path[256];
} fds[FDS];
static struct {
    char path[256];
    uint32_t file;
} names[FILES];
static uint32_t names_n, files_n;

void power_mark(const char *text);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

static void put(const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t done = syscall(SYS_write, log_fd, at, n);
        if (done <= 0) {
            abort(); /* a log with a hole proves nothing */
        }
        at += done;
        n -= (size_t)done;
    }
}

static void record(uint32_t kind, uint32_t file, uint64_t off, const void *data, size_t n)
{
    struct power_rec r = {.kind = kind, .file = file, .off = off, .n = n};
    int saved = errno;
    put(&r, sizeof(r));
    if (kind != POWER_RANGE) {
        put(data, n);
    }
    errno = saved;
}

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("TENAZA_POWER_LOG");
    root = getenv("TENAZA_POWER_DIR");
    if (getenv("TENAZA_POWER_FORGET") != NULL) {
        forget = getenv("TENAZA_POWER_FORGET");
    }
    if (path == NULL || root == NULL) {
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    log_fd = fd < 0 ? -1 : (int)syscall(SYS_dup2, fd, LOG_FD);
    (void)syscall(SYS_close, fd);
}

/* Files below the folder, but for locks, which hold nothing that must survive. */
static bool wanted(const char *path)
{
    size_t n = root != NULL ? strlen(root) : 0;
    size_t len = strlen(path);
    if (log_fd < 0 || n == 0 || strncmp(path, root, n) != 0 || len >= 256) {
        return false;
    }
    return strstr(path, "lock") == NULL;
}

static uint32_t file_of(const char *path, bool made)
{
    for (uint32_t i = 0; i < names_n; i++) {
        if (strcmp(names[i].path, path) == 0 && names[i].file != 0) {
            return names[i].file;
        }
    }
    if (names_n == FILES || !made) {
        return 0;
    }
    (void)snprintf(names[names_n].path, sizeof(names[0].path), "%s", path);
    names[names_n++].file = ++files_n;
    record(POWER_NAME, files_n, 0, path, strlen(path));
    return files_n;
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < FDS && wanted(path)) {
        struct stat st;
        fds[fd].dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
        fds[fd].file = fds[fd].dir ? 0 : file_of(path, (flags & O_CREAT) != 0);
        fds[fd].dsync = (flags & O_DSYNC) != 0;
        (void)snprintf(fds[fd].path, sizeof(fds[fd].path), "%s", path);
        if ((flags & O_TRUNC) != 0 && fds[fd].file != 0) {
            record(POWER_SIZE, fds[fd].file, 0, "", 0);
        }
    }
    return fd;
}

#define MODE_ARG(mode, last)                                                                       \
    mode_t mode = 0;                                                                               \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                    \
        va_list ap;                                                                                \
        va_start(ap, last);                                                                        \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARG(mode, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARG(mode, flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE_ARG(mode, flags)
    return open_any(at, path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

static uint32_t tracked(int fd)
{
    return fd >= 0 && fd < FDS ? fds[fd].file : 0;
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        memset(&fds[fd], 0, sizeof(fds[fd]));
    }
    return (int)syscall(SYS_close, fd);
}

static void wrote(int fd, off_t off, const void *p, ssize_t n)
{
    if (n <= 0 || tracked(fd) == 0) {
        return;
    }
    record(POWER_WRITE, fds[fd].file, (uint64_t)off, p, (size_t)n);
    if (fds[fd].dsync) {
        record(POWER_RANGE, fds[fd].file, (uint64_t)off, NULL, (size_t)n);
    }
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
    ssize_t done = syscall(SYS_pwrite64, fd, p, n, off);
    wrote(fd, off, p, done);
    return done;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
    return pwrite(fd, p, n, off);
}

static void wrote_iov(int fd, off_t off, const struct iovec *v, int vn, ssize_t done)
{
    for (int i = 0; i < vn && done > 0; i++) {
        ssize_t part = done < (ssize_t)v[i].iov_len ? done : (ssize_t)v[i].iov_len;
        wrote(fd, off, v[i].iov_base, part);
        off += part;
        done -= part;
    }
}

ssize_t pwritev(int fd, const struct iovec *v, int vn, off_t off)
{
    ssize_t done = syscall(SYS_pwritev, fd, v, vn, off, 0);
    wrote_iov(fd, off, v, vn, done);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *v, int vn, off64_t off)
{
    return pwritev(fd, v, vn, off);
}

ssize_t writev(int fd, const struct iovec *v, int vn)
{
    off_t off = tracked(fd) != 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_writev, fd, v, vn);
    wrote_iov(fd, off, v, vn, done);
    return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
    off_t off = tracked(fd) != 0 ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = syscall(SYS_write, fd, p, n);
    wrote(fd, off, p, done);
    return done;
}

static void synced(int fd, bool data_only)
{
    if (fd < 0 || fd >= FDS || fds[fd].path[0] == '\0') {
        return;
    }
    bool media = strstr(fds[fd].path, "/media") != NULL;
    if (fds[fd].dir) {
        if (!media || strcmp(forget, "dir") != 0) {
            record(POWER_DIRSYNC, 0, 0, fds[fd].path, strlen(fds[fd].path));
        }
    } else if (fds[fd].file != 0 && !(data_only && strcmp(forget, "data") == 0) &&
               !(media && strcmp(forget, "media") == 0)) {
        record(POWER_SYNC, fds[fd].file, 0, "", 0);
    }
}

int fsync(int fd)
{
    int rc = (int)syscall(SYS_fsync, fd);
    if (rc == 0) {
        synced(fd, false);
    }
    return rc;
}

int fdatasync(int fd)
{
    int rc = (int)syscall(SYS_fdatasync, fd);
    if (rc == 0) {
        synced(fd, true);
    }
    return rc;
}

int ftruncate(int fd, off_t size)
{
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0 && tracked(fd) != 0) {
        record(POWER_SIZE, fds[fd].file, (uint64_t)size, "", 0);
    }
    return rc;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int rename(const char *from, const char *to)
{
    int rc = (int)syscall(SYS_rename, from, to);
    if (rc == 0 && wanted(to)) {
        uint32_t file = file_of(from, false);
        for (uint32_t i = 0; i < names_n; i++) {
            if (strcmp(names[i].path, to) == 0) {
                names[i].file = 0;
            } else if (strcmp(names[i].path, from) == 0) {
                (void)snprintf(names[i].path, sizeof(names[i].path), "%s", to);
            }
        }
        record(POWER_UNLINK, 0, 0, from, strlen(from));
        record(POWER_RENAME, file, 0, to, strlen(to));
    }
    return rc;
}

int unlink(const char *path)
{
    int rc = (int)syscall(SYS_unlink, path);
    if (rc == 0 && wanted(path)) {
        for (uint32_t i = 0; i < names_n; i++) {
            if (strcmp(names[i].path, path) == 0) {
                names[i].file = 0;
                names[i].path[0] = '\0';
            }
        }
        record(POWER_UNLINK, 0, 0, path, strlen(path));
    }
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    int rc = (int)syscall(SYS_mkdir, path, mode);
    if (rc == 0 && wanted(path)) {
        record(POWER_MKDIR, 0, 0, path, strlen(path));
    }
    return rc;
}

/* The program under test says what it has acknowledged (found by dlsym). */
void power_mark(const char *text)
{
    if (log_fd >= 0) {
        record(POWER_MARK, 0, 0, text, strlen(text));
    }
}
