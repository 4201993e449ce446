/*
 * test_throttle.c: failed authentication per address.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include <stdio.h>

#include "workers/chan/drivers/webhook_int.h"

static void test_blocks_one_address_for_a_while(void **state)
{
    UNUSED(state);
    struct throttle t = {0};
    for (unsigned i = 0; i < THROTTLE_FAILURES; i++) {
        assert_false(throttle_blocked(&t, SV("10.0.0.1"), 1000));
        throttle_failed(&t, SV("10.0.0.1"), 1000);
    }
    assert_true(throttle_blocked(&t, SV("10.0.0.1"), 1000));
    assert_false(throttle_blocked(&t, SV("10.0.0.2"), 1000));
    assert_true(throttle_blocked(&t, SV("10.0.0.1"), 999 + THROTTLE_WINDOW_MS));
    assert_false(throttle_blocked(&t, SV("10.0.0.1"), 1000 + THROTTLE_WINDOW_MS));
    throttle_failed(&t, SV("10.0.0.1"), 1000 + THROTTLE_WINDOW_MS);
    assert_false(throttle_blocked(&t, SV("10.0.0.1"), 1000 + THROTTLE_WINDOW_MS));
}

static void test_remembers_the_latest(void **state)
{
    UNUSED(state);
    struct throttle t = {0};
    for (int i = 0; i < 3 * THROTTLE_PEERS; i++) {
        char peer[32];
        assert_true(snprintf(peer, sizeof peer, "10.0.0.%d", i) > 0);
        throttle_failed(&t, sv_of(peer), i);
    }
    for (unsigned i = 0; i < THROTTLE_FAILURES; i++) {
        throttle_failed(&t, SV("10.9.9.9"), 5000);
    }
    assert_true(throttle_blocked(&t, SV("10.9.9.9"), 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_one_address_for_a_while),
        cmocka_unit_test(test_remembers_the_latest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
