/*
 * test_evidence.c: other output becomes lines and has limits, reports are written, kept in number, and never needed.
 * Runs in: unit tests.     Owns: its scratch folder.
 * Never: starts a process.
 * Tested in: itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/crashdir.h"
#include "supervisor/sup.h"

static struct sup s;
static struct child c;
static char dir[] = "/tmp/tenaza-evidence-XXXXXX";
static char folder[64];
static int pipe_in, log_pipe[2];

static int setup(void **state)
{
    (void)state;
    memset(dir + strlen(dir) - 6, 'X', 6);
    assert_non_null(mkdtemp(dir));
    sv_copy(s.state_dir, sizeof s.state_dir, sv_of(dir));
    crash_dir(dir, folder, sizeof folder);
    s.loop = ev_loop_new(EVFLAG_AUTO);
    memset(&c, 0, sizeof c);
    c.sup = &s;
    c.evidence.out.fd = -1;
    c.security.group = -1;
    c.inc = 5;
    c.pid = 4711;
    sv_copy(c.name, sizeof c.name, SV("irc/default"));
    pipe_in = evidence_outpipe(&c);
    assert_true(pipe_in >= 0);
    int fd = evidence_recorder(&c);
    assert_true(fd >= 0);
    fd_close(&fd);
    evidence_spawned(&c, true);
    assert_int_equal(pipe2(log_pipe, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(fcntl(log_pipe[1], F_SETPIPE_SZ, 1 << 20) > 0, 1);
    log_init("supervisor", 0, LOG_STYLE_PLAIN, log_pipe[1]);
    log_set_console(-1);
    log_set_level(LOG_L_INFO);
    return 0;
}

static int teardown(void **state)
{
    static struct crash list[CRASH_KEEP * 2];

    (void)state;
    clock_test_set(-1, -1);
    evidence_free(&c);
    ev_loop_destroy(s.loop);
    fd_close(&pipe_in);
    fd_close(&log_pipe[0]);
    fd_close(&log_pipe[1]);
    log_init("", 0, LOG_STYLE_PLAIN, -1);
    for (size_t n = crash_list(folder, list, ARRAY_LEN(list)); n > 0; n--) {
        char *path = xasprintf("%s/%s.txt", folder, list[n - 1].id);
        unlink(path);
        xfree(path);
    }
    char *seen = xasprintf("%s/.seen", folder);
    unlink(seen);
    xfree(seen);
    unlink(folder);
    rmdir(folder);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void write_all(const char *text)
{
    assert_int_equal(fd_write_all(pipe_in, text, strlen(text)), OK);
    ev_run(s.loop, EVRUN_NOWAIT);
}

static const char *logged(void)
{
    static char text[1 << 20];
    ssize_t n = read(log_pipe[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void stray_output_becomes_lines(void **state)
{
    (void)state;
    write_all("one\ntw");
    const char *text = logged();
    assert_non_null(strstr(text, "\"level\":\"warn\",\"worker\":\"irc/default\",\"pid\":4711,\"msg\":\"one\",\"inc\":5}"));
    assert_null(strstr(text, "tw"));
    write_all("o\n\n\r\n");
    assert_non_null(strstr(logged(), "\"msg\":\"two\""));
    write_all("no end");
    evidence_ended(&c);
    assert_non_null(strstr(logged(), "\"msg\":\"no end\""));
    assert_int_equal(c.evidence.out.lines_total, 3);
    assert_int_equal(c.evidence.out.fd, -1);
}

static void a_flood_is_counted_and_left_in_the_pipe(void **state)
{
    (void)state;
    char chunk[4096];
    size_t sent = 0;

    clock_test_set(5000, 1000000);
    assert_int_equal(fcntl(pipe_in, F_SETFL, O_NONBLOCK), 0);
    for (size_t i = 0; i < sizeof chunk; i++) {
        chunk[i] = i % 64 == 63 ? '\n' : 'x';
    }
    for (int i = 0; i < 1000; i++) {
        ssize_t n = write(pipe_in, chunk, sizeof chunk);
        sent += n > 0 ? (size_t)n : 0;
        ev_run(s.loop, EVRUN_NOWAIT);
    }
    /* The clock stands still: it is one second all the time. Not more was taken than it may have. */
    assert_true(sent >= 256 * 1024 && sent < 512 * 1024);
    assert_true(c.evidence.out.lines <= 200);
    assert_true(c.evidence.out.left_out_total > 3000);
    assert_int_equal(write(pipe_in, chunk, sizeof chunk), -1);
    assert_int_equal(errno, EAGAIN); /* it is the writer who waits */
    clock_test_set(6001, 1000000);
    evidence_ended(&c);
    assert_non_null(strstr(logged(), "lines of its output left out"));
}

