/*
 * sandbox_landlock.c: the paths of a profile and the ports of its network, as rules of Landlock.
 * Runs in: every worker.     Owns: the marks of the resolver's files.
 * Never: gives a right to execute; needs a newer kernel than it finds (rights that one does not know are left out).
 * Tested in: tests/unit/runtime/test_sandbox.c, tests/scn/s1-walls.test.mjs
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "workers/runtime/sandbox.h"
#include "workers/runtime/sandbox_bits.h"

/* The headers of Debian 12 end at version 2 of the interface; numbers from linux/landlock.h of 6.12. */
enum {
    FS_V1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,    /* version 2 */
    FS_TRUNCATE = 1 << 14, /* 3 */
    FS_IOCTL = 1 << 15,    /* 5: of devices */
    NET_BIND = 1,          /* 4: TCP */
    NET_CONNECT = 2,
    SCOPE_ABSTRACT = 1, /* 6 */
    SCOPE_SIGNAL = 2,
};

struct rules {
    uint64_t fs, net, scoped;
};

enum access_wanted { READ, WRITE, SOCKET };

#define FS_READ ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_OF_FILES                                                                                \
    ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | (uint64_t)FS_TRUNCATE | (uint64_t)FS_IOCTL)

static const uint64_t rights[] = {
    [READ] = FS_READ,
    [WRITE] = FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
              LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | (uint64_t)FS_REFER | (uint64_t)FS_TRUNCATE,
    [SOCKET] = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

enum base { STATE, RUN, ROOT, CONF, ENV };

static const struct {
    unsigned kinds;
    enum base base;
    const char *path;
    enum access_wanted access;
} paths[] = {
#define SANDBOX_PATH(kinds, base, path, access, doc) {kinds, base, path, access},
#include "workers/runtime/sandbox.def"
};

/* ---- files that others replace --------------------------------------------------------------------------- */

/* A rule stands on the file, not on its name. These files are replaced as a whole (a new network); a folder just for
 * them gets the rule instead, but in /etc itself they have none. */
static struct {
    const char *path;
    dev_t dev;
    ino_t ino;
} watched[] = {{"/etc/resolv.conf", 0, 0}, {"/etc/hosts", 0, 0}, {"/etc/nsswitch.conf", 0, 0}};

static bool resolver_in_use;

static void note_resolver(void)
{
    struct stat st;

    resolver_in_use = true;
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        bool there = stat(watched[i].path, &st) == 0;
        watched[i].dev = there ? st.st_dev : 0;
        watched[i].ino = there ? st.st_ino : 0;
    }
}

bool sandbox_is_stale(void)
{
    struct stat st;

    for (size_t i = 0; resolver_in_use && i < ARRAY_LEN(watched); i++) {
        /* Missing for a moment is no news. */
        if (stat(watched[i].path, &st) == 0 && (st.st_dev != watched[i].dev || st.st_ino != watched[i].ino)) {
            return true;
        }
    }
    return false;
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

static int add_rule(int ruleset, const struct rules *r, const char *path, enum access_wanted access)
{
    uint64_t allowed = rights[access] & r->fs;
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
    }
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        allowed &= FS_OF_FILES;
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = allowed, .parent_fd = fd};
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int error = rc == 0 ? 0 : -errno;
    fd_close(&fd);
    return error;
}

/* A link such as /etc/resolv.conf -> /run/systemd/resolve/stub-resolv.conf: the folder of what it names, unless that
 * is /etc itself. Files there are replaced too. */
static int add_root(int ruleset, const struct rules *r, const char *path, enum access_wanted access)
{
    char real[PATH_MAX];
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, real) != NULL &&
        strncmp(real, "/run/", 5) == 0) {
        char *slash = strrchr(real, '/');
        if (slash - real > 4) { /* not /run itself */
            *slash = '\0';
        }
        return add_rule(ruleset, r, real, access);
    }
    return add_rule(ruleset, r, path, access);
}

