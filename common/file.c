/*
 * file.c: whole-file reads and replacements that survive power loss.
 * Runs in: every process.     Owns: the temporary file during file_replace.
 * Never: leaves a partial file under the final name.
 * Tested in: tests/unit/common/test_file.c
 */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/id.h"

#define READ_STEP 16384u /* bytes asked for at once */

static int code_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return ERR_GONE;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

void fd_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
    *fd = -1;
}

int fd_read_all(int fd, struct buf *dst)
{
    for (;;) {
        /* At the cap one more byte is asked for: only that tells "exactly full" from "too big". */
        size_t left = dst->max > dst->n ? dst->max - dst->n : 0;
        size_t step = left > READ_STEP ? READ_STEP : left;
        char probe[1];
        char *at = step > 0 ? buf_room(dst, step) : probe;
        if (at == NULL) {
            return ERR_TOOBIG;
        }
        ssize_t n = read(fd, at, step > 0 ? step : 1);
        if (n == 0) {
            return OK;
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return ERR_IO;
        }
        if (step == 0) {
            dst->full = true;
            return ERR_TOOBIG;
        }
        dst->n += (size_t)n;
    }
}

int file_read(const char *path, struct buf *dst)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return code_of_errno();
    }
    int err = fd_read_all(fd, dst);
    fd_close(&fd);
    return err;
}

int fd_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t put = write(fd, at, n);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return code_of_errno();
        }
        at += put;
        n -= (size_t)put;
    }
    return OK;
}

/* A rename is durable only when its folder is written too. */
static int sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    sv whole = sv_of(path);
    while (whole.n > 0 && whole.p[whole.n - 1] != '/') {
        whole.n--;
    }
    if (!sv_copy(dir, sizeof(dir), whole.n == 0 ? SV(".") : whole)) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return ERR_IO;
    }
    int err = fsync(fd) == 0 ? OK : ERR_IO;
    fd_close(&fd);
    return err;
}

int file_replace(const char *path, sv bytes, mode_t mode)
{
    char tmp[PATH_MAX];
    char code[9];
    id_code(code, sizeof(code) - 1, "0123456789abcdefghijklmnopqrstuvwxyz");
    int len = snprintf(tmp, sizeof(tmp), "%s.%s.tmp", path, code);
    if (len < 0 || (size_t)len >= sizeof(tmp)) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return code_of_errno();
    }
    int err = fd_write_all(fd, bytes.p, bytes.n);
    if (err == OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) {
        err = code_of_errno();
    }
    fd_close(&fd);
    if (err == OK && rename(tmp, path) != 0) {
        err = code_of_errno();
    }
    if (err != OK) {
        int saved = errno;
        unlink(tmp);
        errno = saved;
        return err;
    }
    return sync_folder_of(path);
}

static int make_one(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0) {
        return OK;
    }
    if (errno != EEXIST) {
        return code_of_errno();
    }
    struct stat st;
    if (stat(path, &st) != 0) {
        return code_of_errno();
    }
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return ERR_IO;
    }
    return OK;
}

int dir_make(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    if (path[0] == '\0' || !sv_copy(part, sizeof(part), sv_of(path))) {
        errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return path[0] == '\0' ? ERR_GONE : ERR_IO;
    }
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            int err = make_one(part, mode);
            *at = '/';
            if (err != OK) {
                return err;
            }
        }
    }
    return make_one(part, mode);
}
