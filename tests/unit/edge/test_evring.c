/*
 * test_evring.c: what a client missed: numbers without holes, bounds in count and bytes, gaps that are told.
 * Runs in: unit tests.     Owns: nothing.
 * Never: sends anything.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "workers/edge/evring.h"

static void test_numbers(void **state)
{
    UNUSED(state);
    struct evring r = {.items = NULL};
    assert_true(evring_covers(&r, 0, 0));
    assert_false(evring_covers(&r, 0, 3));
    evring_add(&r, 5, SV("five"));
    evring_add(&r, 6, SV("six"));
    assert_true(evring_covers(&r, 4, 6));
    assert_true(evring_covers(&r, 6, 6));
    assert_false(evring_covers(&r, 3, 6)); /* the fourth is gone */
    assert_false(evring_covers(&r, 7, 6)); /* from another life */
    assert_sv(evring_get(&r, 6), "six");
    assert_null(evring_get(&r, 7).p);
    evring_add(&r, 9, SV("nine")); /* a hole: what was before is worth nothing */
    assert_false(evring_covers(&r, 6, 9));
    assert_true(evring_covers(&r, 8, 9));
    evring_free(&r);
}

static void test_bounds(void **state)
{
    UNUSED(state);
    struct evring r = {.items = NULL};
    char text[16];
    for (uint64_t i = 1; i <= EVRING_COUNT + 10; i++) {
        snprintf(text, sizeof text, "e%d", (int)i);
        evring_add(&r, i, sv_of(text));
    }
    assert_int_equal(r.count, EVRING_COUNT);
    assert_int_equal(r.first, 11);
    assert_sv(evring_get(&r, 11), "e11");
    assert_null(evring_get(&r, 10).p);
    char *big = xcalloc(1, EVRING_BYTES);
    memset(big, 'x', EVRING_BYTES);
    evring_add(&r, EVRING_COUNT + 11, sv_mem(big, EVRING_BYTES - 1));
    assert_int_equal(r.count, 1); /* it took the place of all others */
    evring_add(&r, EVRING_COUNT + 12, SV("yz"));
    assert_int_equal(r.count, 1);
    xfree(big);
    big = xcalloc(1, EVRING_BYTES + 1);
    evring_add(&r, EVRING_COUNT + 13, sv_mem(big, EVRING_BYTES + 1));
    assert_int_equal(r.count, 0);
    assert_false(evring_covers(&r, EVRING_COUNT + 12, EVRING_COUNT + 13));
    evring_add(&r, EVRING_COUNT + 14, SV("on"));
    assert_true(evring_covers(&r, EVRING_COUNT + 13, EVRING_COUNT + 14));
    xfree(big);
    evring_free(&r);
    assert_int_equal(r.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
