/*
 * test_throttle.c: delays on loopback, locks elsewhere, bounded memory.
 * Runs in: unit tests.     Owns: nothing.
 * Never: waits.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include <stdio.h>

#include "workers/edge/throttle.h"

static void test_loopback_delays(void **state)
{
    UNUSED(state);
    struct throttle t;
    throttle_init(&t);
    static const int64_t want[] = {250, 500, 1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(throttle_fail(&t, SV("127.0.0.1"), true, 1000 + (int64_t)i), want[i]);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(throttle_fail(&t, SV("127.0.0.1"), true, 2000), 5000);
    }
    assert_int_equal(throttle_locked(&t, SV("127.0.0.1"), 2000), 0);
    /* A minute of peace, or a success, starts again. */
    assert_int_equal(throttle_fail(&t, SV("127.0.0.1"), true, 62001), 250);
    assert_int_equal(throttle_fail(&t, SV("127.0.0.1"), true, 62002), 500);
    throttle_clear(&t, SV("127.0.0.1"));
    assert_int_equal(throttle_fail(&t, SV("127.0.0.1"), true, 62003), 250);
    throttle_free(&t);
}

static void test_remote_lock(void **state)
{
    UNUSED(state);
    struct throttle t;
    throttle_init(&t);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(throttle_fail(&t, SV("192.0.2.7"), false, 1000 + i), 0);
    }
    assert_int_equal(throttle_locked(&t, SV("192.0.2.7"), 1010), 0);
    throttle_fail(&t, SV("192.0.2.7"), false, 1010);
    assert_int_equal(throttle_locked(&t, SV("192.0.2.7"), 1010), 300000);
    assert_int_equal(throttle_locked(&t, SV("192.0.2.8"), 1010), 0);
    assert_int_equal(throttle_locked(&t, SV("192.0.2.7"), 301010), 0);
    /* Failures that are spread out do not lock. */
    for (int i = 0; i < 50; i++) {
        throttle_fail(&t, SV("192.0.2.9"), false, 1000000 + i * 10000);
    }
    assert_int_equal(throttle_locked(&t, SV("192.0.2.9"), 1500000), 0);
    throttle_free(&t);
}

static void test_bounded(void **state)
{
    UNUSED(state);
    struct throttle t;
    char addr[32];
    throttle_init(&t);
    for (int i = 0; i < THROTTLE_MAX + 200; i++) {
        int n = snprintf(addr, sizeof addr, "10.0.%d.%d", i / 256, i % 256);
        throttle_fail(&t, sv_mem(addr, (size_t)n), false, i);
    }
    assert_int_equal(map_count(&t.by_addr), THROTTLE_MAX);
    assert_null(map_get(&t.by_addr, SV("10.0.0.0")));
    throttle_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback_delays),
        cmocka_unit_test(test_remote_lock),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
