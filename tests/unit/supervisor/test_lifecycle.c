/*
 * test_lifecycle.c: every cell of the life cycle: which state follows and what is done to the world.
 * Runs in: unit tests.     Owns: nothing.
 * Never: starts a process.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "supervisor/lifecycle.h"

static char did[512];
static int64_t death_answer;

static void note(const char *what)
{
    size_t n = strlen(did);
    snprintf(did + n, sizeof did - n, "%s%s", n ? " " : "", what);
}

static void fx_spawn(struct life *l)
{
    (void)l;
    note("spawn");
}

static void fx_drain(struct life *l)
{
    (void)l;
    note("drain");
}

static void fx_signal(struct life *l, enum life_signal s)
{
    (void)l;
    note(s == LSIG_TERM ? "TERM" : s == LSIG_ABRT ? "ABRT" : "KILL");
}

static void fx_arm(struct life *l, int64_t ms)
{
    char text[32];
    (void)l;
    snprintf(text, sizeof text, "arm=%lld", (long long)ms);
    note(text);
}

static void fx_disarm(struct life *l)
{
    (void)l;
    note("disarm");
}

static void fx_clear(struct life *l)
{
    (void)l;
    note("clear");
}

static int64_t fx_death(struct life *l, bool counts)
{
    (void)l;
    note(counts ? "crash" : "temp");
    return death_answer;
}

static void fx_forget(struct life *l)
{
    (void)l;
    note("forget");
}

static void fx_exhausted(struct life *l)
{
    (void)l;
    note("exhausted");
}

static void fx_changed(struct life *l, enum life_state from)
{
    (void)l;
    (void)from;
}

static const struct life_effects fx = {fx_spawn, fx_drain, fx_signal, fx_clear,     fx_arm,
                                       fx_disarm, fx_death, fx_forget, fx_exhausted, fx_changed};

struct expect {
    enum life_state state;
    enum life_event event;
    enum life_state next;
    const char *effects;
};

/* Everything that is not listed here is "nop": same state, nothing done (or "bug", see bugs below). */
static const struct expect cells[] = {
    {LS_IDLE, LE_START, LS_STARTING, "arm=10000 spawn"},
    {LS_IDLE, LE_RESTART, LS_STARTING, "forget arm=10000 spawn"},

    {LS_STARTING, LE_SPAWN_FAILED, LS_BACKOFF, "temp arm=250"},
    {LS_STARTING, LE_NO_PROGRAM, LS_PARKED, "arm=300000 exhausted"},
    {LS_STARTING, LE_REFUSED, LS_KILLING, "KILL arm=3000"},
    {LS_STARTING, LE_READY, LS_READY, "disarm"},
    {LS_STARTING, LE_DEADLINE, LS_KILLING, "ABRT arm=3000"},
    {LS_STARTING, LE_EXIT_OK, LS_CLEARING, "arm=3000 clear"},
    {LS_STARTING, LE_EXIT_TEMP, LS_CLEARING, "arm=3000 clear"},
    {LS_STARTING, LE_EXIT_CFG, LS_CLEARING, "arm=3000 clear"},
    {LS_STARTING, LE_EXIT_EXEC, LS_CLEARING, "arm=3000 clear"},
    {LS_STARTING, LE_EXIT_CRASH, LS_CLEARING, "arm=3000 clear"},
    {LS_STARTING, LE_STOP, LS_DRAINING, "arm=5000 drain"},
    {LS_STARTING, LE_RESTART, LS_DRAINING, "arm=5000 drain"},
    {LS_STARTING, LE_KILL, LS_KILLING, "KILL arm=3000"},

    {LS_READY, LE_REFUSED, LS_KILLING, "KILL arm=3000"},
    {LS_READY, LE_BEAT_LATE, LS_KILLING, "ABRT arm=3000"},
    {LS_READY, LE_EXIT_OK, LS_CLEARING, "arm=3000 clear"},
    {LS_READY, LE_EXIT_TEMP, LS_CLEARING, "arm=3000 clear"},
    {LS_READY, LE_EXIT_CFG, LS_CLEARING, "arm=3000 clear"},
    {LS_READY, LE_EXIT_EXEC, LS_CLEARING, "arm=3000 clear"},
    {LS_READY, LE_EXIT_CRASH, LS_CLEARING, "arm=3000 clear"},
    {LS_READY, LE_STOP, LS_DRAINING, "arm=5000 drain"},
    {LS_READY, LE_RESTART, LS_DRAINING, "arm=5000 drain"},
    {LS_READY, LE_KILL, LS_KILLING, "KILL arm=3000"},

    {LS_DRAINING, LE_DEADLINE, LS_STOPPING, "TERM arm=1250"},
    {LS_DRAINING, LE_EXIT_OK, LS_CLEARING, "arm=3000 clear"},
    {LS_DRAINING, LE_EXIT_TEMP, LS_CLEARING, "arm=3000 clear"},
    {LS_DRAINING, LE_EXIT_CFG, LS_CLEARING, "arm=3000 clear"},
    {LS_DRAINING, LE_EXIT_EXEC, LS_CLEARING, "arm=3000 clear"},
    {LS_DRAINING, LE_EXIT_CRASH, LS_CLEARING, "arm=3000 clear"},
    {LS_DRAINING, LE_KILL, LS_KILLING, "KILL arm=3000"},

    {LS_STOPPING, LE_DEADLINE, LS_KILLING, "KILL arm=3000"},
    {LS_STOPPING, LE_EXIT_OK, LS_CLEARING, "arm=3000 clear"},
    {LS_STOPPING, LE_EXIT_TEMP, LS_CLEARING, "arm=3000 clear"},
    {LS_STOPPING, LE_EXIT_CFG, LS_CLEARING, "arm=3000 clear"},
    {LS_STOPPING, LE_EXIT_EXEC, LS_CLEARING, "arm=3000 clear"},
    {LS_STOPPING, LE_EXIT_CRASH, LS_CLEARING, "arm=3000 clear"},
    {LS_STOPPING, LE_KILL, LS_KILLING, "KILL arm=3000"},

    {LS_KILLING, LE_DEADLINE, LS_KILLING, "KILL arm=3000"},
    {LS_KILLING, LE_EXIT_OK, LS_CLEARING, "arm=3000 clear"},
    {LS_KILLING, LE_EXIT_TEMP, LS_CLEARING, "arm=3000 clear"},
    {LS_KILLING, LE_EXIT_CFG, LS_CLEARING, "arm=3000 clear"},
    {LS_KILLING, LE_EXIT_EXEC, LS_CLEARING, "arm=3000 clear"},
    {LS_KILLING, LE_EXIT_CRASH, LS_CLEARING, "arm=3000 clear"},
    {LS_KILLING, LE_KILL, LS_KILLING, "KILL arm=3000"},

    {LS_CLEARING, LE_DEADLINE, LS_CLEARING, "arm=3000 clear"},
    {LS_CLEARING, LE_CLEARED, LS_STARTING, "forget arm=10000 spawn"},
    {LS_CLEARING, LE_KILL, LS_IDLE, "disarm"},

    {LS_BACKOFF, LE_DEADLINE, LS_STARTING, "arm=10000 spawn"},
    {LS_BACKOFF, LE_STOP, LS_IDLE, "disarm"},
    {LS_BACKOFF, LE_RESTART, LS_STARTING, "forget arm=10000 spawn"},
    {LS_BACKOFF, LE_KILL, LS_IDLE, "disarm"},

    {LS_PARKED, LE_DEADLINE, LS_STARTING, "arm=10000 spawn"},
    {LS_PARKED, LE_STOP, LS_IDLE, "disarm"},
    {LS_PARKED, LE_RESTART, LS_STARTING, "forget arm=10000 spawn"},
    {LS_PARKED, LE_KILL, LS_IDLE, "disarm"},

    {LS_NEEDS_OPERATOR, LE_STOP, LS_IDLE, "disarm"},
    {LS_NEEDS_OPERATOR, LE_RESTART, LS_STARTING, "forget arm=10000 spawn"},
    {LS_NEEDS_OPERATOR, LE_KILL, LS_IDLE, "disarm"},
};

