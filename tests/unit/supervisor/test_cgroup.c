/*
 * test_cgroup.c: limits as the kernel's files get them, and groups of a real cgroup2 where this machine lets us.
 * Runs in: unit tests.     Owns: a scratch folder; one control group, removed again.
 * Never: leaves a process in a group.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/file.h"
#include "supervisor/cgroup.h"

/* ---- a folder that looks like a group -------------------------------------------------------------------- */

static struct cgroup_tree fake;

static const char *const files[] = {"memory.max",   "memory.high", "memory.swap.max", "memory.oom.group", "pids.max",
                                    "cpu.max",      "cgroup.kill", "cgroup.events",   "memory.events"};

static void put(const char *file, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/worker-irc:default-7/%s", fake.path, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    fd_close(&fd);
}

static void expect(const char *file, const char *text)
{
    char path[PATH_MAX + 64];
    struct buf b = BUF_INIT(4096);
    snprintf(path, sizeof path, "%s/worker-irc:default-7/%s", fake.path, file);
    assert_int_equal(file_read(path, &b), 0);
    assert_string_equal(buf_cstr(&b), text);
    buf_free(&b);
}

static int setup(void **state)
{
    (void)state;
    char dir[] = "/tmp/tenaza-cg-XXXXXX";
    char path[PATH_MAX + 64];
    assert_non_null(mkdtemp(dir));
    snprintf(fake.path, sizeof fake.path, "%s", dir);
    snprintf(path, sizeof path, "%s/worker-irc:default-7", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        put(files[i], "");
    }
    fake.usable = true;
    fake.controllers = CG_MEMORY | CG_PIDS | CG_CPU;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[PATH_MAX + 64];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/worker-irc:default-7/%s", fake.path, files[i]);
        unlink(path);
    }
    cgroup_remove(&fake, "irc/default", 7);
    return rmdir(fake.path); /* fails when cgroup_remove did nothing */
}

static void limits_reach_their_files(void **state)
{
    (void)state;
    struct cgroup_limits l = {.memory = 64 << 20, .processes = 16, .cpu = 150};
    unsigned applied;
    int fd = cgroup_make(&fake, "irc/default", 7, &l, &applied);
    assert_true(fd >= 0);
    assert_int_equal(applied, CG_MEMORY | CG_PIDS | CG_CPU);
    expect("memory.max", "67108864");
    expect("memory.high", "58720256");
    expect("pids.max", "16");
    expect("cpu.max", "150000 100000");
    fd_close(&fd);
}

static void no_limit_writes_nothing(void **state)
{
    (void)state;
    unsigned applied;
    put("memory.max", "before");
    int fd = cgroup_make(&fake, "irc/default", 7, &(struct cgroup_limits){0}, &applied);
    assert_int_equal(applied, 0);
    expect("memory.max", "before");
    fd_close(&fd);
}

static void a_controller_that_is_not_ours_is_not_claimed(void **state)
{
    (void)state;
    unsigned applied;
    fake.controllers = CG_PIDS;
    int fd = cgroup_make(&fake, "irc/default", 7, &(struct cgroup_limits){.memory = 1 << 20, .processes = 4}, &applied);
    fake.controllers = CG_MEMORY | CG_PIDS | CG_CPU;
    assert_int_equal(applied, CG_PIDS);
    fd_close(&fd);
}

static void events_are_read(void **state)
{
    (void)state;
    unsigned applied;
    int fd = cgroup_make(&fake, "irc/default", 7, &(struct cgroup_limits){0}, &applied);
    put("cgroup.events", "populated 1\nfrozen 0\n");
    assert_false(cgroup_is_empty(fd));
    put("cgroup.events", "populated 0\nfrozen 0\n");
    assert_true(cgroup_is_empty(fd));
    put("memory.events", "low 0\nhigh 12\nmax 3\noom 2\noom_kill 2\noom_group_kill 1\n");
    assert_int_equal(cgroup_oom_kills(fd), 2);
    cgroup_kill(fd);
    expect("cgroup.kill", "1");
    fd_close(&fd);
}

