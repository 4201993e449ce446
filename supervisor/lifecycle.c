/*
 * lifecycle.c: the state x event matrix of a worker, and the functions in its cells.
 * Runs in: supervisor.     Owns: nothing.
 * Never: system calls; an `if` about the state outside the table.
 * Tested in: tests/unit/supervisor/test_lifecycle.c (every cell)
 */
#include "supervisor/lifecycle.h"

#include <stddef.h>

#include "common/err.h"

static void enter(struct life *l, enum life_state to)
{
    enum life_state from = l->state;

    l->state = to;
    l->fx->changed(l, from);
}

/* ---- cells ----------------------------------------------------------------------------------------- */

/* Nothing to do: the event is late, repeated, or has no meaning here. */
static void nop(struct life *l)
{
    (void)l;
}

/* An end of a process that does not exist: only our own mistake can raise it. */
static void bug(struct life *l)
{
    panic("life cycle: an exit in state %s", life_state_name(l->state));
}

static void start(struct life *l)
{
    l->goal = GOAL_UP;
    l->overdue = false;
    enter(l, LS_STARTING);
    l->fx->arm(l, l->start_ms);
    l->fx->spawn(l);
}

static void start_fresh(struct life *l)
{
    l->fx->forget(l);
    start(l);
}

static void is_ready(struct life *l)
{
    l->fx->disarm(l);
    enter(l, LS_READY);
}

/* It does not start or beat in time: let it write its last words, then kill it. */
static void abort_it(struct life *l)
{
    l->overdue = true;
    enter(l, LS_KILLING);
    l->fx->signal(l, LSIG_ABRT);
    l->fx->arm(l, LIFE_ABORT_MS);
}

static void drain(struct life *l)
{
    enter(l, LS_DRAINING);
    l->fx->arm(l, l->stop_ms);
    l->fx->drain(l);
}

static void stop(struct life *l)
{
    l->goal = GOAL_DOWN;
    drain(l);
}

static void renew(struct life *l)
{
    l->goal = GOAL_FRESH;
    drain(l);
}

/* Already on its way out: only what comes after changes. */
static void stay_down(struct life *l)
{
    l->goal = GOAL_DOWN;
}

static void come_back(struct life *l)
{
    l->goal = GOAL_FRESH;
}

static void terminate(struct life *l)
{
    int64_t patience = l->stop_ms / 4;

    enter(l, LS_STOPPING);
    l->fx->signal(l, LSIG_TERM);
    l->fx->arm(l, patience > LIFE_TERM_MIN_MS ? patience : LIFE_TERM_MIN_MS);
}

static void kill_it(struct life *l)
{
    enter(l, LS_KILLING);
    l->fx->signal(l, LSIG_KILL);
    l->fx->arm(l, LIFE_ABORT_MS);
}

static void kill_for_good(struct life *l)
{
    l->goal = GOAL_DOWN;
    kill_it(l);
}

static void kill_again(struct life *l)
{
    l->fx->signal(l, LSIG_KILL);
    l->fx->arm(l, LIFE_ABORT_MS);
}

static void park(struct life *l)
{
    enter(l, LS_PARKED);
    l->fx->arm(l, LIFE_RETRY_PARKED_MS);
    l->fx->exhausted(l);
}

static void wait_or_park(struct life *l, bool counts)
{
    int64_t wait = l->fx->death(l, counts);

    if (wait < 0) {
        park(l);
        return;
    }
    enter(l, LS_BACKOFF);
    l->fx->arm(l, wait);
}

static void no_process(struct life *l)
{
    wait_or_park(l, false);
}

/* A program of another build may mean something else with the same numbers: not a word is taken from it. */
static void refuse(struct life *l)
{
    l->goal = GOAL_HELD;
    kill_it(l);
}

static void go_idle(struct life *l)
{
    l->goal = GOAL_DOWN;
    l->fx->disarm(l);
    enter(l, LS_IDLE);
}

/* No try until the operator changed something. */
static void hold(struct life *l)
{
    l->fx->disarm(l);
    enter(l, LS_NEEDS_OPERATOR);
}

static void clear(struct life *l)
{
    l->fx->arm(l, LIFE_ABORT_MS);
    l->fx->clear(l);
}

/* The process is reaped. Nobody follows it before its descendants are gone too: one credential, one process. */
static void ended(struct life *l)
{
    l->end = l->event;
    enter(l, LS_CLEARING);
    clear(l);
}

/* What follows an end that nobody asked for: the exit code tells whether a restart helps. */
static void after_end(struct life *l)
{
    if (l->overdue) {
        wait_or_park(l, true);
    } else if (l->end == LE_EXIT_EXEC) {
        park(l);
    } else if (l->end == LE_EXIT_CFG) {
        hold(l);
    } else {
        wait_or_park(l, l->end != LE_EXIT_TEMP);
    }
}

