/*
 * test_ratelimit.c: thirty per minute and key, as a sliding window.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads the clock.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include <stdio.h>

#include "workers/edge/ratelimit.h"

static void test_window(void **state)
{
    UNUSED(state);
    struct ratelimit r = {.rows = MAP_INIT};
    for (int i = 0; i < RATELIMIT_MAX; i++) {
        assert_int_equal(ratelimit_take(&r, SV("a"), 1000 + i), 0);
    }
    assert_int_equal(ratelimit_take(&r, SV("a"), 2000), 59000);
    assert_int_equal(ratelimit_take(&r, SV("b"), 2000), 0);
    assert_int_equal(ratelimit_take(&r, SV("a"), 61000), 0);  /* the first one has left the window */
    assert_int_equal(ratelimit_take(&r, SV("a"), 61000), 1);  /* the second leaves it in 1 ms */
    assert_int_equal(ratelimit_take(&r, SV("a"), 200000), 0);
    ratelimit_free(&r);
}

static void test_bounded(void **state)
{
    UNUSED(state);
    struct ratelimit r = {.rows = MAP_INIT};
    for (int i = 0; i < RATELIMIT_KEYS + 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(ratelimit_take(&r, sv_of(key), i), 0);
    }
    assert_int_equal(map_count(&r.rows), RATELIMIT_KEYS);
    assert_null(map_get(&r.rows, SV("k0")));
    ratelimit_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_window), cmocka_unit_test(test_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
