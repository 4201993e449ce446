/*
 * test_delta.c: live text: offsets, items, repeats, gaps, replacement.
 * Runs in: unit tests.     Owns: nothing.
 * Never: measures time.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/delta.h"

static void test_in_order(void **state)
{
    UNUSED(state);
    struct delta d;
    delta_init(&d);
    assert_false(delta_pending(&d));
    assert_int_equal(delta_add(&d, 0, SV("r:1"), SV("Hello")), DELTA_ADDED);
    assert_int_equal(delta_add(&d, 5, SV("r:1"), SV(" you")), DELTA_ADDED);
    assert_sv(delta_new(&d), "Hello you");
    delta_sent(&d);
    assert_false(delta_pending(&d));
    assert_int_equal(delta_add(&d, 9, SV("r:1"), SV("!")), DELTA_ADDED);
    assert_sv(delta_new(&d), "!");
    assert_sv(delta_item(&d), "Hello you!");
    delta_free(&d);
}

static void test_repeats_and_gaps(void **state)
{
    UNUSED(state);
    struct delta d;
    delta_init(&d);
    delta_add(&d, 0, SV("r:1"), SV("abc"));
    assert_int_equal(delta_add(&d, 0, SV("r:1"), SV("abc")), DELTA_NOTHING);
    assert_int_equal(delta_add(&d, 1, SV("r:1"), SV("bcd")), DELTA_ADDED); /* overlaps */
    assert_sv(delta_all(&d), "abcd");
    assert_int_equal(delta_add(&d, 6, SV("r:1"), SV("x")), DELTA_GAP);
    assert_sv(delta_all(&d), "abcd");
    assert_true(delta_set(&d, SV("abcd, all of it")));
    assert_sv(delta_new(&d), "abcd, all of it");
    assert_false(d.replace);
    assert_false(delta_set(&d, SV("abcd, all of it")));
    delta_free(&d);
}

static void items(uint64_t off, sv piece)
{
    struct delta d;
    delta_init(&d);
    delta_add(&d, 0, SV("r:1"), SV("one"));
    assert_int_equal(delta_add(&d, off, SV("r:2"), piece), DELTA_ITEM);
    delta_sent(&d);
    assert_int_equal(delta_add(&d, off, SV("r:2"), piece), DELTA_ADDED);
    assert_sv(delta_all(&d), "one\n\ntwo");
    assert_sv(delta_item(&d), "two");
    assert_sv(delta_new(&d), "\n\ntwo");
    delta_free(&d);
}

static void test_items(void **state)
{
    UNUSED(state);
    items(5, SV("two"));     /* the sender counts the blank line and leaves it out */
    items(3, SV("\n\ntwo")); /* the sender sends it */
}

static void test_replacement(void **state)
{
    UNUSED(state);
    struct delta d;
    delta_init(&d);
    delta_add(&d, 0, SV("r:1"), SV("first try"));
    delta_sent(&d);
    delta_rewind(&d, 100); /* nothing behind it */
    assert_false(delta_pending(&d));
    delta_rewind(&d, 0); /* another attempt begins anew */
    assert_true(delta_pending(&d));
    assert_int_equal(delta_add(&d, 0, SV("r:1"), SV("second")), DELTA_ITEM);
    delta_sent(&d);
    delta_add(&d, 0, SV("r:1"), SV("second"));
    assert_sv(delta_all(&d), "second");
    assert_true(delta_set(&d, SV("something else")));
    assert_true(d.replace);
    assert_sv(delta_new(&d), "something else");
    delta_sent(&d);
    assert_false(d.replace);
    delta_free(&d);
}

static void test_cap(void **state)
{
    UNUSED(state);
    struct delta d;
    char *big = xcalloc(1, DELTA_TEXT_MAX);
    memset(big, 'x', DELTA_TEXT_MAX);
    delta_init(&d);
    assert_int_equal(delta_add(&d, 0, SV("r:1"), sv_mem(big, DELTA_TEXT_MAX)), DELTA_ADDED);
    assert_int_equal(delta_add(&d, DELTA_TEXT_MAX, SV("r:1"), SV("y")), DELTA_NOTHING);
    assert_int_equal(delta_all(&d).n, DELTA_TEXT_MAX);
    delta_free(&d);
    xfree(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),    cmocka_unit_test(test_repeats_and_gaps),
        cmocka_unit_test(test_items),       cmocka_unit_test(test_replacement),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
