/*
 * test_log.c: the three forms of a line, levels, limits of rate and length, escaping.
 * Runs in: unit tests.     Owns: pipes in place of stderr and of the log file.
 * Never: writes to the real stderr while a line is expected.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"

#define T0 INT64_C(1795197871123) /* 2026-11-20T18:04:31.123Z */

static char got[20000];
static int stderr_saved, console[2], file[2];

static const char *drain(int fd)
{
    ssize_t n = read(fd, got, sizeof(got) - 1);
    got[n > 0 ? n : 0] = '\0';
    return got;
}

static int setup(void **state)
{
    UNUSED(state);
    setenv("TZ", "UTC", 1);
    tzset();
    stderr_saved = dup(STDERR_FILENO);
    if (pipe2(console, O_NONBLOCK | O_CLOEXEC) != 0 || pipe2(file, O_NONBLOCK | O_CLOEXEC) != 0) {
        return -1;
    }
    dup2(console[1], STDERR_FILENO);
    clock_test_set(1000, T0);
    log_init("edge", 3, LOG_STYLE_PLAIN, file[1]);
    log_set_level(LOG_L_INFO);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    dup2(stderr_saved, STDERR_FILENO);
    close(stderr_saved);
    for (int i = 0; i < 2; i++) {
        close(console[i]);
        close(file[i]);
    }
    log_init("", 0, LOG_STYLE_PLAIN, -1);
    log_set_console(STDERR_FILENO);
    log_tap = NULL;
    clock_test_set(-1, -1);
    return 0;
}

static void test_before_init(void **state)
{
    UNUSED(state);
    log_init("", 0, LOG_STYLE_PLAIN, -1);
    log_warn("early");
    assert_string_equal(drain(console[0]), "18:04:31 WARN early\n");
}

static void test_forms(void **state)
{
    UNUSED(state);
    log_info("ready on %d", 18789);
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  ready on 18789\n");
    char want[200];
    snprintf(want, sizeof(want),
             "{\"ts\":\"2026-11-20T18:04:31.123000Z\",\"level\":\"info\",\"worker\":\"edge\",\"pid\":%d,"
             "\"msg\":\"ready on 18789\",\"inc\":3}\n",
             (int)getpid());
    assert_string_equal(drain(file[0]), want);
    log_init("edge", 3, LOG_STYLE_PREFIX, -1);
    log_error("said \"no\"");
    assert_string_equal(drain(console[0]), "<3>w=edge inc=3 msg=\"said \\\"no\\\"\"\n");
    assert_string_equal(drain(file[0]), "");
}

/* Each line is one datagram of fields, as journald takes it; nothing in a message can make a second field. */
static void test_journal(void **state)
{
    UNUSED(state);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    log_init("edge", 3, LOG_STYLE_JOURNAL, -1);
    log_set_console(pair[1]);
    log_warn("a\nPRIORITY=0 \"b\"");
    assert_string_equal(drain(pair[0]), "PRIORITY=4\nSYSLOG_IDENTIFIER=tenaza\nTENAZA_WORKER=edge\nTENAZA_INC=3\n"
                                        "MESSAGE=a\\nPRIORITY=0 \"b\"\n");
    log_context_set(7, SV("r-1"), SV("0123456789abcdef"));
    log_info("x");
    assert_string_equal(drain(pair[0]), "PRIORITY=6\nSYSLOG_IDENTIFIER=tenaza\nTENAZA_WORKER=edge\nTENAZA_INC=3\n"
                                        "TENAZA_RUN=r-1\nTENAZA_TRACE=30313233343536373839616263646566\nMESSAGE=x\n");
    log_context_end();
    close(pair[0]);
    log_info("nobody reads"); /* lost, and nothing else */
    close(pair[1]);
}

static void test_context(void **state)
{
    UNUSED(state);
    struct log_context place = {0};
    log_context_set(9, SV("run\n1"), SV_NULL);
    log_context_move(&place);
    assert_int_equal(place.message, 9);
    assert_int_equal(place.at_ms, T0);
    log_info("one");
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  one  run=run\\n1\n");
    assert_non_null(strstr(drain(file[0]), "\"msg\":\"one\",\"run\":\"run\\n1\",\"inc\":3}\n"));
    log_context_end();
    assert_string_equal(place.run, "run\n1"); /* kept for the recorder, but no longer in lines */
    log_info("two");
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  two\n");
    log_context_set(1, SV_NULL, SV_NULL);
    assert_string_equal(place.run, "");
    log_context_end();
    static struct log_context home; /* `place` ends with this function */
    log_context_move(&home);
    drain(file[0]);
}

static void test_foreign(void **state)
{
    UNUSED(state);
    const struct log_origin from = {"irc/default", 12, 99};
    log_foreign(&from, LOG_L_WARN, SV("oops\x1b[31m"));
    assert_string_equal(drain(console[0]), "18:04:31 WARN irc/default  oops\\u001b[31m\n");
    assert_non_null(strstr(drain(file[0]), "\"worker\":\"irc/default\",\"pid\":99,\"msg\":\"oops\\u001b[31m\",\"inc\":12}\n"));
    log_foreign(&from, LOG_L_DEBUG, SV("below the level"));
    assert_string_equal(drain(console[0]), "");
}

