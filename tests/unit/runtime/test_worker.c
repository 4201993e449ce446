/*
 * test_worker.c: the skeleton of a worker, run in a child process with us as its supervisor.
 * Runs in: tests.     Owns: one child at a time.
 * Never: waits without a limit.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/file.h"
#include "proto/control.h"
#include "workers/runtime/lastwords.h"
#include "workers/runtime/worker.h"

static int ctl = -1, log_fd = -1;
static pid_t child;

/* ---- the worker in the child ----------------------------------------------------------------------- */

static int plain_init(struct worker *w)
{
    worker_status(w, "%s#%d in %s", worker_name(w), (int)worker_inc(w), worker_run_dir(w));
    worker_status(w, "%s#%d in %s", worker_name(w), (int)worker_inc(w), worker_run_dir(w)); /* no news */
    worker_ready(w);
    worker_ready(w);
    return 0;
}

static void on_peer(struct worker *w, bool up, const char *name, uint64_t inc, int32_t pid)
{
    worker_status(w, "%s %s#%d pid %d", up ? "up" : "gone", name, (int)inc, (int)pid);
}

static void slow_drain(struct worker *w, int64_t within_ms)
{
    worker_status(w, "draining in %d ms", (int)within_ms);
}

static void quick_drain(struct worker *w, int64_t within_ms)
{
    UNUSED(within_ms);
    worker_drained(w);
    worker_drained(w);
}

static void on_stop(struct worker *w)
{
    UNUSED(w);
    ssize_t n = write(LOG_FD, "stopped\n", 8);
    UNUSED(n);
}

static int failing_init(struct worker *w)
{
    worker_fail(w, EXIT_CONFIG, "key %s is wrong", "irc.host");
    return EXIT_CONFIG;
}

static int panicking_init(struct worker *w)
{
    UNUSED(w);
    panic("the impossible happened");
}

static int crashing_init(struct worker *w)
{
    UNUSED(w);
    (void)raise(SIGSEGV);
    return 0;
}

static const struct worker_ops plain = {.kind = "test", .init = plain_init, .peer = on_peer, .stop = on_stop};
static const struct worker_ops slow = {.kind = "test", .init = plain_init, .drain = slow_drain};
static const struct worker_ops quick = {.kind = "test", .init = plain_init, .drain = quick_drain};
static const struct worker_ops failing = {.kind = "test", .init = failing_init};
static const struct worker_ops panicking = {.kind = "test", .init = panicking_init};
static const struct worker_ops crashing = {.kind = "test", .init = crashing_init};
static const struct worker_ops connected = {.kind = "test", .planes = PLANES_BOTH, .init = plain_init};

/* ---- us as the supervisor -------------------------------------------------------------------------- */

static int section_fd(void)
{
    struct conf c = {0};
    struct buf b = BUF_INIT(4096);
    conf_set_str(&c, "run.dir", SV("/tmp/nowhere"));
    assert_true(conf_encode(&c, &b));
    int fd = memfd_create("section", 0);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, b.p, b.n), OK);
    buf_free(&b);
    conf_free(&c);
    return fd;
}

static void move_fd(int from, int to)
{
    if (dup2(from, to) < 0) {
        _exit(99);
    }
}

/* The worker's main with this command line, its words separated by '|'. */
static int run_worker(const struct worker_ops *ops, const char *line)
{
    char *argv[8], *rest = xstrdup(line), *whole = rest;
    int argc = 0;
    for (char *word; argc < 7 && (word = strsep(&rest, "|")) != NULL;) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    int rc = worker_main(argc, argv, ops);
    xfree(whole);
    return rc;
}

