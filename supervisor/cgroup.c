/*
 * cgroup.c: control groups (v2) of the workers.
 * Runs in: supervisor.     Owns: the groups it made below its own delegated one.
 * Never: touches a group that was not handed to us; waits.
 * Tested in: tests/unit/supervisor/test_cgroup.c
 */
#include "supervisor/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "common/sv.h"

/* Our own processes, so that the delegated group itself holds none. */
#define LEAF "supervisor"
#define WORKER_PREFIX "worker-"
#define SMALL_FILE ((size_t)65536)

static const struct {
    unsigned bit;
    const char *name;
} controllers[] = {{CG_MEMORY, "memory"}, {CG_PIDS, "pids"}, {CG_CPU, "cpu"}};

/* ---- small files --------------------------------------------------------------------------------------- */

static bool put_at(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    fd_close(&fd);
    return ok;
}

/* Content of a small file, NUL-terminated; false: it cannot be read. */
static bool get_at(int dir, const char *name, struct buf *out)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fd_read_all(fd, out) == 0;

    fd_close(&fd);
    return ok;
}

/* The number behind "key " at the beginning of a line. */
static uint64_t value_at(int dir, const char *name, const char *key)
{
    struct buf text = BUF_INIT(SMALL_FILE);
    uint64_t v = 0;

    (void)get_at(dir, name, &text);
    for (sv rest = buf_view(&text); !sv_empty(rest);) {
        sv line = sv_cut(&rest, '\n');
        if (sv_eqc(sv_cut(&line, ' '), key)) {
            (void)sv_u64(sv_trim(line), &v);
        }
    }
    buf_free(&text);
    return v;
}

static int open_dir(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- finding our own group ----------------------------------------------------------------------------- */

/* Where cgroup2 is mounted: 5th field of the line whose file system type, behind " - ", is cgroup2. */
static bool find_mount(char dst[PATH_MAX])
{
    struct buf text = BUF_INIT((size_t)1024 * 1024);
    bool found = false;

    if (file_read("/proc/self/mountinfo", &text) == 0) {
        for (sv rest = buf_view(&text); !sv_empty(rest) && !found;) {
            sv line = sv_cut(&rest, '\n');
            ptrdiff_t dash = sv_find(line, SV(" - cgroup2 "));
            for (int i = 0; dash >= 0 && i < 4; i++) {
                (void)sv_cut(&line, ' ');
            }
            found = dash >= 0 && sv_copy(dst, PATH_MAX, sv_cut(&line, ' '));
        }
    }
    buf_free(&text);
    return found;
}

/* "0::/a/b" of /proc/self/cgroup, without a final slash ("" for the root). */
static bool find_own(char dst[PATH_MAX])
{
    struct buf text = BUF_INIT(SMALL_FILE);
    bool found = false;

    if (file_read("/proc/self/cgroup", &text) == 0) {
        for (sv rest = buf_view(&text); !sv_empty(rest) && !found;) {
            sv line = sv_cut(&rest, '\n');
            if (sv_starts(line, SV("0::/"))) {
                sv path = sv_sub(line, 3, line.n);
                path.n -= path.n == 1 ? 1 : 0;
                found = sv_copy(dst, PATH_MAX, path);
            }
        }
    }
    buf_free(&text);
    return found;
}

static bool is_marked(const char *path)
{
    char value[8];

    return (getxattr(path, "trusted.delegate", value, sizeof value) == 1 && value[0] == '1') ||
           (getxattr(path, "user.delegate", value, sizeof value) == 1 && value[0] == '1');
}

/* See cgroup_begin: marked by systemd, ours without being root, or the root of a cgroup namespace. */
static bool is_delegated(const char *path, const char *own)
{
    struct stat st;
    char file[PATH_MAX + 16];

    if (stat(path, &st) != 0 || access(path, W_OK) != 0) {
        return false;
    }
    snprintf(file, sizeof file, "%s/cgroup.type", path);
    bool real_root = access(file, F_OK) != 0; /* only the root of the whole hierarchy has no type */
    return !real_root && (is_marked(path) || (geteuid() != 0 && st.st_uid == geteuid()) || own[0] == '\0');
}

/* ---- the tree ------------------------------------------------------------------------------------------ */

static void say_lost(struct cgroup_tree *t, const char *text)
{
    sv_copy(t->why, sizeof t->why, sv_of(text));
}

/* What a supervisor that died left behind. */
static void remove_leftovers(int dir)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;

    if (d == NULL) {
        fd_close(&copy);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, WORKER_PREFIX, strlen(WORKER_PREFIX)) == 0) {
            int fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            cgroup_kill(fd);
            fd_close(&fd);
            (void)unlinkat(dir, e->d_name, AT_REMOVEDIR); /* a dying process keeps it: the next start tries again */
        }
    }
    closedir(d);
}

static unsigned enable_controllers(int dir)
{
    struct buf have = BUF_INIT(SMALL_FILE);
    unsigned bits = 0;
    char text[32];

    (void)get_at(dir, "cgroup.controllers", &have);
    for (sv rest = sv_trim(buf_view(&have)); !sv_empty(rest);) {
        sv name = sv_cut(&rest, ' ');
        for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
            snprintf(text, sizeof text, "+%s", controllers[i].name);
            if (sv_eqc(name, controllers[i].name) && put_at(dir, "cgroup.subtree_control", text)) {
                bits |= controllers[i].bit;
            }
        }
    }
    buf_free(&have);
    return bits;
}

static void say_controllers_lost(struct cgroup_tree *t)
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
        if (!(t->controllers & controllers[i].bit)) {
            n += (size_t)snprintf(t->why + n, sizeof t->why - n, "%s%s", n ? ", " : "not delegated: ",
                                  controllers[i].name);
        }
    }
}

