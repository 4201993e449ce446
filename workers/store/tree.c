/*
 * tree.c: small folders as a whole: removed, made durable, copied, handed to another user.
 * Runs in: store executable as a tool.     Owns: nothing.
 * Never: follows a symbolic link.
 * Tested in: tests/unit/store/test_backup.c
 */
#include "workers/store/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"

#define OPEN_MAX_DIRS 16
#define COPY_STEP ((size_t)64 << 20)

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    UNUSED(st);
    UNUSED(kind);
    UNUSED(at);
    return remove(path);
}

void tree_remove(const char *dir)
{
    (void)nftw(dir, remove_one, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int rc = fd < 0 ? -1 : fsync(fd);
    fd_close(&fd);
    return rc;
}

static int sync_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    UNUSED(at);
    return kind == FTW_SL || S_ISSOCK(st->st_mode) ? 0 : sync_path(path);
}

int tree_sync(const char *dir)
{
    return nftw(dir, sync_one, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
}

int tree_sync_parent(const char *path)
{
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL) {
        return sync_path(".");
    }
    slash[slash == dir] = '\0';
    return sync_path(dir);
}

int tree_copy_file(const char *from, const char *to, const char *name)
{
    char a[PATH_MAX];
    char b[PATH_MAX];
    ssize_t n;
    (void)snprintf(a, sizeof(a), "%s/%s", from, name);
    (void)snprintf(b, sizeof(b), "%s/%s", to, name);
    int in = open(a, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int out = in < 0 ? -1 : open(b, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = out < 0 ? -1 : 0;
    while (rc == 0 && (n = sendfile(out, in, NULL, COPY_STEP)) != 0) {
        rc = n < 0 && errno != EINTR ? -1 : 0;
    }
    fd_close(&in);
    fd_close(&out);
    return rc;
}

int tree_copy_folder(const char *from, const char *to, const char *name)
{
    char a[PATH_MAX];
    char b[PATH_MAX];
    (void)snprintf(a, sizeof(a), "%s/%s", from, name);
    (void)snprintf(b, sizeof(b), "%s/%s", to, name);
    DIR *d = opendir(a);
    int rc = d == NULL ? -1 : mkdir(b, 0700);
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            rc = tree_copy_file(a, b, e->d_name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return rc;
}

static uid_t new_uid;
static gid_t new_gid;

static int own_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    UNUSED(st);
    UNUSED(kind);
    UNUSED(at);
    return lchown(path, new_uid, new_gid);
}

int tree_own(const char *dir, const char *like)
{
    char parent[PATH_MAX];
    struct stat st;
    if (geteuid() != 0) {
        return 0;
    }
    (void)snprintf(parent, sizeof(parent), "%s/..", dir);
    if (stat(like != NULL ? like : parent, &st) != 0) {
        return -1;
    }
    new_uid = st.st_uid;
    new_gid = st.st_gid;
    return nftw(dir, own_one, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
}
