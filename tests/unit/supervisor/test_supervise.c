/*
 * test_supervise.c: the supervisor's real machinery with workers that are this test program under another name.
 * Runs in: unit tests.     Owns: its scratch folder and the processes it starts, which die with it.
 * Never: opens a port other than one the kernel chose.
 * Tested in: itself.
 *
 * The programs beside "the supervisor" are links to this executable; started under such a name it plays a
 * worker whose behaviour is chosen by its kind (see play_worker).
 */
#include <dirent.h>
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/crashdir.h"
#include "supervisor/sup.h"

/* ---- the worker side ------------------------------------------------------------------------------------ */

static void say(uint16_t type, uint64_t num, const char *text)
{
    struct ctl_packet p = {.type = type, .num = num};
    sv_copy(p.text, sizeof p.text, sv_of(text));
    (void)!ctl_send(CTL_FD, &p, -1);
}

static unsigned count_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    if (d != NULL) {
        closedir(d);
    }
    return n - 1; /* the directory itself */
}

/* Whether the control socket answers a worker that asks for the status. */
static bool ctl_answers(const char *run_dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char answer[8];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.90s/ctl.sock", run_dir);
    bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 &&
              send(fd, "status\n", 7, MSG_NOSIGNAL) == 7 && recv(fd, answer, sizeof answer, 0) > 0;
    fd_close(&fd);
    return ok;
}

/* One line about what the worker inherited, for the test to read in its status. */
static void report(void)
{
    struct buf b = BUF_INIT(1 << 20);
    struct conf c = {0};
    char text[400];
    int sig = 0;
    int seals = fcntl(CONF_FD, F_GET_SEALS);
    bool ok = fd_read_all(CONF_FD, &b) == 0 && conf_decode(buf_view(&b), &c) == 0;

    prctl(PR_GET_PDEATHSIG, &sig);
    snprintf(text, sizeof text, "fds=%u sig=%d nnp=%d own=%d section=%d sealed=%d level=%s env=%d%d ctl=%d", count_fds(), sig,
             prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), getsid(0) == getpid(), ok, (seals & F_SEAL_WRITE) != 0,
             conf_str(&c, "log.level", "?"), getenv("PATH") != NULL, getenv("TENAZA_TEST_SECRET") != NULL,
             ctl_answers(conf_str(&c, "run.dir", "")));
    say(CTL_STATUS, 0, text);
    conf_free(&c);
    buf_free(&b);
}

/* Serves until DRAIN; peers it is told about are listed in the status. */
static int serve(bool deaf)
{
    char peers[400] = "";
    for (;;) {
        struct ctl_packet p;
        int fd = -1;
        int rc = ctl_recv(CTL_FD, &p, &fd);
        if (rc == ERR_CLOSED) {
            return 1;
        }
        if (rc != 0) {
            usleep(2000);
            continue;
        }
        size_t n = strlen(peers);
        if (p.type == CTL_PEER_UP || p.type == CTL_PEER_GONE) {
            snprintf(peers + n, sizeof peers - n, "%c%s ", p.type == CTL_PEER_UP ? '+' : '-', p.name);
            say(CTL_STATUS, 0, peers);
        } else if (p.type == CTL_DRAIN && !deaf) {
            say(CTL_DRAINED, 0, "");
            return 0;
        }
    }
}

/* store: reports peers. bus: the same, ignores DRAIN and SIGTERM. agent: reports what it inherited. cron: says that
 * its configuration is wrong. edge: dies as soon as it is ready. */
