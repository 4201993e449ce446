/*
 * test_sv.c: string views: comparison, search, cutting, strict numbers, bounded copies.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs files or processes.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

static void test_equality(void **state)
{
    UNUSED(state);
    assert_true(sv_eq(SV("abc"), SV("abc")));
    assert_false(sv_eq(SV("abc"), SV("abd")));
    assert_false(sv_eq(SV("abc"), SV("ab")));
    assert_true(sv_eq(SV_NULL, SV("")));
    assert_true(sv_eqc(SV("x"), "x"));
    assert_true(sv_eqc(SV_NULL, NULL));
    assert_true(sv_eq((sv){"a\0b", 3}, (sv){"a\0b", 3}));
    assert_false(sv_eq((sv){"a\0b", 3}, (sv){"a\0c", 3}));
    assert_true(sv_eq_nocase(SV("AbZ[@"), SV("aBz[@")));
    assert_false(sv_eq_nocase(SV("["), SV("{"))); /* 32 apart, but no letters */
    assert_false(sv_eq_nocase(SV("\xc3\x84"), SV("\xc3\xa4")));
}

static void test_order(void **state)
{
    UNUSED(state);
    assert_int_equal(sv_cmp(SV("a"), SV("a")), 0);
    assert_true(sv_cmp(SV("a"), SV("b")) < 0);
    assert_true(sv_cmp(SV("a"), SV("aa")) < 0);
    assert_true(sv_cmp(SV("b"), SV("aa")) > 0);
    assert_true(sv_cmp(SV("\xff"), SV("a")) > 0); /* bytes are unsigned */
    assert_int_equal(sv_cmp(SV_NULL, SV("")), 0);
}

static void test_search(void **state)
{
    UNUSED(state);
    assert_true(sv_starts(SV("agent:main"), SV("agent:")));
    assert_false(sv_starts(SV("ag"), SV("agent:")));
    assert_true(sv_starts(SV("x"), SV_NULL));
    assert_true(sv_ends(SV("a.sock"), SV(".sock")));
    assert_false(sv_ends(SV("sock"), SV(".sock")));
    assert_int_equal(sv_chr(SV("abca"), 'a'), 0);
    assert_int_equal(sv_chr(SV("abc"), 'c'), 2);
    assert_int_equal(sv_chr(SV("abc"), 'd'), -1);
    assert_int_equal(sv_chr(SV_NULL, 'd'), -1);
    assert_int_equal(sv_find(SV("aabaab"), SV("aab")), 0);
    assert_int_equal(sv_find(SV("xaabaab"), SV("baab")), 3);
    assert_int_equal(sv_find(SV("abc"), SV("abcd")), -1);
    assert_int_equal(sv_find(SV("abc"), SV("")), 0);
    assert_int_equal(sv_find(SV_NULL, SV("a")), -1);
}

static void test_parts(void **state)
{
    UNUSED(state);
    assert_sv(sv_sub(SV("hello"), 1, 3), "ell");
    assert_sv(sv_sub(SV("hello"), 4, 100), "o");
    assert_sv(sv_sub(SV("hello"), 9, 1), "");
    assert_sv(sv_sub(SV("hello"), 2, SIZE_MAX), "llo");
    assert_null(sv_sub(SV_NULL, 3, 3).p);
    assert_sv(sv_trim(SV(" \t\r\n a b \v\f")), "a b");
    assert_sv(sv_trim(SV("   ")), "");
    assert_sv(sv_trim(SV_NULL), "");
}

static void test_cut(void **state)
{
    UNUSED(state);
    sv rest = SV("a,,b,");
    assert_sv(sv_cut(&rest, ','), "a");
    assert_sv(sv_cut(&rest, ','), "");
    assert_sv(sv_cut(&rest, ','), "b");
    assert_int_equal(rest.n, 0);
    assert_sv(sv_cut(&rest, ','), "");
    rest = SV("whole");
    assert_sv(sv_cut(&rest, ','), "whole");
    assert_int_equal(rest.n, 0);
    assert_non_null(rest.p);
}

static void test_u64(void **state)
{
    UNUSED(state);
    uint64_t v = 7;
    assert_true(sv_u64(SV("0"), &v));
    assert_int_equal(v, 0);
    assert_true(sv_u64(SV("18446744073709551615"), &v));
    assert_true(v == UINT64_MAX);
    static const char *const bad[] = {"", "18446744073709551616", "99999999999999999999", "-1", "+1",
                                      " 1", "1 ", "1x", "0x10"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(sv_u64(sv_of(bad[i]), &v));
    }
    assert_true(v == UINT64_MAX); /* untouched by failures */
}

static void test_i64(void **state)
{
    UNUSED(state);
    int64_t v = 7;
    assert_true(sv_i64(SV("-9223372036854775808"), &v));
    assert_true(v == INT64_MIN);
    assert_true(sv_i64(SV("9223372036854775807"), &v));
    assert_true(v == INT64_MAX);
    assert_true(sv_i64(SV("-0"), &v));
    assert_int_equal(v, 0);
    assert_true(sv_i64(SV("-1"), &v));
    assert_int_equal(v, -1);
    assert_false(sv_i64(SV("9223372036854775808"), &v));
    assert_false(sv_i64(SV("-9223372036854775809"), &v));
    assert_false(sv_i64(SV("-"), &v));
    assert_false(sv_i64(SV("--1"), &v));
    assert_false(sv_i64(SV(""), &v));
}

static void test_hash_and_copy(void **state)
{
    UNUSED(state);
    assert_true(sv_hash(SV_NULL) == 0xcbf29ce484222325u);  /* published FNV-1a 64 vectors */
    assert_true(sv_hash(SV("a")) == 0xaf63dc4c8601ec8cu);
    assert_true(sv_hash(SV("foobar")) == 0x85944171f73967e8u);
    char dst[4] = "zzz";
    assert_true(sv_copy(dst, sizeof(dst), SV("abc")));
    assert_string_equal(dst, "abc");
    assert_false(sv_copy(dst, sizeof(dst), SV("abcd")));
    assert_string_equal(dst, "");
    assert_true(sv_copy(dst, 1, SV_NULL));
    assert_false(sv_copy(dst, 0, SV("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality), cmocka_unit_test(test_order),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_parts),
        cmocka_unit_test(test_cut),      cmocka_unit_test(test_u64),
        cmocka_unit_test(test_i64),      cmocka_unit_test(test_hash_and_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
