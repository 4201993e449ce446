/*
 * test_names.c: sets of names as comma separated text.
 * Runs in: unit tests.     Owns: nothing.
 * Never: leaves memory behind.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/attrs.h"
#include "common/names.h"

static void test_has(void **state)
{
    UNUSED(state);
    assert_true(names_has(SV("a,bb,c"), SV("bb")));
    assert_false(names_has(SV("a,bb,c"), SV("b")));
    assert_false(names_has(SV(""), SV("b")));
}

static void test_sets(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(256);
    names_add(&b, SV("a,b,,a"));
    names_add(&b, SV("c,b"));
    assert_string_equal(buf_cstr(&b), "a,b,c");
    struct buf less = BUF_INIT(256);
    names_without(&less, buf_view(&b), SV("b"));
    assert_string_equal(buf_cstr(&less), "a,c");
    buf_reset(&b);
    names_json(&b, SV("a,,\"b\""));
    assert_string_equal(buf_cstr(&b), "[\"a\",\"\\\"b\\\"\"]");
    buf_reset(&b);
    names_json(&b, SV(""));
    assert_string_equal(buf_cstr(&b), "[]");
    buf_free(&b);
    buf_free(&less);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_has), cmocka_unit_test(test_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
