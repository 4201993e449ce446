/*
 * lifecycle.h: the life of one worker as a table of states and events.
 * Runs in: supervisor.     Owns: nothing; the machine lives inside struct child.
 * Never: system calls; what a cell does to the world goes through struct life_effects.
 * Tested in: tests/unit/supervisor/test_lifecycle.c (every cell)
 */
#ifndef TENAZA_SUPERVISOR_LIFECYCLE_H
#define TENAZA_SUPERVISOR_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

/* LIFE_STATE(NAME, text, doc) */
#define LIFE_STATES(X)                                                                             \
    X(IDLE, "stopped", "no process, none wanted")                                                  \
    X(STARTING, "starting", "a process that has not said READY")                                   \
    X(READY, "ready", "it works and beats")                                                        \
    X(DRAINING, "draining", "told to finish; deadline: SIGTERM")                                   \
    X(STOPPING, "stopping", "SIGTERM sent; deadline: SIGKILL")                                     \
    X(KILLING, "killing", "SIGABRT or SIGKILL sent; deadline: SIGKILL to its group again")         \
    X(CLEARING, "clearing", "it ended; what it started is being killed; deadline: again")          \
    X(BACKOFF, "restarting", "no process; deadline: next start")                                   \
    X(PARKED, "parked", "died too often; deadline: one more try")                                  \
    X(NEEDS_OPERATOR, "needs-operator", "its configuration is wrong; no try until told")

#define LIFE_EVENTS(X)                                                                             \
    X(START, "it is wanted")                                                                       \
    X(SPAWN_FAILED, "the system could not start a process")                                        \
    X(NO_PROGRAM, "its program is missing or cannot be executed")                                  \
    X(REFUSED, "its program is of another build")                                                  \
    X(READY, "the worker said READY")                                                              \
    X(DEADLINE, "the timer of the state ran out")                                                  \
    X(BEAT_LATE, "no beat for too long")                                                           \
    X(EXIT_OK, "exit 0")                                                                           \
    X(EXIT_TEMP, "exit 69 or 75: something is missing for the moment")                             \
    X(EXIT_CFG, "exit 64 or 78: usage or configuration")                                           \
    X(EXIT_EXEC, "exit 127 before a word: the program could not be executed")                      \
    X(EXIT_CRASH, "any other end")                                                                 \
    X(CLEARED, "nothing that it started lives any more")                                           \
    X(STOP, "it is not wanted any more")                                                           \
    X(RESTART, "the operator wants it fresh")                                                      \
    X(KILL, "no patience: end it now")

enum life_state {
#define X(name, text, doc) LS_##name,
    LIFE_STATES(X)
#undef X
    LS_COUNT,
};

enum life_event {
#define X(name, doc) LE_##name,
    LIFE_EVENTS(X)
#undef X
    LE_COUNT,
};

/* After the process has ended: */
enum life_goal {
    GOAL_UP,    /* start again by the rules of backoff */
    GOAL_FRESH, /* start again at once */
    GOAL_DOWN,  /* leave it */
    GOAL_HELD,  /* leave it until the operator has put something right */
};

enum life_signal { LSIG_TERM, LSIG_ABRT, LSIG_KILL };

struct life;

/* What the machine may do; all of it returns at once. */
struct life_effects {
    void (*spawn)(struct life *l);                       /* raises SPAWN_FAILED later when it fails */
    void (*drain)(struct life *l);                       /* DRAIN over the control channel */
    void (*signal)(struct life *l, enum life_signal s);  /* KILL goes to the whole group */
    void (*clear)(struct life *l);                       /* kills its descendants; CLEARED at once or later */
    void (*arm)(struct life *l, int64_t after_ms);       /* raises DEADLINE once; replaces an earlier one */
    void (*disarm)(struct life *l);
    int64_t (*death)(struct life *l, bool counts);       /* backoff: wait in ms, -1: exhausted */
    void (*forget)(struct life *l);                      /* backoff: clean slate */
    void (*exhausted)(struct life *l);                   /* log, alarm, escalate when the kind says so */
    void (*changed)(struct life *l, enum life_state from);
};

struct life {
    enum life_state state;
    enum life_goal goal;
    bool overdue; /* KILLING because it did not start or beat in time: counts as a crash */
    enum life_event event; /* being handled */
    enum life_event end;   /* CLEARING: how the process ended */
    int64_t start_ms; /* until READY */
    int64_t stop_ms;  /* drain time, from workers.def */
    const struct life_effects *fx;
};

/* Numbers of architecture.md 8.3, in ms. */
#define LIFE_ABORT_MS 3000
#define LIFE_RETRY_PARKED_MS 300000
/* SIGTERM gets a quarter of the drain time, at least this. */
#define LIFE_TERM_MIN_MS 500

void life_event(struct life *l, enum life_event e);
bool life_has_process(const struct life *l);
const char *life_state_text(enum life_state s); /* for people */
const char *life_state_name(enum life_state s); /* "NEEDS_OPERATOR" */
const char *life_event_name(enum life_event e);
/* The name of the function in a cell, for the exhaustive test. */
const char *life_cell_name(enum life_state s, enum life_event e);

#endif
