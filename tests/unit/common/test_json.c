/*
 * test_json.c: what common/json.c accepts, refuses, prints and finds.
 * Runs in: meson test, suite unit.     Owns: nothing.
 * Never: tests jansson itself beyond the promises of json.h.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/json.h"

static void accepts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "null", "true", "0", "-1.5e3", "\"\"", "[]", "{}", " [1 , 2] \n", "\"\\ud83d\\ude00\"",
        "{\"a\":{\"a\":1}}", "9223372036854775807", "\"\\\\\\\"[[[\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char err[128] = "x";
        json_t *v = json_parse(sv_of(good[i]), err, sizeof err);
        if (!v) {
            fail_msg("refused %s: %s", good[i], err);
        }
        assert_string_equal(err, "");
        json_free(&v);
        assert_null(v);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", " ", "{\"a\":1,\"a\":2}", "{} x", "{}{}", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "NaN", "-Infinity",
        "01", "1.", ".5", "+1", "1e400", "9223372036854775808", "\"\\ud83d\"", "\"\\ude00\"", "\"\\u0000\"",
        "\"a\nb\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "// c\n1", "/* c */ 1", "tru", "[", "{\"a\"",
        "\"abc", "\"\\", "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char err[128] = "";
        json_t *v = json_parse(sv_of(bad[i]), err, sizeof err);
        if (v) {
            fail_msg("accepted %s", bad[i]);
        }
        assert_string_not_equal(err, "");
    }
    assert_null(json_parse(SV_NULL, NULL, 0));
    assert_null(json_parse((sv){"[\0]", 3}, NULL, 0));
    char err[64];
    assert_null(json_parse(SV("[1,\n x]"), err, sizeof err));
    assert_memory_equal(err, "line 2 column ", 14);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1) + 1];
    for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        char err[64] = "";
        json_t *v = json_parse(sv_mem(text, 2 * (size_t)depth), err, sizeof err);
        if (depth <= JSON_DEPTH_MAX) {
            assert_non_null(v);
        } else {
            assert_null(v);
            assert_non_null(strstr(err, "nested"));
        }
        json_free(&v);
    }
    /* Brackets in strings are no nesting; an endless row of siblings is none either. */
    char flat[1024] = "[";
    for (int i = 0; i < 200; i++) {
        strncat(flat, "[],", sizeof flat - strlen(flat) - 1);
    }
    strncat(flat, "\"[[[[\"]", sizeof flat - strlen(flat) - 1);
    json_t *v = json_parse(sv_of(flat), NULL, 0);
    assert_non_null(v);
    json_free(&v);
}

static void prints(void **state)
{
    (void)state;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
    json_t *v ATTR_CLEANUP(json_free) = json_parse(SV("{\"z\":0.1,\"a\":[true,null,\"\xc3\xa9\\n\"]}"), NULL, 0);
    assert_true(json_print(&b, v));
    assert_string_equal(buf_cstr(&b), "{\"z\":0.1,\"a\":[true,null,\"\xc3\xa9\\n\"]}");
    buf_reset(&b);
    assert_true(json_print_sorted(&b, v));
    assert_string_equal(buf_cstr(&b), "{\"a\":[true,null,\"\xc3\xa9\\n\"],\"z\":0.1}");
    buf_reset(&b);
    json_t *s ATTR_CLEANUP(json_free) = json_string("x");
    assert_true(json_print(&b, s));
    assert_string_equal(buf_cstr(&b), "\"x\"");
}

static void print_is_all_or_nothing(void **state)
{
    (void)state;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(10);
    json_t *v ATTR_CLEANUP(json_free) = json_parse(SV("[1,2,3,4,5,6,7,8,9]"), NULL, 0);
    assert_true(buf_str(&b, "ab"));
    assert_false(json_print(&b, v));
    assert_int_equal(b.n, 2);
    assert_true(b.full);
}

static void getters(void **state)
{
    (void)state;
    json_t *v ATTR_CLEANUP(json_free) = json_parse(
        SV("{\"choices\":[{\"delta\":{\"content\":\"hi\",\"n\":7,\"f\":true,\"r\":1.5}}],\"0\":\"zero\",\"e\":\"\"}"),
        NULL, 0);
    assert_true(sv_eqc(json_sv(v, "choices.0.delta.content"), "hi"));
    assert_true(sv_eqc(json_sv(v, "0"), "zero"));
    assert_non_null(json_sv(v, "e").p);
    assert_int_equal(json_sv(v, "e").n, 0);
    assert_null(json_sv(v, "choices.1.delta.content").p);
    assert_null(json_sv(v, "choices.x").p);
    assert_null(json_sv(v, "choices.0.delta.n").p);
    assert_null(json_sv(v, "choices.0.delta.content.deeper").p);
    assert_int_equal(json_i64(v, "choices.0.delta.n", -1), 7);
    assert_int_equal(json_i64(v, "choices.0.delta.r", -1), -1);
    assert_int_equal(json_i64(v, "nothing", 42), 42);
    assert_true(json_flag(v, "choices.0.delta.f", false));
    assert_true(json_flag(v, "nothing", true));
    assert_ptr_equal(json_at(v, ""), v);
    assert_null(json_at(NULL, "a"));
}

static void put_cleans(void **state)
{
    (void)state;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
    json_t *o ATTR_CLEANUP(json_free) = json_object();
    json_put(o, "plain", SV("ok"));
    json_put(o, "absent", SV_NULL);
    json_put(o, "empty", SV(""));
    json_put(o, "bad", SV("a\xff\x62"));
    json_put(o, "nul", SV("x\0y"));
    assert_true(json_print(&b, o));
    assert_string_equal(buf_cstr(&b), "{\"plain\":\"ok\",\"empty\":\"\",\"bad\":\"a\xEF\xBF\xBD"
                                      "b\",\"nul\":\"x\xEF\xBF\xBDy\"}");
    json_t *again ATTR_CLEANUP(json_free) = json_parse(buf_view(&b), NULL, 0);
    assert_true(json_equal(o, again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),         cmocka_unit_test(refuses),
        cmocka_unit_test(depth_is_bounded), cmocka_unit_test(prints),
        cmocka_unit_test(print_is_all_or_nothing), cmocka_unit_test(getters),
        cmocka_unit_test(put_cleans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
