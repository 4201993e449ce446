/*
 * test_buf.c: the capped buffer and the malloc family.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs files; child processes only to watch a planned end.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_appends(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(1000);
    assert_string_equal(buf_cstr(&b), "");
    assert_non_null(buf_view(&b).p);
    assert_true(buf_str(&b, "one"));
    assert_true(buf_ch(&b, ' '));
    assert_true(buf_sv(&b, SV("two")));
    assert_true(buf_add(&b, "\0x", 2));
    assert_true(buf_add(&b, NULL, 0));
    assert_true(buf_str(&b, NULL));
    assert_int_equal(b.n, 9);
    assert_memory_equal(b.p, "one two\0x", 9);
    buf_reset(&b);
    assert_buf(&b, "");
    assert_true(buf_printf(&b, "%d-%s", 42, "x"));
    assert_string_equal(buf_cstr(&b), "42-x");
}

static void test_cap_is_exact(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(5);
    assert_true(buf_str(&b, "abcde"));
    assert_false(b.full);
    assert_string_equal(buf_cstr(&b), "abcde"); /* the terminator needs no room under the cap */
    assert_true(buf_add(&b, "", 0));
    assert_false(buf_ch(&b, 'f'));
    assert_true(b.full);
    assert_false(buf_add(&b, "", 0)); /* stays refused: the chain has a hole */
    assert_buf(&b, "abcde");
    buf_reset(&b);
    assert_true(buf_str(&b, "xy"));
    assert_false(buf_str(&b, "1234")); /* as a whole: not even the three that would fit */
    assert_buf(&b, "xy");
    buf_reset(&b);
    assert_false(buf_add(&b, "x", SIZE_MAX)); /* no overflow in the sum */
    assert_int_equal(b.n, 0);
}

static void test_zero_cap(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(0);
    assert_false(buf_ch(&b, 'x'));
    assert_null(buf_room(&b, 1));
    char *p = buf_take(&b);
    assert_string_equal(p, "");
    xfree(p);
    buf_free(&b);
}

static void test_printf_growth(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(3000);
    for (int i = 0; i < 1000; i++) {
        assert_true(buf_printf(&b, "%03d", i));
    }
    assert_int_equal(b.n, 3000);
    assert_memory_equal(b.p + 999 * 3, "999", 3);
    assert_false(buf_printf(&b, "%s", "!"));
    assert_int_equal(b.n, 3000);
    assert_memory_equal(b.p + 999 * 3, "999", 3);
    buf_reset(&b);
    assert_false(buf_printf(&b, "%*d", 3001, 1));
    assert_int_equal(b.n, 0);
}

static void test_room_and_drop(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(100);
    char *at = buf_room(&b, 10);
    assert_non_null(at);
    memcpy(at, "0123456789", 10);
    b.n += 10;
    assert_null(buf_room(&b, 91));
    b.full = false;
    assert_non_null(buf_room(&b, 90));
    buf_drop_front(&b, 0);
    buf_drop_front(&b, 4);
    assert_buf(&b, "456789");
    buf_drop_front(&b, 100);
    assert_buf(&b, "");
}

static void test_take(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(100);
    buf_str(&b, "mine");
    char *p = buf_take(&b);
    assert_string_equal(p, "mine");
    xfree(p);
    assert_null(b.p);
    assert_true(buf_str(&b, "again")); /* usable afterwards */
    assert_buf(&b, "again");
    buf_free(&b);
    buf_free(&b);
}

static void test_json_str(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(200);
    assert_true(buf_json_str(&b, (sv){"a\"b\\c\n\r\t\x01\x7f\0z", 12}));
    assert_buf(&b, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f\\u0000z\"");
    buf_reset(&b);
    assert_true(buf_json_str(&b, SV("\xc3\xa9\xf0\x9f\x98\x80\xff|\xc3")));
    assert_buf(&b, "\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd|\xef\xbf\xbd\"");
    buf_reset(&b);
    assert_true(buf_json_str(&b, SV_NULL));
    assert_buf(&b, "\"\"");
}

static void test_json_str_refused_whole(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(8);
    buf_str(&b, "k:");
    assert_false(buf_json_str(&b, SV("12345")));
    assert_buf(&b, "k:");
    b.full = false;
    assert_true(buf_json_str(&b, SV("1234")));
    assert_buf(&b, "k:\"1234\"");
}

static void test_xmalloc(void **state)
{
    UNUSED(state);
    void *p = xmalloc(0);
    assert_non_null(p);
    p = xrealloc(p, 10);
    p = xrealloc(p, 0);
    assert_non_null(p);
    xfree(p);
    xfree(NULL);
    char *z = xcalloc(3, 5);
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(z[i], 0);
    }
    xfree(z);
    ATTR_CLEANUP(xfree_p) char *a = xasprintf("%s/%d", "x", 7);
    assert_string_equal(a, "x/7");
    ATTR_CLEANUP(xfree_p) char *d = xstrndup("abcdef", 3);
    assert_string_equal(d, "abc");
    ATTR_CLEANUP(xfree_p) char *e = xsvdup(SV_NULL);
    assert_string_equal(e, "");
    ATTR_CLEANUP(xfree_p) char *f = xstrdup("dup");
    assert_string_equal(f, "dup");
}

static void test_xcalloc_overflow_panics(void **state)
{
    UNUSED(state);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        xfree(xcalloc(SIZE_MAX / 2, 3));
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),       cmocka_unit_test(test_cap_is_exact),
        cmocka_unit_test(test_zero_cap),      cmocka_unit_test(test_printf_growth),
        cmocka_unit_test(test_room_and_drop), cmocka_unit_test(test_take),
        cmocka_unit_test(test_json_str),      cmocka_unit_test(test_json_str_refused_whole),
        cmocka_unit_test(test_xmalloc),       cmocka_unit_test(test_xcalloc_overflow_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
