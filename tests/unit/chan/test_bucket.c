/*
 * test_bucket.c: token buckets.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "workers/chan/bucket.h"

static void test_burst_then_rate(void **state)
{
    UNUSED(state);
    struct bucket b;
    bucket_init(&b, 60, 4, 1000);
    for (int i = 0; i < 4; i++) {
        assert_true(bucket_try(&b, 1000));
    }
    assert_false(bucket_try(&b, 1000));
    assert_int_equal(bucket_wait(&b, 1000), 1000);
    assert_false(bucket_try(&b, 1999));
    assert_true(bucket_try(&b, 2000));
    assert_false(bucket_try(&b, 2000));
}

static void test_never_above_the_burst(void **state)
{
    UNUSED(state);
    struct bucket b;
    bucket_init(&b, 600, 2, 0);
    assert_true(bucket_try(&b, 3600000));
    assert_true(bucket_try(&b, 3600000));
    assert_false(bucket_try(&b, 3600000));
}

static void test_reservations_keep_their_order(void **state)
{
    UNUSED(state);
    struct bucket b;
    bucket_init(&b, 60, 1, 0);
    assert_int_equal(bucket_reserve(&b, 0), 0);
    assert_int_equal(bucket_reserve(&b, 0), 1000);
    assert_int_equal(bucket_reserve(&b, 0), 2000);
    assert_int_equal(bucket_reserve(&b, 500), 2500);
    assert_false(bucket_try(&b, 3000));
    assert_true(bucket_try(&b, 5000));
}

static void test_slow_rates_do_not_round_away(void **state)
{
    UNUSED(state);
    struct bucket b;
    bucket_init(&b, 1, 1, 0);
    assert_true(bucket_try(&b, 0));
    for (int64_t t = 1; t < 60000; t += 7) {
        assert_false(bucket_try(&b, t));
    }
    assert_true(bucket_try(&b, 64000));
}

static void test_no_limit_and_odd_clocks(void **state)
{
    UNUSED(state);
    struct bucket b;
    bucket_init(&b, 0, 1, 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(bucket_try(&b, 0));
        assert_int_equal(bucket_reserve(&b, 0), 0);
    }
    bucket_init(&b, 60, 1, 5000);
    assert_true(bucket_try(&b, 5000));
    assert_false(bucket_try(&b, 4000)); /* a clock that went back earns nothing */
    assert_true(bucket_try(&b, 5000 + (int64_t)INT32_MAX * 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_never_above_the_burst),
        cmocka_unit_test(test_reservations_keep_their_order),
        cmocka_unit_test(test_slow_rates_do_not_round_away),
        cmocka_unit_test(test_no_limit_and_odd_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
