/*
 * confine.c: users, limits and control groups of the workers.
 * Runs in: supervisor; confine_join and confine_enter in the new process.     Owns: nothing.
 * Never: does anything after fork that is not async-signal-safe; keeps root's privileges in a worker.
 * Tested in: tests/unit/supervisor/test_confine.c, tests/scn/s1-walls.test.mjs
 */
#include "supervisor/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/sv.h"
#include "supervisor/confine_dirs.h"

/* ---- settings of a kind ---------------------------------------------------------------------------------- */

static int64_t limit_of(const struct cfg *cfg, enum worker_id kind, const char *what)
{
    char path[96];

    snprintf(path, sizeof path, "supervisor.limits.%s.%s", worker_kinds[kind].name, what);
    return cfg_int(cfg, path);
}

/* A name or a number; false: there is no such user. */
static bool find_user(const char *text, uid_t *uid, gid_t *gid)
{
    uint64_t n;

    if (sv_u64(sv_of(text), &n)) {
        *uid = (uid_t)n;
        *gid = (gid_t)n;
        return n > 0 && n < UINT32_MAX;
    }
    const struct passwd *p = getpwnam(text);
    if (p == NULL || p->pw_uid == 0) {
        return false;
    }
    *uid = p->pw_uid;
    *gid = p->pw_gid;
    return true;
}

static bool find_group(const char *text, gid_t *gid)
{
    uint64_t n;

    if (sv_u64(sv_of(text), &n)) {
        *gid = (gid_t)n;
        return n > 0 && n < UINT32_MAX;
    }
    const struct group *g = getgrnam(text);
    if (g != NULL) {
        *gid = g->gr_gid;
    }
    return g != NULL;
}

/* All of them or none: half a separation is one that nobody can reason about. */
static bool find_users(struct confine *k, const struct cfg *cfg)
{
    const char *group = cfg_str(cfg, "supervisor.planeGroup");

    for (size_t i = 0; i < WK_COUNT; i++) {
        char path[96];
        snprintf(path, sizeof path, "supervisor.users.%s", worker_kinds[i].name);
        const char *user = cfg_str(cfg, path);
        if (!find_user(user, &k->uid[i], &k->gid[i])) {
            snprintf(k->why, sizeof k->why, "there is no user %.64s (%s); the package and systemd-sysusers make them",
                     user, path);
            return false;
        }
    }
    if (!find_group(group, &k->plane)) {
        snprintf(k->why, sizeof k->why, "there is no group %.64s (supervisor.planeGroup); systemd-sysusers makes it", group);
        return false;
    }
    return true;
}

void confine_begin(struct confine *k, const struct cfg *cfg, const struct confine_dirs *dirs)
{
    struct stat st;

    *k = (struct confine){0};
    k->state_owner = stat(dirs->state, &st) == 0 ? st.st_uid : geteuid();
    if (geteuid() != 0) {
        snprintf(k->why, sizeof k->why, "the supervisor was not started as root");
    } else if (strcmp(cfg_str(cfg, "supervisor.sandbox"), "off") == 0) {
        snprintf(k->why, sizeof k->why, "supervisor.sandbox = \"off\"");
    } else {
        k->own_users = find_users(k, cfg) && confine_reachable(dirs, k->why, sizeof k->why);
    }
    confine_make_dirs(k, dirs);
    cgroup_begin(&k->groups);
    if (geteuid() == 0 && !k->own_users) {
        log_info("workers keep the user of the supervisor, without its privileges: %s", k->why);
    }
}

void confine_end(struct confine *k)
{
    cgroup_end(&k->groups);
}

void confine_section(const struct confine *k, const struct cfg *cfg, enum worker_id kind, struct conf *out)
{
    conf_set_int(out, "sandbox.uid", k->own_users ? (int64_t)k->uid[kind] : -1);
    conf_set_int(out, "sandbox.files", limit_of(cfg, kind, "files"));
}

void confine_prepare(const struct confine *k, const struct cfg *cfg, enum worker_id kind, size_t instances,
                     struct confined *d)
{
    *d = (struct confined){.own_user = k->own_users, .group = -1};
    d->uid = k->uid[kind];
    d->gid = k->gid[kind];
    d->plane = k->plane;
    d->hub = worker_kinds[kind].planes == WP_NONE;
    /* Root without the privilege to pass over permissions cannot work in somebody else's state directory. */
    d->keeps_override = kind == WK_store && k->state_owner != 0;
    d->files = (rlim_t)limit_of(cfg, kind, "files");
    /* The kernel counts by user, so this says something only where the user is the kind's own. */
    d->processes = k->own_users ? (rlim_t)limit_of(cfg, kind, "processes") * (instances > 0 ? instances : 1) : 0;
}

void confine_group(const struct confine *k, const struct cfg *cfg, enum worker_id kind, const char *name, uint64_t inc,
                   struct confined *d)
{
    const struct cgroup_limits l = {.memory = limit_of(cfg, kind, "memory"),
                                    .processes = limit_of(cfg, kind, "processes"),
                                    .cpu = limit_of(cfg, kind, "cpu")};

    d->group = cgroup_make(&k->groups, name, inc, &l, &d->limits);
    if (d->group < 0 && k->groups.usable) {
        log_warn("%s: no control group: %s", name, strerror(errno));
    }
}

/* ---- in the new process ---------------------------------------------------------------------------------- */

bool confine_join(const struct confined *d)
{
    if (d->group < 0) {
        return true;
    }
    int fd = openat(d->group, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "0", 1) == 1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static void set_limit(int which, rlim_t wanted)
{
    struct rlimit r;

    if (wanted > 0 && getrlimit((__rlimit_resource_t)which, &r) == 0) {
        r.rlim_cur = r.rlim_max < wanted && geteuid() != 0 ? r.rlim_max : wanted;
        r.rlim_max = r.rlim_cur;
        (void)setrlimit((__rlimit_resource_t)which, &r);
    }
}

/* What is not in this set cannot come back through execve, not even for user 0. */
static void drop_privileges(bool keeps_override)
{
    for (unsigned long cap = 0; cap <= 63; cap++) {
        if (!(keeps_override && cap == CAP_DAC_OVERRIDE)) {
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        }
    }
}

bool confine_enter(const struct confined *d)
{
    const struct rlimit none = {0, 0};
    bool root = geteuid() == 0;

    set_limit(RLIMIT_NOFILE, d->files);
    set_limit(RLIMIT_NPROC, d->processes);
    (void)setrlimit(RLIMIT_CORE, &none); /* the flight recorder tells more, and holds no keys */
    if (root) {
        drop_privileges(d->keeps_override);
    }
    if (!d->own_user) {
        return true;
    }
    if (d->hub) {
        (void)umask(0007); /* its socket is for the group of its directory */
    }
    return setgroups(1, &d->plane) == 0 && setresgid(d->gid, d->gid, d->gid) == 0 &&
           setresuid(d->uid, d->uid, d->uid) == 0;
}
