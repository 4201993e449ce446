/*
 * confine.h: what the supervisor does to separate the workers from each other before their programs begin: users,
 * directories, limits, control groups. The rest (Landlock, seccomp) the worker does itself (workers/runtime/sandbox.h).
 * Runs in: supervisor; confine_join and confine_enter in the new process.     Owns: the users, the tree of groups.
 * Never: refuses to start because something is not there: it says what is lost.
 * Tested in: tests/unit/supervisor/test_confine.c, tests/scn/s1-walls.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CONFINE_H
#define TENAZA_SUPERVISOR_CONFINE_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/attrs.h"
#include "common/conf.h"
#include "supervisor/cgroup.h"
#include "supervisor/conf_tree.h"

/* Once for all workers. */
struct confine {
    bool own_users; /* each kind runs as uid[kind] */
    uid_t uid[WK_COUNT];
    gid_t gid[WK_COUNT];
    gid_t plane; /* may connect to the sockets of store and bus */
    uid_t state_owner;
    char why[256]; /* why there are no own users; "" */
    struct cgroup_tree groups;
};

/* One start of one worker: plain values, because they are read after fork. */
struct confined {
    bool own_user, hub, keeps_override;
    uid_t uid;
    gid_t gid, plane;
    rlim_t files, processes; /* 0: as it is */
    int group; /* descriptor of its control group, -1 */
    unsigned limits; /* CG_* in force */
};

struct confine_dirs {
    const char *run, *state, *programs;
};

/* Finds the users, gives the directories of sandbox.def to them, opens the control groups. */
void confine_begin(struct confine *k, const struct cfg *cfg, const struct confine_dirs *dirs);
void confine_end(struct confine *k);

/* What goes into a worker's section, so that it can tell what really holds. */
void confine_section(const struct confine *k, const struct cfg *cfg, enum worker_id kind, struct conf *out);
/* instances: workers of this kind. The caller closes d->group. */
void confine_prepare(const struct confine *k, const struct cfg *cfg, enum worker_id kind, size_t instances,
                     struct confined *d);
/* The group of incarnation `inc`: d->group, d->limits. */
void confine_group(const struct confine *k, const struct cfg *cfg, enum worker_id kind, const char *name, uint64_t inc,
                   struct confined *d);

/* In the new process, async-signal-safe. join: before descriptors are closed. false: do not go on. */
bool confine_join(const struct confined *d) ATTR_NODISCARD;
bool confine_enter(const struct confined *d) ATTR_NODISCARD;

#endif
