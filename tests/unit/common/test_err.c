/*
 * test_err.c: the table of codes, and the ends of a process: die, panic, crash points.
 * Runs in: unit tests.     Owns: child processes that end as planned.
 * Never: ends the test process itself.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"

static void test_table(void **state)
{
    UNUSED(state);
    assert_string_equal(err_name(OK), "OK");
    assert_string_equal(err_name(ERR_BUSY), "BUSY");
    assert_string_equal(err_name(-9999), "?");
    assert_string_equal(err_name(2), "?"); /* codes are negative */
    assert_true(err_retryable(ERR_TIMEOUT));
    assert_false(err_retryable(ERR_BAD));
    assert_false(err_retryable(OK));
    assert_false(err_retryable(-9999));
    assert_int_equal(err_from_name("FENCED"), ERR_FENCED);
    assert_int_equal(err_from_name("OK"), OK);
    assert_int_equal(err_from_name("fenced"), ERR_INTERNAL);
    assert_int_equal(err_from_name(NULL), ERR_INTERNAL);
    assert_int_equal(ERR_TIMEOUT, -1);
}

static void test_every_row(void **state)
{
    UNUSED(state);
    static const int codes[] = {
#define ERR(num, name, retryable, text) ERR_##name,
#include "proto/errors.def"
#undef ERR
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_int_equal(err_from_name(err_name(codes[i])), codes[i]);
        assert_true(strlen(err_text(codes[i])) > 5);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
        }
    }
}

static void hook(const char *text)
{
    dprintf(STDERR_FILENO, "hook: %s\n", text);
}

static void hook_that_panics(const char *text)
{
    UNUSED(text);
    panic("again");
}

static void end_by_die(void)
{
    die(EXIT_CONFIG, "cannot use %s", "it");
}

static void end_by_panic(void)
{
    panic_hook = hook;
    ASSERT(1 + 1 == 3);
}

static void end_by_double_panic(void)
{
    panic_hook = hook_that_panics;
    panic("first");
}

/* Runs fn in a child with stderr in a pipe; returns the wait status, the output in *out. */
static int child(void (*fn)(void), struct buf *out)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(p[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(p[1]);
    assert_int_equal(fd_read_all(p[0], out), OK);
    close(p[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_die(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
    int status = child(end_by_die, &out);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_CONFIG);
    assert_non_null(strstr(buf_cstr(&out), " ERROR cannot use it\n"));
}

static void test_panic(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
    int status = child(end_by_panic, &out);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(buf_cstr(&out), "panic: tests/unit/common/test_err.c:"));
    assert_non_null(strstr(buf_cstr(&out), "hook: tests/unit/common/test_err.c:"));
    assert_non_null(strstr(buf_cstr(&out), "assertion failed: 1 + 1 == 3"));
    buf_reset(&out);
    status = child(end_by_double_panic, &out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_null(strstr(buf_cstr(&out), "again"));
}

#ifdef TENAZA_CRASH_POINTS
static void third_pass(void)
{
    setenv("TENAZA_CRASH_AT", "site.b:3", 1);
    for (int i = 1; i < 5; i++) {
        crash_point("site.a");
        dprintf(STDERR_FILENO, "%d", i);
        crash_point("site.b");
    }
}

static void bad_count(void)
{
    setenv("TENAZA_CRASH_AT", "site.b:0", 1);
    crash_point("site.b");
}

static void test_crash_point(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf out = BUF_INIT(10000);
    int status = child(third_pass, &out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_string_equal(buf_cstr(&out), "123");
    status = child(bad_count, &out);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_die),
        cmocka_unit_test(test_panic),
#ifdef TENAZA_CRASH_POINTS
        cmocka_unit_test(test_crash_point),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
