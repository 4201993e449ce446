/*
 * confine_dirs.c: the directories that workers write to, and the way there.
 * Runs in: supervisor.     Owns: nothing.
 * Never: follows a link; touches what is below a directory that belongs to a worker already.
 * Tested in: tests/unit/supervisor/test_confine.c, tests/scn/s1-walls.test.mjs
 */
#include "supervisor/confine_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"

/* Passing through, not looking around: what lies in it has permissions of its own. */
#define MODE_THROUGH 0711
#define MODE_PRIVATE 0700
/* The socket in it belongs to the group of the planes, whoever makes it. */
#define MODE_SOCKETS 02750

#define S(kind) (1u << WK_##kind)
#define S_ALL ((1u << WK_COUNT) - 1u)

enum base { STATE, RUN, ROOT, CONF, ENV };
enum access_wanted { READ, WRITE, SOCKET };

static const struct {
    unsigned kinds;
    enum base base;
    const char *path;
    enum access_wanted access;
} paths[] = {
#define SANDBOX_PATH(kinds, base, path, access, doc) {kinds, base, path, access},
#include "workers/runtime/sandbox.def"
};

/* ---- the way ----------------------------------------------------------------------------------------------- */

/* Every directory on the way to and including `path` lets everybody pass. */
static bool passable(const char *path, char *why, size_t cap)
{
    char part[PATH_MAX];
    struct stat st;

    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        if (!sv_copy(part, sizeof part, sv_mem(path, i)) || stat(part, &st) != 0 || !(st.st_mode & S_IXOTH)) {
            snprintf(why, cap, "other users cannot pass through %.200s (chmod o+x)", part);
            return false;
        }
    }
    return true;
}

bool confine_reachable(const struct confine_dirs *dirs, char *why, size_t cap)
{
    if (chmod(dirs->state, MODE_THROUGH) != 0 || chmod(dirs->run, MODE_THROUGH) != 0) {
        snprintf(why, cap, "%.100s and %.100s cannot be opened to passing through: %s", dirs->state, dirs->run,
                 strerror(errno));
        return false;
    }
    return passable(dirs->state, why, cap) && passable(dirs->run, why, cap) && passable(dirs->programs, why, cap);
}

/* ---- the directories --------------------------------------------------------------------------------------- */

/* Files of an earlier owner: only one level, no links, nothing that another name points to. */
static void give_content(int dir, uid_t uid, gid_t gid)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;

    if (d == NULL) {
        fd_close(&copy);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
            fchownat(dir, e->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) {
            log_warn("%s cannot be given to user %u: %s", e->d_name, (unsigned)uid, strerror(errno));
        }
    }
    closedir(d);
}

static enum worker_id owner_of(size_t row)
{
    enum worker_id kind = 0;

    while (kind + 1 < WK_COUNT && !(paths[row].kinds & (1u << kind))) {
        kind++;
    }
    return kind;
}

static void make(const struct confine *k, const char *above, size_t row)
{
    char path[PATH_MAX + 64];
    bool socket = paths[row].access == SOCKET;
    enum worker_id kind = owner_of(row);
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", above, paths[row].path);
    if (dir_make(path, MODE_PRIVATE) != 0) {
        die(EXIT_CANTCREAT, "directory %s cannot be made: %s", path, strerror(errno));
    }
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &st) != 0) {
        die(EXIT_CANTCREAT, "directory %s cannot be opened: %s", path, strerror(errno));
    }
    uid_t uid = k->own_users ? k->uid[kind] : k->state_owner;
    gid_t gid = !k->own_users ? st.st_gid : socket ? k->plane : k->gid[kind];
    if (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid)) {
        if (st.st_uid != uid) {
            give_content(dir, uid, gid);
        }
        if (fchown(dir, uid, gid) != 0) {
            die(EXIT_NOPERM, "%s cannot be given to user %u: %s", path, (unsigned)uid, strerror(errno));
        }
    }
    if (fchmod(dir, socket && k->own_users ? MODE_SOCKETS : MODE_PRIVATE) != 0) {
        log_warn("the permissions of %s cannot be set: %s", path, strerror(errno));
    }
    fd_close(&dir);
}

void confine_make_dirs(const struct confine *k, const struct confine_dirs *dirs)
{
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (paths[i].access != READ && (paths[i].base == STATE || paths[i].base == RUN)) {
            make(k, paths[i].base == STATE ? dirs->state : dirs->run, i);
        }
    }
}