static void test_escaping(void **state)
{
    UNUSED(state);
    log_info("a\nb \"q\" c\\d \x1b[31m \xff");
    assert_string_equal(drain(console[0]),
                        "18:04:31 INFO edge  a\\nb \"q\" c\\d \\u001b[31m \xef\xbf\xbd\n");
    assert_non_null(strstr(drain(file[0]), "\"msg\":\"a\\nb \\\"q\\\" c\\\\d \\u001b[31m \xef\xbf\xbd\","));
}

static void test_levels(void **state)
{
    UNUSED(state);
    enum log_level l = LOG_L_TRACE;
    assert_true(log_level_parse("warn", &l));
    assert_int_equal(l, LOG_L_WARN);
    assert_true(log_level_parse("DEBUG", &l));
    assert_int_equal(l, LOG_L_DEBUG);
    assert_false(log_level_parse("warning", &l));
    assert_false(log_level_parse("", &l));
    log_set_level(LOG_L_WARN);
    log_info("not shown");
    log_warn("shown");
    assert_string_equal(drain(console[0]), "18:04:31 WARN edge  shown\n");
    log_set_level(LOG_L_TRACE);
    log_trace("t");
    assert_string_equal(drain(console[0]), "18:04:31 TRACE edge  t\n");
}

static size_t tapped;
static void tap(const char *line, size_t n)
{
    assert_int_equal(line[n - 1], '\n');
    tapped += n;
}

static void test_console_off_and_tap(void **state)
{
    UNUSED(state);
    log_set_console(-1);
    log_tap = tap;
    log_info("quiet");
    assert_string_equal(drain(console[0]), "");
    assert_non_null(strstr(drain(file[0]), "quiet"));
    assert_int_equal(tapped, strlen("18:04:31 INFO edge  quiet\n"));
}

static void one_site(void)
{
    log_info("x");
}

static size_t count_lines(void)
{
    size_t n = 0;
    for (const char *at = drain(console[0]); (at = strchr(at, '\n')) != NULL; at++) {
        n++;
    }
    return n;
}

static void test_rate(void **state)
{
    UNUSED(state);
    for (int i = 0; i < 25; i++) {
        one_site();
    }
    assert_int_equal(count_lines(), 10);
    log_info("another site");
    assert_int_equal(count_lines(), 1);
    clock_test_set(1999, T0);
    one_site();
    assert_int_equal(count_lines(), 0);
    clock_test_set(2000, T0);
    one_site();
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  x (16 like this left out)\n");
    one_site();
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  x\n");
    for (int i = 0; i < 100; i++) {
        log_at(NULL, LOG_L_ERROR, "no limit");
    }
    assert_int_equal(count_lines(), 100);
}

static void check_cut(const char *line)
{
    size_t n = strlen(line);
    assert_in_range(n, 3000, 4096);
    assert_int_equal(line[n - 1], '\n');
    assert_non_null(strstr(line + n - 20, "..."));
    assert_true(utf8_valid((sv){line, n}));
}

static void test_length(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf big = BUF_INIT(20000);
    buf_ch(&big, 'x'); /* so that the limit falls inside a character */
    while (buf_str(&big, "\xe2\x82\xac")) {
    }
    log_info("%s", buf_cstr(&big));
    check_cut(drain(console[0]));
    check_cut(drain(file[0]));
    buf_reset(&big);
    while (buf_str(&big, "\x01")) { /* six characters each: the line ends before the message does */
    }
    log_info("%s", buf_cstr(&big));
    check_cut(drain(console[0]));
    check_cut(drain(file[0]));
    assert_non_null(strstr(got, "...\",\"inc\":3}\n"));
    log_init("edge", 3, LOG_STYLE_PREFIX, -1);
    log_info("%s", buf_cstr(&big));
    check_cut(drain(console[0]));
    assert_string_equal(got + strlen(got) - 5, "...\"\n");
}

static void test_long_name_and_errno(void **state)
{
    UNUSED(state);
    char name[300];
    memset(name, 'n', sizeof(name));
    name[299] = '\0';
    log_init(name, UINT64_MAX, LOG_STYLE_PLAIN, file[1]);
    errno = ENOENT;
    log_info("msg");
    assert_int_equal(errno, ENOENT);
    drain(console[0]);
    assert_non_null(strstr(drain(file[0]), "\"msg\":\"msg\",\"inc\":18446744073709551615}\n"));
}

static void test_lost_descriptor(void **state)
{
    UNUSED(state);
    log_init("edge", 3, LOG_STYLE_PLAIN, 1000000); /* not open: the line is lost, nothing else happens */
    log_info("still here");
    assert_string_equal(drain(console[0]), "18:04:31 INFO edge  still here\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_before_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_context, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escaping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_console_off_and_tap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_length, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_name_and_errno, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
