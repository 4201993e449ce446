/*
 * backoff.h: when a dead worker may be started again, and when it has died too often.
 * Runs in: supervisor.     Owns: nothing.
 * Never: reads a clock or a random source; both come in as arguments.
 * Tested in: tests/unit/supervisor/test_backoff.c
 */
#ifndef TENAZA_SUPERVISOR_BACKOFF_H
#define TENAZA_SUPERVISOR_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MAX_FAILURES 16

/* Numbers of architecture.md 8.3; changeable with supervisor.restart.*. All in ms. */
struct backoff_rules {
    int64_t first;       /* 250 */
    int64_t max;         /* 60,000 */
    int64_t reset_after; /* 60,000 of work in one go */
    int64_t within;      /* 60,000 */
    unsigned failures;   /* 5, at most BACKOFF_MAX_FAILURES */
};

struct backoff {
    unsigned in_a_row;                   /* deaths since the worker last was healthy */
    int64_t crashes[BACKOFF_MAX_FAILURES]; /* times of the last ones, a ring */
    unsigned next;
    bool exhausted; /* until it has been healthy again or is forgotten: each crash is one too many */
};

/* Least distance between two starts from the second death on, in ms. */
#define BACKOFF_MIN_DISTANCE 1000

struct backoff_death {
    int64_t now_ms;      /* monotonic */
    int64_t started_ms;  /* when the dead process was started */
    int64_t ready_ms;    /* when it became ready, 0: never */
    bool counts;         /* a crash; false: it said that something is missing for the moment (69, 75) */
    int jitter_permille; /* -200 .. 200, from the random source */
};

/* Notes a death. Returns the wait before the next start in ms, or -1: died too often. */
int64_t backoff_death(struct backoff *b, const struct backoff_rules *r, const struct backoff_death *d);
/* Forgets everything: the operator wants a fresh try. */
void backoff_forget(struct backoff *b);

#endif
