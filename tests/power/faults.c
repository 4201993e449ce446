/*
 * faults.c: preload library: a disk that fails as disks do: a sync ends with EIO and what it should have written is gone.
 * Runs in: the program under test (LD_PRELOAD).     Owns: the old content of everything written since the last sync.
 * Never: fails when it was not told to (fault_arm, found by dlsym). The program must have one thread.
 * Tested in: tests/power/fault.c
 *
 * After a failed fsync Linux marks the dirty pages as clean, whether they reached the disk or not; the next fsync then
 * succeeds. Here they have not: the old content is put back. A program that goes on with the same descriptor, as if
 * the sync could be repeated, is counted (fault_retries).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024

enum { FAULT_NONE, FAULT_SYNC, FAULT_HEAD, FAULT_FILE, FAULT_LIE, FAULT_SYNCS };

void fault_arm(int what);
unsigned fault_count(void);
unsigned fault_retries(void);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

struct old {
    off_t off;
    size_t n, had; /* had: bytes that existed */
    off_t size;    /* of the file before */
    void *bytes;
};

static int armed;
static unsigned faults, retries;
static struct {
    bool data, media, dsync, failed;
} fds[FDS];
static struct old olds[65536];
static size_t olds_n;

void fault_arm(int what)
{
    armed = what;
}

unsigned fault_count(void)
{
    return faults;
}

unsigned fault_retries(void)
{
    return retries;
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        size_t n = strlen(path);
        memset(&fds[fd], 0, sizeof(fds[fd]));
        fds[fd].data = n > 8 && strcmp(path + n - 8, "data.mdb") == 0;
        fds[fd].media = strstr(path, "/media/") != NULL;
        fds[fd].dsync = (flags & O_DSYNC) != 0;
    }
    return fd;
}

#define MODE_ARG(mode)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                    \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode = va_arg(ap, mode_t);                                                                 \
        va_end(ap);                                                                                \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARG(mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARG(mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        memset(&fds[fd], 0, sizeof(fds[fd]));
    }
    return (int)syscall(SYS_close, fd);
}

static bool is_data(int fd)
{
    return fd >= 0 && fd < FDS && fds[fd].data;
}

/* Every descriptor of the file is spoilt by the error. */
static int fail(void)
{
    faults++;
    for (int i = 0; i < FDS; i++) {
        fds[i].failed = fds[i].failed || fds[i].data;
    }
    errno = EIO;
    return -1;
}

static void keep_old(int fd, off_t off, size_t n)
{
    struct stat st;
    if (olds_n == sizeof(olds) / sizeof(olds[0]) || fstat(fd, &st) != 0) {
        abort();
    }
    struct old *o = &olds[olds_n++];
    *o = (struct old){.off = off, .n = n, .size = st.st_size, .bytes = malloc(n)};
    ssize_t had = o->bytes != NULL ? syscall(SYS_pread64, fd, o->bytes, n, off) : -1;
    o->had = had > 0 ? (size_t)had : 0;
}

static void forget_old(void)
{
    while (olds_n > 0) {
        free(olds[--olds_n].bytes);
    }
}

static void put_back(int fd)
{
    while (olds_n > 0) {
        struct old *o = &olds[--olds_n];
        (void)!syscall(SYS_pwrite64, fd, o->bytes, o->had, o->off);
        (void)!syscall(SYS_ftruncate, fd, o->size);
        free(o->bytes);
    }
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
    if (is_data(fd)) {
        if (fds[fd].failed && n >= 4096) { /* smaller: LMDB puts its old head page back */
            retries++;
        }
        if (fds[fd].dsync && armed == FAULT_HEAD) {
            armed = FAULT_NONE;
            return fail();
        }
        if (!fds[fd].dsync) {
            keep_old(fd, off, n);
        }
    }
    return syscall(SYS_pwrite64, fd, p, n, off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
    return pwrite(fd, p, n, off);
}

ssize_t pwritev(int fd, const struct iovec *v, int vn, off_t off)
{
    ssize_t done = 0;
    for (int i = 0; i < vn; i++) {
        ssize_t n = pwrite(fd, v[i].iov_base, v[i].iov_len, off + done);
        if (n < 0) {
            return -1;
        }
        done += n;
    }
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *v, int vn, off64_t off)
{
    return pwritev(fd, v, vn, off);
}

ssize_t writev(int fd, const struct iovec *v, int vn)
{
    off_t off = is_data(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    if (!is_data(fd)) {
        return syscall(SYS_writev, fd, v, vn);
    }
    ssize_t done = pwritev(fd, v, vn, off);
    if (done > 0) {
        (void)lseek(fd, off + done, SEEK_SET);
    }
    return done;
}

int fdatasync(int fd)
{
    if (!is_data(fd)) {
        return (int)syscall(SYS_fdatasync, fd);
    }
    if (armed == FAULT_SYNC || armed == FAULT_SYNCS) {
        armed = armed == FAULT_SYNC ? FAULT_NONE : armed;
        put_back(fd);
        return fail();
    }
    if (armed == FAULT_LIE && olds_n > 3) {
        armed = FAULT_NONE;
        put_back(fd);
        return 0;
    }
    if (fds[fd].failed) {
        retries++;
    }
    forget_old();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    if (fd >= 0 && fd < FDS && fds[fd].media && armed == FAULT_FILE) {
        armed = FAULT_NONE;
        faults++;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}