static int play_worker(const char *name)
{
    say(CTL_HELLO, (uint64_t)getpid(), ctl_build_id);
    if (strcmp(name, "tenaza-cron") == 0) {
        say(CTL_FAIL, EXIT_CONFIG, "no clock here");
        return EXIT_CONFIG;
    }
    if (strcmp(name, "tenaza-bus") == 0) {
        (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    }
    if (strcmp(name, "tenaza-agent") == 0) {
        report();
    }
    say(CTL_READY, 0, "");
    if (strcmp(name, "tenaza-edge") == 0) {
        (void)raise(SIGKILL);
    }
    return serve(strcmp(name, "tenaza-bus") == 0);
}

/* ---- the supervisor side -------------------------------------------------------------------------------- */

static struct sup s;
static char dir[] = "/tmp/tenaza-sup-XXXXXX";

static void run_for(double seconds)
{
    for (int64_t end = clock_mono_ms() + (int64_t)(seconds * 1000); clock_mono_ms() < end;) {
        ev_run(s.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
}

/* Runs the loop until the worker is in that state; fails after twenty seconds. */
static void until_state(const char *name, enum life_state state)
{
    struct child *c = child_by_name(&s, name);
    for (int64_t end = clock_mono_ms() + 20000; c->life.state != state;) {
        if (clock_mono_ms() > end) {
            fail_msg("%s is %s, not %s", name, life_state_text(c->life.state), life_state_text(state));
        }
        run_for(0.005);
    }
}

/* States in between may pass within one turn of the loop; a new process that is ready does not. */
static void until_reborn(const char *name, pid_t old)
{
    struct child *c = child_by_name(&s, name);
    for (int64_t end = clock_mono_ms() + 20000; c->pid == old || c->life.state != LS_READY;) {
        if (clock_mono_ms() > end) {
            fail_msg("%s did not come back: %s", name, life_state_text(c->life.state));
        }
        run_for(0.005);
    }
}

static void wait_for_text(const char *name, const char *part)
{
    struct child *c = child_by_name(&s, name);
    for (int64_t end = clock_mono_ms() + 20000; strstr(c->status, part) == NULL;) {
        if (clock_mono_ms() > end) {
            fail_msg("%s says \"%s\", not \"%s\"", name, c->status, part);
        }
        run_for(0.005);
    }
}

static int setup(void **state)
{
    char self[PATH_MAX];
    char link_path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    (void)state;
    assert_true(n > 0);
    self[n] = '\0';
    assert_non_null(mkdtemp(dir));
    for (unsigned k = 0; k < WK_COUNT; k++) {
        snprintf(link_path, sizeof link_path, "%s/%s", dir, worker_kinds[k].exe);
        assert_int_equal(symlink(self, link_path), 0);
    }
    setenv("TENAZA_TEST_SECRET", "not for workers", 1);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    log_set_console(-1);
    cfg_init(&s.cfg);
    s.rules = (struct backoff_rules){.first = 50, .max = 1000, .reset_after = 60000, .within = 60000, .failures = 2};
    s.log_fd = -1;
    s.log_style = LOG_STYLE_PLAIN;
    s.console_fd = -1;
    s.token = xstrdup("0123456789abcdef");
    sv_copy(s.log_level, sizeof s.log_level, SV("warn"));
    sv_copy(s.exe_dir, sizeof s.exe_dir, sv_of(dir));
    sv_copy(s.run_dir, sizeof s.run_dir, sv_of(dir));
    sv_copy(s.state_dir, sizeof s.state_dir, sv_of(dir));
    s.ready_once = true; /* no banner on the test's output */
    loop_setup(&s);
    ctlsock_open(&s);
    children_make(&s);
    for (size_t i = 0; i < s.child_n; i++) {
        life_event(&s.children[i]->life, LE_START);
    }
    return 0;
}

static void remove_reports(void)
{
    char folder[PATH_MAX];
    static struct crash list[CRASH_KEEP];

    crash_dir(dir, folder, sizeof folder);
    for (size_t n = crash_list(folder, list, ARRAY_LEN(list)); n > 0; n--) {
        char *path = xasprintf("%s/%s.txt", folder, list[n - 1].id);
        unlink(path);
        xfree(path);
    }
    rmdir(folder);
}

static int teardown(void **state)
{
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < s.child_n; i++) {
        child_free(s.children[i]);
    }
    ctlsock_close(&s);
    ev_loop_destroy(s.loop);
    cfg_free(&s.cfg);
    xfree(s.token);
    for (unsigned k = 0; k < WK_COUNT; k++) {
        snprintf(path, sizeof path, "%s/%s", dir, worker_kinds[k].exe);
        unlink(path);
    }
    remove_reports();
    rmdir(dir);
    return 0;
}

static void a_worker_inherits_what_it_should_and_nothing_else(void **state)
{
    (void)state;
    until_state("agent-1", LS_READY);
    /* stdin, stdout, stderr, control, section, log, recorder, console. */
    wait_for_text("agent-1", "fds=8 sig=9 nnp=1 own=1 section=1 sealed=1 level=warn env=10 ctl=0");
}

static void hubs_learn_who_lives(void **state)
{
    (void)state;
    until_state("store", LS_READY);
    wait_for_text("store", "+agent-1 +agent-2");
    until_state("bus", LS_READY);
    wait_for_text("bus", "+agent-2");
}

static void a_wrong_configuration_waits_for_the_operator(void **state)
{
    (void)state;
    until_state("cron", LS_NEEDS_OPERATOR);
    assert_string_equal(child_by_name(&s, "cron")->last_exit, "exit 78: no clock here");
}

static void a_crash_loop_is_parked(void **state)
{
    struct child *edge = child_by_name(&s, "edge");

    (void)state;
    until_state("edge", LS_PARKED);
    assert_string_equal(edge->last_exit, "signal 9 (SIGKILL)");
    assert_int_equal(edge->spawns, 2);
    assert_int_equal(edge->pid, 0);
    assert_int_equal(edge->ctl, -1);
    assert_non_null(strstr(edge->alarm, "died 2 times"));
}

static void a_killed_worker_comes_back_and_the_hubs_hear_of_it(void **state)
{
    struct child *c = child_by_name(&s, "agent-2");
    pid_t old = c->pid;
    uint64_t inc = c->inc;

    (void)state;
    assert_int_equal(kill(old, SIGKILL), 0);
    until_reborn("agent-2", old);
    assert_true(c->inc > inc);
    wait_for_text("store", "-agent-2 +agent-2");
}

static void a_restarted_hub_is_told_everything_again(void **state)
{
    pid_t old = child_by_name(&s, "store")->pid;

    (void)state;
    life_event(&child_by_name(&s, "store")->life, LE_RESTART);
    until_reborn("store", old);
    wait_for_text("store", "+agent-1 +agent-2");
    assert_null(strstr(child_by_name(&s, "store")->status, "-agent"));
}

static int ask(int fd, const char *request, char *answer, size_t cap)
{
    size_t n = 0;
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    for (int64_t end = clock_mono_ms() + 5000; clock_mono_ms() < end;) {
        run_for(0.002);
        ssize_t got = recv(fd, answer + n, cap - 1 - n, MSG_DONTWAIT);
        n += got > 0 ? (size_t)got : 0;
        answer[n] = '\0';
        if (got == 0 || (n > 0 && answer[n - 1] == '\n')) {
            break;
        }
    }
    return (int)n;
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%.80s/ctl.sock", dir);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void the_control_socket_answers(void **state)
{
    static char answer[65536];
    char want[64];
    int fd = dial();

    (void)state;
    ask(fd, "status\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "\"name\":\"agent-1\",\"kind\":\"agent\",\"state\":\"ready\""));
    assert_non_null(strstr(answer, "\"lastExit\":\"exit 78: no clock here\""));
    assert_null(strstr(answer, "0123456789abcdef"));
    ask(fd, "dance\n", answer, sizeof answer);
    assert_string_equal(answer, "{\"ok\":false,\"code\":\"unknown_request\",\"error\":\"unknown request dance\"}\n");
    ask(fd, "worker restart nobody\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "unknown_worker"));
    ask(fd, "log-level loud\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "bad_level"));
    ask(fd, "attach\n", answer, sizeof answer);
    snprintf(want, sizeof want, "\"name\":\"cli-%d\"", (int)getpid());
    assert_non_null(strstr(answer, want));
    snprintf(want, sizeof want, "+cli-%d", (int)getpid());
    wait_for_text("store", want);
    close(fd);
    want[0] = '-';
    wait_for_text("store", want);
}

static void too_long_requests_are_refused(void **state)
{
    static char answer[65536];
    char line[PATH_MAX + 200];
    int fd = dial();

    (void)state;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    ask(fd, line, answer, sizeof answer);
    assert_non_null(strstr(answer, "too_long"));
    close(fd);
}

static void strays_of_workers_are_reaped(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(3);
    }
    for (int64_t end = clock_mono_ms() + 5000; clock_mono_ms() < end && kill(pid, 0) == 0;) {
        run_for(0.005);
    }
    assert_int_equal(kill(pid, 0), -1);
}

static void the_stop_goes_in_order_and_has_an_end(void **state)
{
    (void)state;
    sup_stop(&s, 0);
    until_state("agent-1", LS_IDLE);
    assert_int_equal(child_by_name(&s, "store")->life.state, LS_READY);
    /* The bus is deaf to DRAIN and to SIGTERM: 1 s and half a second, then SIGKILL. */
    until_state("bus", LS_IDLE);
    assert_string_equal(child_by_name(&s, "bus")->last_exit, "signal 9 (SIGKILL)");
    until_state("store", LS_IDLE);
    assert_string_equal(child_by_name(&s, "store")->last_exit, "exit 0");
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *name = slash ? slash + 1 : argv[0];

    if (strncmp(name, "tenaza-", 7) == 0 && argc == 5) {
        return play_worker(name);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_inherits_what_it_should_and_nothing_else),
        cmocka_unit_test(hubs_learn_who_lives),
        cmocka_unit_test(a_wrong_configuration_waits_for_the_operator),
        cmocka_unit_test(a_crash_loop_is_parked),
        cmocka_unit_test(a_killed_worker_comes_back_and_the_hubs_hear_of_it),
        cmocka_unit_test(a_restarted_hub_is_told_everything_again),
        cmocka_unit_test(the_control_socket_answers),
        cmocka_unit_test(too_long_requests_are_refused),
        cmocka_unit_test(strays_of_workers_are_reaped),
        cmocka_unit_test(the_stop_goes_in_order_and_has_an_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
