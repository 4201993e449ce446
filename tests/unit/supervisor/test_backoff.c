/*
 * test_backoff.c: waits, jitter, minimum distance, reset and exhaustion.
 * Runs in: unit tests.     Owns: nothing.
 * Never: waits.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/backoff.h"

static const struct backoff_rules rules = {
    .first = 250, .max = 60000, .reset_after = 60000, .within = 60000, .failures = 5};

static int64_t death(struct backoff *b, int64_t now, int64_t lived, bool was_ready, bool counts, int jitter)
{
    struct backoff_death d = {.now_ms = now,
                              .started_ms = now - lived,
                              .ready_ms = was_ready ? now - lived + 1 : 0,
                              .counts = counts,
                              .jitter_permille = jitter};
    return backoff_death(b, &rules, &d);
}

static void doubles_up_to_the_cap(void **state)
{
    struct backoff b = {0};
    int64_t now = 1000000;
    static const int64_t want[] = {250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

    (void)state;
    for (unsigned i = 0; i < sizeof want / sizeof want[0]; i++) {
        /* Not counted as crashes, so that they never exhaust. */
        assert_int_equal(death(&b, now, 5000, false, false, 0), want[i]);
        now += 5000 + want[i];
    }
}

static void jitter_moves_it_by_a_fifth(void **state)
{
    struct backoff b = {0};

    (void)state;
    assert_int_equal(death(&b, 100000, 5000, true, true, 200), 300);
    backoff_forget(&b);
    assert_int_equal(death(&b, 100000, 5000, true, true, -200), 200);
}

static void second_death_keeps_a_second_between_starts(void **state)
{
    struct backoff b = {0};

    (void)state;
    assert_int_equal(death(&b, 100000, 5, false, true, 0), 250);
    /* Lived 5 ms again: started at 100,250, so not before 101,250. */
    assert_int_equal(death(&b, 100255, 5, false, true, 0), 995);
}

static void five_crashes_in_a_minute_are_too_many(void **state)
{
    struct backoff b = {0};
    int64_t now = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(death(&b, now, 100, true, true, 0) >= 0);
        now += 10000;
    }
    assert_int_equal(death(&b, now, 100, true, true, 0), -1);
}

static void after_that_each_retry_has_one_try(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        death(&b, 1000 + i * 100, 50, true, true, 0);
    }
    /* Five minutes later, far outside the window. */
    assert_int_equal(death(&b, 301500, 50, true, true, 0), -1);
    /* Once it has worked for a minute it is like new. */
    assert_int_equal(death(&b, 700000, 60002, true, true, 0), 250);
}

static void slow_crashes_never_exhaust(void **state)
{
    struct backoff b = {0};
    int64_t now = 1000;

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_true(death(&b, now, 100, true, true, 0) >= 0);
        now += 15001; /* the fifth is always just outside the window */
    }
}

static void a_minute_of_work_resets(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        death(&b, 1000 + i * 100, 50, true, true, 0);
    }
    assert_int_equal(death(&b, 200000, 60002, true, true, 0), 250);
    assert_int_equal(b.in_a_row, 1);
    /* The same length without READY does not. */
    assert_int_equal(death(&b, 300000, 60002, false, true, 0), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_cap),
        cmocka_unit_test(jitter_moves_it_by_a_fifth),
        cmocka_unit_test(second_death_keeps_a_second_between_starts),
        cmocka_unit_test(five_crashes_in_a_minute_are_too_many),
        cmocka_unit_test(after_that_each_retry_has_one_try),
        cmocka_unit_test(slow_crashes_never_exhaust),
        cmocka_unit_test(a_minute_of_work_resets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