static void spawn_with(const struct worker_ops *ops, const char *line)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    int section = section_fd();
    log_fd = memfd_create("log", 0);
    assert_true(log_fd >= 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(30);
        static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS}; /* by cmocka, to go on testing */
        for (size_t i = 0; i < ARRAY_LEN(caught); i++) {
            struct sigaction dfl = {.sa_handler = SIG_DFL};
            (void)sigaction(caught[i], &dfl, NULL);
        }
        /* above the target numbers first, so that nothing is overwritten */
        int a = fcntl(pair[1], F_DUPFD, 20), b = fcntl(section, F_DUPFD, 20), c = fcntl(log_fd, F_DUPFD, 20);
        move_fd(a, CTL_FD);
        move_fd(b, CONF_FD);
        move_fd(c, LOG_FD);
        (void)close_range(6, ~0u, 0);
        move_fd(open("/dev/null", O_WRONLY), STDERR_FILENO);
        exit(run_worker(ops, line));
    }
    (void)close(pair[1]);
    (void)close(section);
    ctl = pair[0];
}

static void spawn(const struct worker_ops *ops)
{
    spawn_with(ops, "tenaza-test|--name|irc/default|--inc|7");
}

/* Next packet but beats, within 5 s; false: the worker closed the channel. */
static bool next_packet(struct ctl_packet *p)
{
    struct pollfd pf = {.fd = ctl, .events = POLLIN};
    for (;;) {
        assert_int_equal(poll(&pf, 1, 5000), 1);
        int fd, rc = ctl_recv(ctl, p, &fd);
        if (rc == ERR_CLOSED) {
            return false;
        }
        assert_int_equal(rc, OK);
        if (p->type != CTL_BEAT) {
            return true;
        }
        /* What it uses: for a supervisor that may not look. */
        uint64_t rss_kb;
        sv text = sv_of(p->text);
        assert_true(sv_u64(sv_cut(&text, ' '), &rss_kb) && rss_kb > 100 && !sv_empty(text));
    }
}

static void expect(uint16_t type, const char *text)
{
    struct ctl_packet p;
    assert_true(next_packet(&p));
    assert_string_equal(ctl_name(p.type), ctl_name(type));
    if (text) {
        assert_string_equal(p.text, text);
    }
}

static void send_packet(uint16_t type, const char *name, uint64_t num, int32_t pid)
{
    struct ctl_packet p = {.type = type, .num = num, .pid = pid};
    (void)sv_copy(p.name, sizeof p.name, sv_of(name));
    assert_int_equal(ctl_send(ctl, &p, -1), OK);
}

static int reap(void)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    child = 0;
    return status;
}

