/*
 * workspace.c: see workspace.h.
 * Runs in: agent.     Owns: file descriptors within one call.
 * Never: opens what is no plain file: a pipe would block, a device would act.
 * Tested in: tests/unit/agent/test_files.c
 */
#include "agent/tools/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/id.h"

#define PATH_CAP 1024
#define PARTS_MAX 32

/* glibc has no wrapper. */
static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int fail(int err, char *why, size_t cap, const char *path, const char *text)
{
    (void)snprintf(why, cap, "%.200s: %s", path, text);
    return err;
}

static int fail_errno(char *why, size_t cap, const char *path)
{
    int e = errno;
    if (e == ENOENT || e == ENOTDIR) {
        return fail(ERR_GONE, why, cap, path, "there is no such file in the workspace");
    }
    if (e == EXDEV || e == ELOOP) {
        return fail(ERR_DENIED, why, cap, path, "leads out of the workspace");
    }
    return fail(e == ENOSPC || e == EDQUOT ? ERR_FULL : ERR_IO, why, cap, path, strerror(e));
}

static int path_of(sv path, char dst[PATH_CAP], char *why, size_t cap)
{
    dst[0] = '\0';
    if (path.n == 0 || sv_chr(path, '\0') >= 0 || !sv_copy(dst, PATH_CAP, path)) {
        return fail(ERR_BAD, why, cap, dst, "\"path\" must be 1 to 1023 bytes");
    }
    if (dst[0] == '/') {
        return fail(ERR_DENIED, why, cap, dst, "the path must be relative to the workspace");
    }
    return OK;
}

static int open_root(sv root, bool make, int *fd, char *why, size_t cap)
{
    char dir[PATH_CAP * 4];
    if (!sv_copy(dir, sizeof dir, root)) {
        return fail(ERR_BAD, why, cap, "workspace", "its path is too long");
    }
    if (make && dir_make(dir, 0700) != OK) {
        return fail_errno(why, cap, "workspace");
    }
    *fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0 ? fail_errno(why, cap, "workspace") : OK;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int read_at(int root, const char *path, struct buf *dst, char *why, size_t cap)
{
    struct stat st;
    int fd ATTR_CLEANUP(fd_close) = open_beneath(root, path, O_RDONLY | O_NONBLOCK); /* a pipe must not block */
    if (fd < 0 || fstat(fd, &st) != 0) {
        return fail_errno(why, cap, path);
    }
    if (!S_ISREG(st.st_mode)) {
        return fail(ERR_DENIED, why, cap, path, S_ISDIR(st.st_mode) ? "is a folder" : "is not a plain file");
    }
    int rc = fd_read_all(fd, dst);
    return rc == ERR_TOOBIG ? fail(rc, why, cap, path, "is too large to be read") : rc == OK ? OK : fail_errno(why, cap, path);
}

int workspace_read(sv root, sv path, struct buf *dst, char *why, size_t cap)
{
    char p[PATH_CAP];
    int fd ATTR_CLEANUP(fd_close) = -1;
    int rc = path_of(path, p, why, cap);
    rc = rc == OK ? open_root(root, false, &fd, why, cap) : rc;
    return rc == OK ? read_at(fd, p, dst, why, cap) : rc;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* Opens the folder of `path`, making what is missing; *name is the last part. */
static int open_parent(int root, char *path, int *parent, const char **name, char *why, size_t cap)
{
    char *at = path;
    *parent = dup(root);
    for (int i = 0; *parent >= 0 && i < PARTS_MAX; i++) {
        char *slash = strchr(at, '/');
        if (!slash) {
            *name = at;
            bool bad = !at[0] || strcmp(at, ".") == 0 || strcmp(at, "..") == 0;
            return bad ? fail(ERR_BAD, why, cap, path, "names no file") : OK;
        }
        *slash = '\0';
        int fd = open_beneath(root, path, O_PATH | O_DIRECTORY);
        if (fd < 0 && errno == ENOENT && mkdirat(*parent, at, 0700) == 0) {
            fd = open_beneath(root, path, O_PATH | O_DIRECTORY);
        }
        int rc = fd < 0 ? fail_errno(why, cap, path) : OK;
        *slash = '/';
        fd_close(parent);
        *parent = fd;
        at = slash + 1;
        if (rc != OK) {
            return rc;
        }
    }
    return fail(ERR_BAD, why, cap, path, "has too many parts");
}

static int put(int parent, const char *name, sv bytes)
{
    char random[9], tmp[32];
    id_code(random, 8, "abcdefghijklmnopqrstuvwxyz234567");
    (void)snprintf(tmp, sizeof tmp, ".tmp-%s", random);
    int fd ATTR_CLEANUP(fd_close) = openat(parent, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ERR_IO;
    }
    if (fd_write_all(fd, bytes.p, bytes.n) != OK || fsync(fd) != 0 || renameat(parent, tmp, parent, name) != 0) {
        int e = errno;
        (void)unlinkat(parent, tmp, 0);
        errno = e;
        return ERR_IO;
    }
    int dir ATTR_CLEANUP(fd_close) = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir >= 0 && fsync(dir) == 0 ? OK : ERR_IO;
}

int workspace_write(sv root, sv path, sv bytes, bool *same, char *why, size_t cap)
{
    char p[PATH_CAP];
    const char *name = "";
    int fd ATTR_CLEANUP(fd_close) = -1, parent ATTR_CLEANUP(fd_close) = -1;
    struct buf old ATTR_CLEANUP(buf_free) = BUF_INIT(bytes.n + 1);
    *same = false;
    int rc = path_of(path, p, why, cap);
    rc = rc == OK ? open_root(root, true, &fd, why, cap) : rc;
    rc = rc == OK ? open_parent(fd, p, &parent, &name, why, cap) : rc;
    if (rc != OK) {
        return rc;
    }
    rc = read_at(fd, p, &old, why, cap);
    *same = rc == OK && sv_eq(buf_view(&old), bytes);
    if (*same) {
        return OK;
    }
    if (rc == ERR_DENIED) {
        return rc; /* a folder, a pipe, a link that leads out */
    }
    return put(parent, name, bytes) == OK ? OK : fail_errno(why, cap, p);
}