static struct life fresh(enum life_state s, enum life_goal goal)
{
    did[0] = '\0';
    death_answer = 250;
    return (struct life){.state = s, .goal = goal, .start_ms = 10000, .stop_ms = 5000, .fx = &fx};
}

static const struct expect *expected(enum life_state s, enum life_event e)
{
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (cells[i].state == s && cells[i].event == e) {
            return &cells[i];
        }
    }
    return NULL;
}

static bool is_exit(unsigned e)
{
    return e >= LE_EXIT_OK && e <= LE_EXIT_CRASH;
}

static void every_cell(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (unsigned s = 0; s < LS_COUNT; s++) {
        for (unsigned e = 0; e < LE_COUNT; e++) {
            const char *cell = life_cell_name(s, e);
            const struct expect *x = expected(s, e);
            assert_non_null(cell);
            /* Ends that nobody waits for start afresh in these tests: goal FRESH. */
            struct life l = fresh(s, GOAL_FRESH);
            if (!life_has_process(&l) && is_exit(e)) {
                assert_string_equal(cell, "bug");
                seen++;
                continue;
            }
            assert_string_not_equal(cell, "bug");
            life_event(&l, e);
            if (x == NULL) {
                assert_int_equal(l.state, s);
                assert_string_equal(did, "");
            } else {
                assert_int_equal(l.state, x->next);
                assert_string_equal(did, x->effects);
            }
            seen++;
        }
    }
    assert_int_equal(seen, LS_COUNT * LE_COUNT);
}

