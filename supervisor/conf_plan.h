/*
 * conf_plan.h: what a reload has to do: two configurations in, a list of steps out.
 * Runs in: supervisor.     Owns: the lists it makes.
 * Never: does a step, looks at what runs.
 * Tested in: tests/unit/supervisor/test_conf_plan.c
 */
#ifndef TENAZA_SUPERVISOR_CONF_PLAN_H
#define TENAZA_SUPERVISOR_CONF_PLAN_H

#include "supervisor/conf_tree.h"

/* The workers of one configuration with their sections. */
struct plan_side {
    struct plan_worker {
        struct cfg_worker id;
        struct conf section;
    } *w;
    size_t n;
};

enum plan_action {
    PLAN_START,   /* it is new */
    PLAN_STOP,    /* it is not wanted any more */
    PLAN_RESTART, /* its section changed */
    PLAN_PUSH,    /* its section changed only in keys that a running worker takes */
};

struct plan_step {
    enum plan_action action;
    struct cfg_worker worker;
    char why[256]; /* names of what changed, never values; cut with "..." */
};

struct plan {
    struct plan_step *steps; /* stops first, then in the order of starting */
    size_t n;
    struct buf later; /* settings of the supervisor itself that only a start takes up, one a line */
};

void plan_side_make(struct plan_side *s, const struct cfg *c, const struct cfg_place *place);
void plan_side_free(struct plan_side *s);
/* Compares sections as bytes; only where they differ it looks at what. */
void plan_make(const struct plan_side *was, const struct plan_side *wanted, struct plan *out);
/* Adds to out->later. */
void plan_note_later(const struct cfg *was, const struct cfg *wanted, struct plan *out);
void plan_free(struct plan *p);
const char *plan_action_name(enum plan_action a); /* "start" */

#endif