/* Every value of a setting; one `*` stands for each id. */
static int add_setting(int ruleset, const struct rules *r, const struct conf *conf, size_t row)
{
    const char *path = paths[row].path;
    const char *star = strstr(path, ".*.");
    int rc = 0;

    if (star == NULL) {
        const char *value = conf_str(conf, path, "");
        return value[0] == '/' ? add_rule(ruleset, r, value, paths[row].access) : 0;
    }
    char *above = xstrndup(path, (size_t)(star - path));
    char id[128];
    for (size_t i = 0; rc == 0 && conf_child(conf, above, i, id, sizeof id); i++) {
        char *key = xasprintf("%s.%s.%s", above, id, star + 3);
        const char *value = conf_str(conf, key, "");
        rc = value[0] == '/' ? add_rule(ruleset, r, value, paths[row].access) : 0;
        xfree(key);
    }
    xfree(above);
    return rc;
}

static int add_below(int ruleset, const struct rules *r, const char *dir, size_t row)
{
    char *path = xasprintf("%s/%s", dir, paths[row].path);
    int rc = add_rule(ruleset, r, path, paths[row].access);

    xfree(path);
    return rc;
}

static int add_row(int ruleset, const struct rules *r, const struct conf *conf, size_t row)
{
    const char *value;

    switch (paths[row].base) {
    case STATE:
        return add_below(ruleset, r, conf_str(conf, "state.dir", ""), row);
    case RUN:
        return add_below(ruleset, r, conf_str(conf, "run.dir", ""), row);
    case CONF:
        return add_setting(ruleset, r, conf, row);
    case ENV:
        value = getenv(paths[row].path);
        return value != NULL && value[0] == '/' ? add_rule(ruleset, r, value, paths[row].access) : 0;
    case ROOT:
    default:
        return add_root(ruleset, r, paths[row].path, paths[row].access);
    }
}

/* Names of source lines in a sanitizer's report come out of the program itself. */
static int add_own_program(int ruleset, const struct rules *r)
{
    char path[PATH_MAX];
    ssize_t n = sandbox_is_test_build() ? readlink("/proc/self/exe", path, sizeof path - 1) : 0;

    if (n <= 0) {
        return 0;
    }
    path[n] = '\0';
    return add_rule(ruleset, r, path, READ);
}

static struct rules rules_for(const struct sandbox *b)
{
    struct rules r = {.fs = FS_V1};

    r.fs |= b->landlock >= 2 ? FS_REFER : 0;
    r.fs |= b->landlock >= 3 ? FS_TRUNCATE : 0;
    r.fs |= b->landlock >= 5 ? FS_IOCTL : 0;
    if (b->landlock >= 4) {
        r.net = b->profile->net == SANDBOX_OUT ? NET_BIND : NET_BIND | NET_CONNECT;
    }
    if (b->landlock >= 6) {
        r.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    }
    return r;
}

static int restrict_self(int ruleset, const struct sandbox *b, const struct rules *r, const struct conf *conf)
{
    int rc = add_own_program(ruleset, r);

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(paths); i++) {
        if (paths[i].kinds & b->profile->bit) {
            rc = add_row(ruleset, r, conf, i);
        }
    }
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        rc = -errno;
    }
    return rc;
}

void sandbox_landlock(struct sandbox *b, const struct conf *conf)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    b->landlock = abi > 0 ? (int)abi : 0;
    if (abi <= 0) {
        sandbox_lost(b, "this kernel has no Landlock (%s)", strerror(errno));
        return;
    }
    struct rules r = rules_for(b);
    /* An older kernel takes the longer struct as long as what it does not know is zero. */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
    int rc = ruleset < 0 ? -errno : restrict_self(ruleset, b, &r, conf);
    fd_close(&ruleset);
    if (rc != 0) {
        sandbox_lost(b, "Landlock: %s", strerror(-rc));
        log_warn("files are not confined: Landlock: %s", strerror(-rc));
        return;
    }
    b->held |= WALL_BIT(FILES) | (b->landlock >= 4 ? WALL_BIT(CONNECT) & b->wanted : 0);
    if (b->landlock < 4 && (b->wanted & WALL_BIT(CONNECT))) {
        sandbox_lost(b, "Landlock %d of this kernel knows no TCP (Linux 6.7 does)", b->landlock);
    }
    if (b->profile->net == SANDBOX_OUT) {
        note_resolver();
    }
}