static void cleared(struct life *l)
{
    switch (l->goal) {
    case GOAL_DOWN:
        go_idle(l);
        break;
    case GOAL_FRESH:
        start_fresh(l);
        break;
    case GOAL_HELD:
        hold(l);
        break;
    case GOAL_UP:
        after_end(l);
        break;
    }
}

/* ---- the table ------------------------------------------------------------------------------------- */

typedef void life_fn(struct life *l);
struct cell {
    life_fn *fn;
    const char *name;
};
#define C(fn)                                                                                      \
    {                                                                                              \
        fn, #fn                                                                                    \
    }

/* clang-format off */
static const struct cell matrix[LS_COUNT][LE_COUNT] = {
/*                      START         SPAWN_FAILED   NO_PROGRAM  REFUSED    READY        DEADLINE        BEAT_LATE    EXIT_OK   EXIT_TEMP  EXIT_CFG  EXIT_EXEC  EXIT_CRASH  CLEARED     STOP          RESTART         KILL */
[LS_IDLE]           = { C(start),     C(nop),        C(nop),     C(nop),    C(nop),      C(nop),         C(nop),      C(bug),   C(bug),    C(bug),   C(bug),    C(bug),     C(nop),     C(nop),       C(start_fresh), C(nop) },
[LS_STARTING]       = { C(nop),       C(no_process), C(park),    C(refuse), C(is_ready), C(abort_it),    C(nop),      C(ended), C(ended),  C(ended), C(ended),  C(ended),   C(nop),     C(stop),      C(renew),       C(kill_for_good) },
[LS_READY]          = { C(nop),       C(nop),        C(nop),     C(refuse), C(nop),      C(nop),         C(abort_it), C(ended), C(ended),  C(ended), C(ended),  C(ended),   C(nop),     C(stop),      C(renew),       C(kill_for_good) },
[LS_DRAINING]       = { C(come_back), C(nop),        C(nop),     C(nop),    C(nop),      C(terminate),   C(nop),      C(ended), C(ended),  C(ended), C(ended),  C(ended),   C(nop),     C(stay_down), C(come_back),   C(kill_for_good) },
[LS_STOPPING]       = { C(come_back), C(nop),        C(nop),     C(nop),    C(nop),      C(kill_it),     C(nop),      C(ended), C(ended),  C(ended), C(ended),  C(ended),   C(nop),     C(stay_down), C(come_back),   C(kill_for_good) },
[LS_KILLING]        = { C(come_back), C(nop),        C(nop),     C(nop),    C(nop),      C(kill_again),  C(nop),      C(ended), C(ended),  C(ended), C(ended),  C(ended),   C(nop),     C(stay_down), C(come_back),   C(kill_for_good) },
[LS_CLEARING]       = { C(come_back), C(nop),        C(nop),     C(nop),    C(nop),      C(clear),       C(nop),      C(bug),   C(bug),    C(bug),   C(bug),    C(bug),     C(cleared), C(stay_down), C(come_back),   C(go_idle) },
[LS_BACKOFF]        = { C(nop),       C(nop),        C(nop),     C(nop),    C(nop),      C(start),       C(nop),      C(bug),   C(bug),    C(bug),   C(bug),    C(bug),     C(nop),     C(go_idle),   C(start_fresh), C(go_idle) },
[LS_PARKED]         = { C(nop),       C(nop),        C(nop),     C(nop),    C(nop),      C(start),       C(nop),      C(bug),   C(bug),    C(bug),   C(bug),    C(bug),     C(nop),     C(go_idle),   C(start_fresh), C(go_idle) },
[LS_NEEDS_OPERATOR] = { C(nop),       C(nop),        C(nop),     C(nop),    C(nop),      C(nop),         C(nop),      C(bug),   C(bug),    C(bug),   C(bug),    C(bug),     C(nop),     C(go_idle),   C(start_fresh), C(go_idle) },
};
/* clang-format on */

void life_event(struct life *l, enum life_event e)
{
    ASSERT((unsigned)l->state < LS_COUNT && (unsigned)e < LE_COUNT);
    l->event = e;
    matrix[l->state][e].fn(l);
}

const char *life_cell_name(enum life_state s, enum life_event e)
{
    return matrix[s][e].name;
}

bool life_has_process(const struct life *l)
{
    static const bool has[LS_COUNT] = {
        [LS_STARTING] = true, [LS_READY] = true,   [LS_DRAINING] = true,
        [LS_STOPPING] = true, [LS_KILLING] = true,
    };
    return has[l->state];
}

const char *life_state_text(enum life_state s)
{
    static const char *const texts[] = {
#define X(name, text, doc) text,
        LIFE_STATES(X)
#undef X
    };
    return texts[s];
}

const char *life_state_name(enum life_state s)
{
    static const char *const names[] = {
#define X(name, text, doc) #name,
        LIFE_STATES(X)
#undef X
    };
    return names[s];
}

const char *life_event_name(enum life_event e)
{
    static const char *const names[] = {
#define X(name, doc) #name,
        LIFE_EVENTS(X)
#undef X
    };
    return names[e];
}