static void expect_exit(int code)
{
    int status = reap();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static bool log_has(const char *text)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    assert_int_equal(lseek(log_fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(log_fd, &b), OK);
    bool found = sv_find(buf_view(&b), sv_of(text)) >= 0;
    buf_free(&b);
    return found;
}

static int teardown(void **state)
{
    (void)state;
    if (child > 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        child = 0;
    }
    fd_close(&ctl);
    fd_close(&log_fd);
    return 0;
}

static void expect_start(void)
{
    struct ctl_packet p;
    assert_true(next_packet(&p));
    assert_int_equal(p.type, CTL_HELLO);
    assert_true(p.num == (uint64_t)child);
    assert_int_equal(p.pid, child);
    assert_string_equal(p.text, ctl_build_id);
    expect(CTL_STATUS, "irc/default#7 in /tmp/nowhere");
    expect(CTL_READY, NULL);
}

static void test_start_and_drain(void **state)
{
    (void)state;
    spawn(&plain);
    expect_start();
    send_packet(CTL_LOG_LEVEL, NULL, 4, 0);
    send_packet(CTL_DRAIN, NULL, 1000, 0);
    expect(CTL_DRAINED, NULL);
    expect_exit(0);
    assert_true(log_has("stopped\n"));
}

static void test_peers(void **state)
{
    (void)state;
    spawn(&plain);
    send_packet(CTL_PEER_UP, "agent-1", 3, 4711);
    send_packet(CTL_PEER_GONE, "agent-1", 3, 0);
    expect_start();
    expect(CTL_STATUS, "up agent-1#3 pid 4711");
    expect(CTL_STATUS, "gone agent-1#3 pid 0");
}

static void test_supervisor_gone(void **state)
{
    (void)state;
    spawn(&slow); /* it would not drain by itself */
    expect_start();
    fd_close(&ctl);
    int64_t began = clock_mono_ms();
    expect_exit(0);
    assert_true(clock_mono_ms() - began < 1500);
}

static void test_supervisor_gone_while_planes_are_unconnected(void **state)
{
    (void)state;
    spawn(&connected);
    expect_start();
    fd_close(&ctl);
    int64_t began = clock_mono_ms();
    expect_exit(0); /* HELLOs wait in sockets that linger; nobody waits for them */
    assert_true(clock_mono_ms() - began < 1500);
}

static void test_terminated(void **state)
{
    (void)state;
    spawn(&quick);
    expect_start();
    assert_int_equal(kill(child, SIGINT), 0); /* ignored */
    assert_int_equal(kill(child, SIGTERM), 0);
    expect(CTL_DRAINED, NULL);
    expect_exit(0);
}

static void test_drain_deadline(void **state)
{
    (void)state;
    struct ctl_packet p;
    spawn(&slow);
    expect_start();
    send_packet(CTL_DRAIN, NULL, 200, 0);
    expect(CTL_STATUS, "draining in 200 ms");
    assert_false(next_packet(&p)); /* no DRAINED: it was not */
    expect_exit(0);
    assert_true(log_has("not drained in time"));
}

static void test_failure_is_told(void **state)
{
    (void)state;
    struct ctl_packet p;
    spawn(&failing);
    expect(CTL_HELLO, NULL);
    assert_true(next_packet(&p));
    assert_int_equal(p.type, CTL_FAIL);
    assert_true(p.num == EXIT_CONFIG);
    assert_string_equal(p.text, "key irc.host is wrong");
    expect_exit(EXIT_CONFIG);
}

static void test_panic_leaves_last_words(void **state)
{
    (void)state;
    struct ctl_packet p;
    spawn(&panicking);
    expect(CTL_HELLO, NULL);
    assert_true(next_packet(&p));
    assert_int_equal(p.type, CTL_FAIL);
    assert_non_null(strstr(p.text, "the impossible happened"));
    int status = reap();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(log_has("the impossible happened"));
}

static void test_crash_leaves_last_words(void **state)
{
    (void)state;
    spawn(&crashing);
    expect(CTL_HELLO, NULL);
    int status = reap();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    if (lastwords_active()) { /* a sanitizer has its own handler and words */
        assert_true(log_has(",\"inc\":7,\"msg\":\"died of SIGSEGV at 0x"));
        assert_true(log_has(", stack 0x"));
        assert_true(log_has("\"}\n"));
    }
}

static void test_bad_arguments(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "t|--name|x", "t|--inc|1", "t|--name||--inc|1", "t|--name|has space|--inc|1",
        "t|--name|a#1|--inc|1", "t|--name|x|--inc|0", "t|--name|x|--inc|one", "t|--name|x|--wrong|1",
        "t|--name|x|--inc", "t",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        spawn_with(&plain, rows[i]);
        expect_exit(EXIT_USAGE);
        fd_close(&ctl);
        fd_close(&log_fd);
    }
}

static void test_started_by_hand(void **state)
{
    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close_range(3, ~0u, 0);
        move_fd(open("/dev/null", O_WRONLY), STDERR_FILENO);
        exit(run_worker(&plain, "t|--name|x|--inc|1"));
    }
    expect_exit(EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_start_and_drain, teardown),
        cmocka_unit_test_teardown(test_peers, teardown),
        cmocka_unit_test_teardown(test_supervisor_gone, teardown),
        cmocka_unit_test_teardown(test_supervisor_gone_while_planes_are_unconnected, teardown),
        cmocka_unit_test_teardown(test_terminated, teardown),
        cmocka_unit_test_teardown(test_drain_deadline, teardown),
        cmocka_unit_test_teardown(test_failure_is_told, teardown),
        cmocka_unit_test_teardown(test_panic_leaves_last_words, teardown),
        cmocka_unit_test_teardown(test_crash_leaves_last_words, teardown),
        cmocka_unit_test_teardown(test_bad_arguments, teardown),
        cmocka_unit_test_teardown(test_started_by_hand, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
