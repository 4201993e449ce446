/*
 * test_conf_lex.c: the numbers that libconfig 1.5 changes silently are found; everything else is left alone.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads files.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/conf_lex.h"

/* Line of the first fault, 0: none. */
static unsigned fault_line(const char *text)
{
    struct conf_lex_error e = {0};
    struct conf_lexer l = {.text = sv_of(text)};
    return conf_lex_next_error(&l, &e) ? e.line : 0;
}

static void finds_wrapping_numbers(void **state)
{
    (void)state;
    assert_int_equal(fault_line("a = 3000000000;"), 1);
    assert_int_equal(fault_line("a = 1;\nb = 2147483648;"), 2);
    assert_int_equal(fault_line("a = 0xffffffff;"), 1);
    assert_int_equal(fault_line("a = 99999999999999999999L;"), 1);
    assert_int_equal(fault_line("a = 010;"), 1);
    assert_int_equal(fault_line("a = [ 1, 2, 4294967296 ];"), 1);
    assert_int_equal(fault_line("a = -3000000000;"), 1);
}

static void leaves_the_rest_alone(void **state)
{
    (void)state;
    assert_int_equal(fault_line("a = 2147483647; b = 0x7fffffff; c = 0; d = 3000000000L; e = 0.25; f = 1e9;"), 0);
    assert_int_equal(fault_line("a = \"3000000000\"; b = \"x\\\"3000000000\";"), 0);
    assert_int_equal(fault_line("// 3000000000\n# 3000000000\n/* 3000000000\n3000000000 */ a = 1;"), 0);
    assert_int_equal(fault_line("agent-3000000000 = 1; x_010 = 2;"), 0);
    assert_int_equal(fault_line("\"unterminated 3000000000"), 0);
    assert_int_equal(fault_line("/* unterminated 3000000000"), 0);
    assert_int_equal(fault_line(""), 0);
}

static void goes_on_behind_a_fault(void **state)
{
    struct conf_lex_error e;
    struct conf_lexer l = {.text = SV("a = 3000000000;\nb = 007;\nc = 5;")};

    (void)state;
    assert_true(conf_lex_next_error(&l, &e));
    assert_true(conf_lex_next_error(&l, &e));
    assert_int_equal(e.line, 2);
    assert_false(conf_lex_next_error(&l, &e));
}

static void names_the_setting(void **state)
{
    struct conf_lex_error e;
    struct conf_lexer l = {.text = SV("x = { y = 1; };\na = { b : { c = \"s\"; port = 010; }; on = true; }; z = 0xffffffff;\n"
                                      "m = ( { id = \"q\"; big = 3000000000; } ); }}} k = 08;")};

    (void)state;
    assert_true(conf_lex_next_error(&l, &e));
    assert_string_equal(e.path, "a.b.port");
    assert_true(conf_lex_next_error(&l, &e));
    assert_string_equal(e.path, "z");
    assert_true(conf_lex_next_error(&l, &e));
    assert_string_equal(e.path, "m.big");
    assert_true(conf_lex_next_error(&l, &e));
    assert_string_equal(e.path, "k");
    assert_false(conf_lex_next_error(&l, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_wrapping_numbers),
        cmocka_unit_test(leaves_the_rest_alone),
        cmocka_unit_test(goes_on_behind_a_fault),
        cmocka_unit_test(names_the_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
