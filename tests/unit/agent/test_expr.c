/*
 * test_expr.c: arithmetic of the offline responder.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/provider/expr.h"

static void check(const char *text, const char *want)
{
    double v;
    unsigned ops;
    char out[40];
    enum expr_result r = expr_eval(sv_of(text), &v, &ops);
    if (r != EXPR_OK) {
        fail_msg("%s: result %d", text, r);
    }
    expr_print(v, out, sizeof out);
    if (strcmp(out, want) != 0) {
        fail_msg("%s = %s, should be %s", text, out, want);
    }
}

static void refuse(const char *text, enum expr_result want)
{
    double v;
    unsigned ops;
    enum expr_result r = expr_eval(sv_of(text), &v, &ops);
    if (r != want) {
        fail_msg("%s: result %d, should be %d", text, r, want);
    }
}

static void values(void **state)
{
    (void)state;
    check("1+2*3", "7");
    check("(1+2)*3", "9");
    check("10-4-3", "3");
    check("2^3^2", "512");
    check("-2^2", "-4");
    check("2*-3", "-6");
    check("--4", "4");
    check("7/2", "3.5");
    check("10 % 4", "2");
    check(" 1.5 * 4 ", "6");
    check(".5+.5", "1");
    check("0.1+0.2", "0.3");
    check("2 \xc3\x97 3 \xc3\xb7 4 \xe2\x88\x92 1", "0.5");
    check("sqrt(16)+1", "5");
    check("2*pi", "6.283185307");
    check("-0*5", "0");
    check("999999999999999", "999999999999999");
    check("10^20", "1e+20");
    check("2**10", "1024");
}

static void not_expressions(void **state)
{
    (void)state;
    refuse("", EXPR_NOT);
    refuse("hello", EXPR_NOT);
    refuse("1+", EXPR_NOT);
    refuse("(1", EXPR_NOT);
    refuse("1)", EXPR_NOT);
    refuse("1 2", EXPR_NOT);
    refuse(".", EXPR_NOT);
    refuse("sqrt 4", EXPR_NOT);
    refuse("2 apples + 3", EXPR_NOT);
    refuse("1/0", EXPR_DIV_ZERO);
    refuse("5 % (3-3)", EXPR_DIV_ZERO);
    refuse("sqrt(-1)", EXPR_RANGE);
    refuse("9^9^9^9", EXPR_RANGE);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char deep[900];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    refuse(deep, EXPR_NOT);
    memset(deep, '-', sizeof deep - 1);
    refuse(deep, EXPR_NOT);
}

static void operators_are_counted(void **state)
{
    (void)state;
    double v;
    unsigned ops;
    assert_int_equal(expr_eval(SV("42"), &v, &ops), EXPR_OK);
    assert_int_equal(ops, 0);
    assert_int_equal(expr_eval(SV("1+2-3"), &v, &ops), EXPR_OK);
    assert_int_equal(ops, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(not_expressions), cmocka_unit_test(depth_is_bounded), cmocka_unit_test(operators_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
