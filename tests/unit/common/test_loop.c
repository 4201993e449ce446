/*
 * test_loop.c: deferred calls, timers and the lag figure of common/loop.c.
 * Runs in: meson test, suite unit.     Owns: nothing.
 * Never: waits longer than about a second.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "common/loop.h"

static char trace[64];
static struct loop *the_loop;
static struct loop_timer guard;

static void mark(char c)
{
    size_t n = strlen(trace);
    assert_true(n + 1 < sizeof trace);
    trace[n] = c;
    trace[n + 1] = '\0';
}

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("%s", "the loop slept although work was waiting");
}

static int setup(void **state)
{
    (void)state;
    trace[0] = '\0';
    the_loop = loop_new();
    loop_timer_init(&guard, the_loop, too_late, NULL);
    loop_timer_start(&guard, 5000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_timer_stop(&guard);
    loop_free(the_loop);
    return 0;
}

static void do_stop(void *ctx)
{
    (void)ctx;
    mark('s');
    loop_stop(the_loop);
}

static void do_b(void *ctx)
{
    (void)ctx;
    mark('b');
    loop_defer(the_loop, do_stop, NULL);
}

static void do_a(void *ctx)
{
    loop_defer(the_loop, do_b, NULL);
    mark('a');
    (void)ctx;
}

static void deferred_runs_before_sleep(void **state)
{
    (void)state;
    double t = now_s();
    loop_defer(the_loop, do_a, NULL);
    assert_string_equal(trace, ""); /* never on the caller's stack */
    loop_run(the_loop);
    assert_string_equal(trace, "abs");
    assert_true(now_s() - t < 0.5);
}

static void on_first_timer(void *ctx)
{
    (void)ctx;
    loop_defer(the_loop, do_stop, NULL);
    mark('t');
}

static void deferred_from_timer(void **state)
{
    (void)state;
    struct loop_timer t;
    loop_timer_init(&t, the_loop, on_first_timer, NULL);
    loop_timer_start(&t, 5);
    loop_run(the_loop);
    assert_string_equal(trace, "ts");
    assert_false(loop_timer_active(&t));
}

static void do_count(void *ctx)
{
    ++*(int *)ctx;
}

static int counts[3];

static void do_cancel_later(void *ctx)
{
    (void)ctx;
    loop_defer_cancel(the_loop, do_count, &counts[1]); /* waits in the same batch as this call */
}

static void cancel_forgets(void **state)
{
    (void)state;
    memset(counts, 0, sizeof counts);
    loop_defer(the_loop, do_count, &counts[0]);
    loop_defer(the_loop, do_count, &counts[0]);
    loop_defer(the_loop, do_count, &counts[2]);
    loop_defer_cancel(the_loop, do_count, &counts[0]);
    loop_defer(the_loop, do_cancel_later, NULL);
    loop_defer(the_loop, do_count, &counts[1]);
    loop_defer(the_loop, do_stop, NULL);
    loop_run(the_loop);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1);
}

static void many_deferred(void **state)
{
    (void)state;
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 1000; i++) {
        loop_defer(the_loop, do_count, &counts[0]);
    }
    loop_defer(the_loop, do_stop, NULL);
    loop_run(the_loop);
    assert_int_equal(counts[0], 1000);
}

static void free_runs_what_waits(void **state)
{
    (void)state;
    memset(counts, 0, sizeof counts);
    struct loop *l = loop_new();
    loop_defer(l, do_count, &counts[0]);
    loop_free(l);
    assert_int_equal(counts[0], 1);
    loop_free(NULL);
}

static void timer_restarts_and_stops(void **state)
{
    (void)state;
    struct loop_timer a, b, c = {.fn = NULL};
    memset(counts, 0, sizeof counts);
    loop_timer_init(&a, the_loop, do_count, &counts[0]);
    loop_timer_init(&b, the_loop, do_stop, NULL);
    loop_timer_start(&a, 10000);
    loop_timer_start(&a, 5); /* re-arms: the first time does not count */
    loop_timer_start(&b, 40);
    assert_true(loop_timer_active(&a));
    loop_run(the_loop);
    assert_int_equal(counts[0], 1);
    loop_timer_start(&a, 1);
    loop_timer_stop(&a);
    loop_timer_stop(&a);
    assert_false(loop_timer_active(&a));
    loop_timer_start(&b, 20);
    loop_run(the_loop);
    assert_int_equal(counts[0], 1);
    loop_timer_stop(&c); /* never initialised */
}

static double started_s;

static void on_measured(void *ctx)
{
    *(double *)ctx = now_s() - started_s;
    loop_stop(the_loop);
}

static struct loop_timer measured;

static void block_then_start(void *ctx)
{
    (void)ctx;
    nanosleep(&(struct timespec){0, 80 * 1000 * 1000}, NULL);
    started_s = now_s();
    loop_timer_start(&measured, 30);
}

/* A timer counts from its start, not from the beginning of a turn that took long. */
static void timer_after_long_callback(void **state)
{
    (void)state;
    double took = 0;
    loop_timer_init(&measured, the_loop, on_measured, &took);
    loop_defer(the_loop, block_then_start, NULL);
    loop_run(the_loop);
    assert_true(took >= 0.028);
}

static void block_a_while(void *ctx)
{
    (void)ctx;
    nanosleep(&(struct timespec){0, 150 * 1000 * 1000}, NULL);
}

static void lag_is_measured(void **state)
{
    (void)state;
    struct loop_timer t;
    assert_int_equal(loop_lag_ms(the_loop), 0);
    loop_timer_init(&t, the_loop, do_stop, NULL);
    loop_defer(the_loop, block_a_while, NULL);
    loop_timer_start(&t, 200);
    loop_run(the_loop);
    uint32_t lag = loop_lag_ms(the_loop);
    assert_in_range(lag, 100, 4000);
    assert_int_equal(loop_lag_ms(the_loop), 0); /* read once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deferred_runs_before_sleep, setup, teardown),
        cmocka_unit_test_setup_teardown(deferred_from_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(cancel_forgets, setup, teardown),
        cmocka_unit_test_setup_teardown(many_deferred, setup, teardown),
        cmocka_unit_test_setup_teardown(free_runs_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_restarts_and_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_after_long_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(lag_is_measured, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