static void a_report_says_what_is_known(void **state)
{
    (void)state;
    const struct death d = {.code = CLD_KILLED, .status = SIGSEGV, .max_rss_kb = 2048, .user_us = 1500000};
    struct crash list[2];
    struct buf b = BUF_INIT(1 << 20);

    clock_test_set(90000, 1795197871123);
    c.started_ms = 30000;
    sv_copy(c.last_exit, sizeof c.last_exit, SV("signal 11 (SIGSEGV)"));
    sv_copy(c.status, sizeof c.status, SV("con\x1b[31mnected"));
    write_all("loader: something is missing\n");
    evidence_ended(&c);
    obituary_write(&c, &d);
    assert_int_equal(crash_list(folder, list, 2), 1);
    assert_string_equal(list[0].id, "irc_default-20261120T180431.123Z");
    assert_int_equal(list[0].at_ms, 1795197871123);
    char *path = xasprintf("%s/%s.txt", folder, list[0].id);
    assert_int_equal(file_read(path, &b), OK);
    xfree(path);
    const char *parts[] = {"worker:      irc/default\n", "cause:       signal 11 (SIGSEGV)\n", "touched memory",
                           "pid:         4711, incarnation 5", "2.0 MB at most, 1.50 s user", ", never ready\n",
                           "status:      con [31mnected\n", "was doing:   nothing yet", "loader: something is missing\n"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strstr(buf_cstr(&b), parts[i]) == NULL) {
            fail_msg("no \"%s\" in:\n%s", parts[i], buf_cstr(&b));
        }
    }
    buf_free(&b);
}

static void an_end_that_was_asked_for_is_no_death(void **state)
{
    (void)state;
    struct crash one;
    const struct death d = {.code = CLD_EXITED, .status = 0, .asked = true};

    obituary_write(&c, &d);
    assert_int_equal(crash_list(folder, &one, 1), 0);
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    static struct crash list[CRASH_KEEP * 2];
    const struct death d = {.code = CLD_KILLED, .status = SIGKILL};

    for (int i = 0; i < CRASH_KEEP + 7; i++) {
        clock_test_set(1000, 1795197871000 + i * 1000);
        obituary_write(&c, &d);
    }
    size_t n = crash_list(folder, list, ARRAY_LEN(list));
    assert_int_equal(n, CRASH_KEEP);
    assert_int_equal(list[0].at_ms, 1795197871000 + (CRASH_KEEP + 6) * 1000);
    assert_int_equal(list[n - 1].at_ms, 1795197871000 + 7 * 1000);
    assert_int_equal(crash_seen(folder), 0);
    crash_set_seen(folder);
    assert_true(crash_seen(folder) > 0);
}

static void what_cannot_be_written_is_one_line(void **state)
{
    (void)state;
    const struct death d = {.code = CLD_KILLED, .status = SIGKILL};
    int fd = open(folder, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* a file where the folder should be */

    fd_close(&fd);
    obituary_write(&c, &d);
    assert_non_null(strstr(logged(), "its crash report is not kept: Not a directory"));
}

static void names_that_are_no_reports(void **state)
{
    (void)state;
    int64_t at;
    assert_true(crash_id_parse("store-20261120T180431.123Z", &at));
    const char *bad[] = {"", "store", "-20261120T180431.123Z", "../x-20261120T180431.123Z", "store-20261320T180431.123Z",
                         "store-20261120T180431.123", ".x-20261120T180431.123Z", "store-2026112XT180431.123Z"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(crash_id_parse(bad[i], &at));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stray_output_becomes_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_is_counted_and_left_in_the_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(a_report_says_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_that_was_asked_for_is_no_death, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_newest_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_one_line, setup, teardown),
        cmocka_unit_test(names_that_are_no_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