static bool join(int dir)
{
    return (mkdirat(dir, LEAF, 0755) == 0 || errno == EEXIST) && put_at(dir, LEAF "/cgroup.procs", "0");
}

void cgroup_begin(struct cgroup_tree *t)
{
    char own[PATH_MAX];
    char mount[PATH_MAX];

    *t = (struct cgroup_tree){0};
    if (!find_own(own) || !find_mount(mount)) {
        say_lost(t, "no cgroup v2 on this machine");
        return;
    }
    int n = snprintf(t->path, sizeof t->path, "%s%s", mount, own);
    if (n < 0 || (size_t)n >= sizeof t->path || !is_delegated(t->path, own)) {
        say_lost(t, "our control group is not delegated to us (systemd: Delegate=yes)");
        return;
    }
    int dir = open_dir(t->path);
    remove_leftovers(dir);
    if (dir < 0 || !join(dir)) {
        snprintf(t->why, sizeof t->why, "no group can be made below our own: %s", strerror(errno));
        fd_close(&dir);
        return;
    }
    t->usable = true;
    t->controllers = enable_controllers(dir);
    say_controllers_lost(t);
    fd_close(&dir);
}

void cgroup_end(struct cgroup_tree *t)
{
    int dir = t->usable ? open_dir(t->path) : -1;

    if (dir < 0) {
        return;
    }
    remove_leftovers(dir);
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
        char text[32];
        snprintf(text, sizeof text, "-%s", controllers[i].name);
        (void)put_at(dir, "cgroup.subtree_control", text);
    }
    (void)put_at(dir, "cgroup.procs", "0");
    (void)unlinkat(dir, LEAF, AT_REMOVEDIR);
    fd_close(&dir);
    t->usable = false;
}

/* ---- the group of one incarnation ---------------------------------------------------------------------- */

static void group_path(const struct cgroup_tree *t, const char *worker, uint64_t inc, char dst[PATH_MAX + 192])
{
    snprintf(dst, PATH_MAX + 192, "%s/" WORKER_PREFIX "%s-%" PRIu64, t->path, worker, inc);
    /* A worker's name may have one slash, "irc/default". */
    for (char *p = dst + strlen(t->path) + 1; *p != '\0'; p++) {
        *p = *p == '/' ? ':' : *p;
    }
}

static bool limit_memory(int fd, int64_t bytes)
{
    char text[32];

    /* Some room below the end, where the kernel takes back caches and slows it down first. */
    snprintf(text, sizeof text, "%" PRId64, bytes / 8 * 7);
    (void)put_at(fd, "memory.high", text);
    (void)put_at(fd, "memory.oom.group", "1");
    (void)put_at(fd, "memory.swap.max", "0");
    snprintf(text, sizeof text, "%" PRId64, bytes);
    return put_at(fd, "memory.max", text);
}

static bool limit_number(int fd, const char *file, int64_t n)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, n);
    return put_at(fd, file, text);
}

/* "quota period" in microseconds. */
static bool limit_cpu(int fd, int64_t percent)
{
    char text[48];

    snprintf(text, sizeof text, "%" PRId64 " 100000", percent * 1000);
    return put_at(fd, "cpu.max", text);
}

static unsigned apply(const struct cgroup_tree *t, int fd, const struct cgroup_limits *l)
{
    unsigned applied = 0;

    if ((t->controllers & CG_MEMORY) && l->memory > 0 && limit_memory(fd, l->memory)) {
        applied |= CG_MEMORY;
    }
    if ((t->controllers & CG_PIDS) && l->processes > 0 && limit_number(fd, "pids.max", l->processes)) {
        applied |= CG_PIDS;
    }
    if ((t->controllers & CG_CPU) && l->cpu > 0 && limit_cpu(fd, l->cpu)) {
        applied |= CG_CPU;
    }
    return applied;
}

int cgroup_make(const struct cgroup_tree *t, const char *worker, uint64_t inc, const struct cgroup_limits *limits,
                unsigned *applied)
{
    char path[PATH_MAX + 192];

    *applied = 0;
    if (!t->usable) {
        errno = ENOTSUP;
        return -1;
    }
    group_path(t, worker, inc, path);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return -1;
    }
    int fd = open_dir(path);
    if (fd >= 0) {
        *applied = apply(t, fd, limits);
    }
    return fd;
}

/* Kernels before 5.14 have no cgroup.kill: whoever is there now, and the caller asks again. */
static void kill_one_by_one(int fd)
{
    struct buf text = BUF_INIT(SMALL_FILE);

    (void)get_at(fd, "cgroup.procs", &text);
    for (sv rest = buf_view(&text); !sv_empty(rest);) {
        uint64_t pid;
        if (sv_u64(sv_cut(&rest, '\n'), &pid) && pid > 1 && pid <= INT_MAX) {
            (void)kill((pid_t)pid, SIGKILL);
        }
    }
    buf_free(&text);
}

void cgroup_kill(int fd)
{
    if (fd >= 0 && !put_at(fd, "cgroup.kill", "1")) {
        kill_one_by_one(fd);
    }
}

bool cgroup_is_empty(int fd)
{
    return fd < 0 || value_at(fd, "cgroup.events", "populated") == 0;
}

uint64_t cgroup_oom_kills(int fd)
{
    return fd < 0 ? 0 : value_at(fd, "memory.events", "oom_kill");
}

void cgroup_remove(const struct cgroup_tree *t, const char *worker, uint64_t inc)
{
    char path[PATH_MAX + 192];

    if (t->usable) {
        group_path(t, worker, inc, path);
        (void)rmdir(path);
    }
}

bool group_is_empty(int pgid)
{
    return pgid <= 1 || (kill(-pgid, 0) != 0 && errno == ESRCH);
}
