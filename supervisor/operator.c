/*
 * operator.c: what a person may do to one worker: restart, stop, start, reset.
 * Runs in: supervisor.     Owns: nothing.
 * Never: does anything to a worker but raise events of its life cycle.
 * Tested in: tests/unit/supervisor/test_supervise.c, tests/scn/h1-bad-workers.test.mjs
 */
#include "supervisor/sup.h"

#include "common/log.h"

static const char *op_restart(struct child *c)
{
    c->held = false;
    child_renew(c);
    return NULL;
}

static const char *op_stop(struct child *c)
{
    if (c->kind->on_exhausted == WX_ESCALATE) {
        return "nothing works without it; tenaza stop ends the whole gateway";
    }
    c->held = true;
    life_event(&c->life, LE_STOP);
    return NULL;
}

/* A worker that waits (for its backoff, parked, for the operator) is what this is for, too. */
static const char *op_start(struct child *c)
{
    bool runs = c->life.state == LS_STARTING || c->life.state == LS_READY;

    c->held = false;
    if (!runs) {
        life_event(&c->life, LE_RESTART);
    }
    return NULL;
}

/* Its past is forgotten: a clean slate, and a try at once if it waits for one. */
static const char *op_reset(struct child *c)
{
    backoff_forget(&c->backoff);
    c->alarm[0] = '\0';
    c->spawns = c->pid != 0 ? 1 : 0;
    c->restarts = 0;
    c->sup->changed = true;
    if (c->life.state == LS_BACKOFF || c->life.state == LS_PARKED || c->life.state == LS_NEEDS_OPERATOR) {
        life_event(&c->life, LE_RESTART);
    }
    return NULL;
}

const char *operator_do(struct child *c, sv verb)
{
    static const struct {
        const char *verb;
        const char *(*fn)(struct child *c);
    } verbs[] = {{"restart", op_restart}, {"stop", op_stop}, {"start", op_start}, {"reset", op_reset}};

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (sv_eqc(verb, verbs[i].verb)) {
            return verbs[i].fn(c);
        }
    }
    return "possible: restart, stop, start, reset";
}