static void without_a_group_nothing_is_claimed(void **state)
{
    (void)state;
    struct cgroup_tree none = {0};
    unsigned applied = 99;
    assert_int_equal(cgroup_make(&none, "bus", 1, &(struct cgroup_limits){.memory = 1}, &applied), -1);
    assert_int_equal(applied, 0);
    assert_true(cgroup_is_empty(-1));
    assert_int_equal(cgroup_oom_kills(-1), 0);
    cgroup_kill(-1);
    cgroup_remove(&none, "bus", 1);
}

/* ---- process groups -------------------------------------------------------------------------------------- */

static void a_process_group_ends_with_its_last_process(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        for (;;) {
            pause();
        }
    }
    for (int i = 0; i < 5000 && getpgid(pid) != pid; i++) {
        usleep(1000);
    }
    assert_false(group_is_empty(pid));
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(group_is_empty(pid));
    assert_true(group_is_empty(0));
}

/* ---- the real thing -------------------------------------------------------------------------------------- */

#define UNIFIED "/sys/fs/cgroup/unified"
#define PURE "/sys/fs/cgroup"

/* In a process that was put into a delegated group: 0 or the number of what failed. */
static int play_supervisor(const char *group)
{
    struct cgroup_tree t;
    unsigned applied;
    int pipes[2];

    cgroup_begin(&t);
    if (!t.usable || strcmp(t.path, group) != 0) {
        return 1;
    }
    int fd = cgroup_make(&t, "bus", 3, &(struct cgroup_limits){0}, &applied);
    if (fd < 0 || pipe(pipes) != 0) {
        return 2;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int procs = openat(fd, "cgroup.procs", O_WRONLY);
        (void)!write(procs, "0", 1);
        setsid(); /* leaves the process group, not the control group */
        (void)!write(pipes[1], "x", 1);
        for (;;) {
            pause();
        }
    }
    char c;
    if (read(pipes[0], &c, 1) != 1 || cgroup_is_empty(fd)) {
        return 3;
    }
    cgroup_kill(fd);
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        return 4;
    }
    for (int64_t end = clock_mono_ms() + 5000; !cgroup_is_empty(fd);) {
        if (clock_mono_ms() > end) {
            return 5;
        }
        usleep(1000);
    }
    fd_close(&fd);
    cgroup_remove(&t, "bus", 3);
    cgroup_end(&t);
    return 0;
}

static void a_real_group_is_killed_whole(void **state)
{
    (void)state;
    char group[128];
    const char *mount = access(UNIFIED "/cgroup.procs", W_OK) == 0 ? UNIFIED : PURE;
    snprintf(group, sizeof group, "%s/tenaza-test-%d", mount, (int)getpid());
    if (geteuid() != 0 || mkdir(group, 0755) != 0 || setxattr(group, "trusted.delegate", "1", 1, 0) != 0) {
        (void)rmdir(group);
        print_message("skipped: no control group can be made here\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        char procs[160];
        snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
        int fd = open(procs, O_WRONLY);
        _exit(write(fd, "0", 1) == 1 ? play_supervisor(group) : 99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    for (int i = 0; i < 5000 && rmdir(group) != 0 && errno == EBUSY; i++) {
        usleep(1000);
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_not_equal(access(group, F_OK), 0);
}

static void a_group_that_nobody_gave_us_is_left_alone(void **state)
{
    (void)state;
    struct cgroup_tree t;
    cgroup_begin(&t);
    if (t.usable) { /* a machine where the tests themselves run delegated */
        cgroup_end(&t);
        skip();
    }
    assert_string_not_equal(t.why, "");
    assert_int_equal(t.controllers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_reach_their_files),
        cmocka_unit_test(no_limit_writes_nothing),
        cmocka_unit_test(a_controller_that_is_not_ours_is_not_claimed),
        cmocka_unit_test(events_are_read),
        cmocka_unit_test(without_a_group_nothing_is_claimed),
        cmocka_unit_test(a_process_group_ends_with_its_last_process),
        cmocka_unit_test(a_real_group_is_killed_whole),
        cmocka_unit_test(a_group_that_nobody_gave_us_is_left_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
