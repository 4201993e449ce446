/*
 * cgroup.h: one control group per incarnation of a worker: limits, certain death, and the question whether it is empty.
 * Runs in: supervisor.     Owns: the groups it made below its own delegated one.
 * Never: touches a group that was not handed to us; is needed: without it the process group does what it can.
 * Tested in: tests/unit/supervisor/test_cgroup.c
 */
#ifndef TENAZA_SUPERVISOR_CGROUP_H
#define TENAZA_SUPERVISOR_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attrs.h"

enum {
    CG_MEMORY = 1,
    CG_PIDS = 2,
    CG_CPU = 4,
};

/* The supervisor's own group, when it may make groups below it. */
struct cgroup_tree {
    char path[PATH_MAX]; /* below the cgroup2 mount, "" without */
    bool usable;         /* groups can be made: kill and is-empty work */
    unsigned controllers; /* CG_*: which limits work */
    char why[160];       /* what is lost and why, "" when nothing is */
};

/* 0: no limit. memory in bytes, cpu in percent of one processor. */
struct cgroup_limits {
    int64_t memory, processes, cpu;
};

/*
 * Finds our own group (cgroup v2) and prepares it: leftovers of an earlier supervisor are killed and removed, we move
 * into a leaf of our own (a group with controllers for its children may hold no process itself), and what controllers
 * there are go to the children. Ours are only groups that somebody delegated: systemd's mark (Delegate=yes), a group
 * that belongs to us without being root, or the root of a cgroup namespace. Never fails; says in `why` what is lost.
 */
void cgroup_begin(struct cgroup_tree *t);
/* Moves us back and removes what is empty. For an orderly end. */
void cgroup_end(struct cgroup_tree *t);

/*
 * The group of one incarnation; a descriptor for clone3(CLONE_INTO_CGROUP) and the calls below, or -1 (no tree, or it
 * could not be made: errno). *applied: the CG_* whose limit is in force.
 */
int cgroup_make(const struct cgroup_tree *t, const char *worker, uint64_t inc, const struct cgroup_limits *limits,
                unsigned *applied) ATTR_NODISCARD;
/* All of these take -1 and then do nothing; is_empty says true. */
void cgroup_kill(int fd);         /* everybody in it, at once (cgroup.kill, else one by one) */
bool cgroup_is_empty(int fd);     /* no process, not even a dying one */
uint64_t cgroup_oom_kills(int fd); /* how often the kernel killed in it for memory */
void cgroup_remove(const struct cgroup_tree *t, const char *worker, uint64_t inc); /* when empty; else nothing */

/* Whether any process of this process group is left: the question when there is no control group. A worker leads its
 * own group (setsid); what left that group by a setsid of its own is not seen. */
bool group_is_empty(int pgid);

#endif