/* What follows once nothing of the old process is left: every end under every goal. */
static void every_end_under_every_goal(void **state)
{
    static const struct {
        enum life_event end;
        enum life_state next;
        const char *effects;
    } unasked[] = {
        {LE_EXIT_OK, LS_BACKOFF, "crash arm=250"},     {LE_EXIT_TEMP, LS_BACKOFF, "temp arm=250"},
        {LE_EXIT_CFG, LS_NEEDS_OPERATOR, "disarm"},    {LE_EXIT_EXEC, LS_PARKED, "arm=300000 exhausted"},
        {LE_EXIT_CRASH, LS_BACKOFF, "crash arm=250"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof unasked / sizeof unasked[0]; i++) {
        for (unsigned goal = GOAL_UP; goal <= GOAL_HELD; goal++) {
            for (unsigned overdue = 0; overdue < 2; overdue++) {
                struct life l = fresh(LS_KILLING, (enum life_goal)goal);
                l.overdue = overdue;
                life_event(&l, unasked[i].end);
                assert_int_equal(l.state, LS_CLEARING);
                did[0] = '\0';
                life_event(&l, LE_CLEARED);
                assert_int_equal(l.state, goal == GOAL_DOWN    ? LS_IDLE
                                          : goal == GOAL_FRESH ? LS_STARTING
                                          : goal == GOAL_HELD  ? LS_NEEDS_OPERATOR
                                          : overdue            ? LS_BACKOFF
                                                               : unasked[i].next);
                assert_string_equal(did, goal == GOAL_DOWN || goal == GOAL_HELD ? "disarm"
                                         : goal == GOAL_FRESH                   ? "forget arm=10000 spawn"
                                         : overdue                              ? "crash arm=250"
                                                                                : unasked[i].effects);
            }
        }
    }
}

static void minds_change_while_descendants_end(void **state)
{
    (void)state;
    struct life l = fresh(LS_READY, GOAL_UP);
    life_event(&l, LE_EXIT_CRASH);
    life_event(&l, LE_STOP);
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_IDLE);
    l = fresh(LS_READY, GOAL_UP);
    life_event(&l, LE_STOP);
    life_event(&l, LE_EXIT_OK);
    life_event(&l, LE_START);
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_STARTING);
}

static void another_build_waits_for_the_operator(void **state)
{
    (void)state;
    struct life l = fresh(LS_STARTING, GOAL_UP);
    life_event(&l, LE_REFUSED);
    life_event(&l, LE_EXIT_CRASH);
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_NEEDS_OPERATOR);
    life_event(&l, LE_RESTART);
    assert_int_equal(l.goal, GOAL_UP);
}

static void stop_and_restart_change_their_minds(void **state)
{
    (void)state;
    struct life l = fresh(LS_READY, GOAL_UP);
    life_event(&l, LE_RESTART);
    assert_int_equal(l.goal, GOAL_FRESH);
    life_event(&l, LE_STOP);
    assert_int_equal(l.goal, GOAL_DOWN);
    life_event(&l, LE_RESTART);
    life_event(&l, LE_EXIT_OK);
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_STARTING);
    assert_int_equal(l.goal, GOAL_UP);
}

static void a_late_beat_counts_as_a_crash(void **state)
{
    (void)state;
    struct life l = fresh(LS_READY, GOAL_UP);
    life_event(&l, LE_BEAT_LATE);
    life_event(&l, LE_EXIT_CRASH);
    did[0] = '\0';
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_BACKOFF);
    assert_string_equal(did, "crash arm=250");
    /* The next start begins with a clean flag. */
    life_event(&l, LE_DEADLINE);
    assert_false(l.overdue);
}

static void too_many_deaths_park(void **state)
{
    (void)state;
    struct life l = fresh(LS_READY, GOAL_UP);
    death_answer = -1;
    life_event(&l, LE_EXIT_CRASH);
    did[0] = '\0';
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_PARKED);
    assert_string_equal(did, "crash arm=300000 exhausted");
}

static void kill_means_down(void **state)
{
    (void)state;
    struct life l = fresh(LS_READY, GOAL_UP);
    life_event(&l, LE_KILL);
    life_event(&l, LE_EXIT_CRASH);
    life_event(&l, LE_CLEARED);
    assert_int_equal(l.state, LS_IDLE);
}

static void short_drains_leave_half_a_second_for_sigterm(void **state)
{
    (void)state;
    struct life l = fresh(LS_DRAINING, GOAL_DOWN);
    l.stop_ms = 1000;
    life_event(&l, LE_DEADLINE);
    assert_string_equal(did, "TERM arm=500");
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(life_state_name(LS_NEEDS_OPERATOR), "NEEDS_OPERATOR");
    assert_string_equal(life_state_text(LS_BACKOFF), "restarting");
    assert_string_equal(life_event_name(LE_BEAT_LATE), "BEAT_LATE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell),
        cmocka_unit_test(every_end_under_every_goal),
        cmocka_unit_test(minds_change_while_descendants_end),
        cmocka_unit_test(another_build_waits_for_the_operator),
        cmocka_unit_test(stop_and_restart_change_their_minds),
        cmocka_unit_test(a_late_beat_counts_as_a_crash),
        cmocka_unit_test(too_many_deaths_park),
        cmocka_unit_test(kill_means_down),
        cmocka_unit_test(short_drains_leave_half_a_second_for_sigterm),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
