/*
 * test_sandbox.c: each wall from the inside, in a child process, and the same probe without the wall.
 * Runs in: unit tests.     Owns: a scratch folder and one child at a time.
 * Never: passes because a probe could not work anyway: each is shown to work without the sandbox first.
 * Tested in: itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/file.h"
#include "workers/runtime/sandbox.h"

static char dir[] = "/tmp/tenaza-sandbox-XXXXXX";
static struct conf conf;

/* ---- probes: 0 when it worked, else errno ----------------------------------------------------------------- */

static int probe_open(const char *below, int flags)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, below);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int rc = fd >= 0 ? 0 : errno;
    fd_close(&fd);
    return rc;
}

static int read_secret(void)
{
    return probe_open("secret", O_RDONLY);
}

static int read_database(void)
{
    return probe_open("db/data", O_RDONLY);
}

static int write_database(void)
{
    return probe_open("db/new", O_WRONLY | O_CREAT);
}

static int write_workspace(void)
{
    return probe_open("workspace/new", O_WRONLY | O_CREAT);
}

static int write_outside(void)
{
    return probe_open("outside", O_WRONLY | O_CREAT);
}

static int truncate_secret(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/secret", dir);
    return truncate(path, 0) == 0 ? 0 : errno;
}

static int make_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd >= 0 ? 0 : errno;
    fd_close(&fd);
    return rc;
}

static int inet_socket(void)
{
    return make_socket(AF_INET);
}

static int inet6_socket(void)
{
    return make_socket(AF_INET6);
}

static int unix_socket(void)
{
    return make_socket(AF_UNIX);
}

static int listen_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd >= 0 && listen(fd, 1) == 0 ? 0 : errno;
    fd_close(&fd);
    return rc;
}

static int start_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    int rc = pid > 0 ? 0 : errno;
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
    return rc;
}

static int signal_parent(void)
{
    return kill(getppid(), 0) == 0 ? 0 : errno;
}

static int read_parent_memory(void)
{
    char local[8];
    struct iovec to = {local, sizeof local}, from = {dir, sizeof local};
    return process_vm_readv(getppid(), &to, 1, &from, 1, 0) > 0 ? 0 : errno;
}

static int executable_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
}

static int run_program(void)
{
    char *const argv[] = {(char *)(uintptr_t)"true", NULL};
    execve("/bin/true", argv, argv + 1);
    return errno;
}

static void *nothing(void *p)
{
    return p;
}

static int start_thread(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, nothing, NULL);
    return rc != 0 ? rc : pthread_join(t, NULL);
}

static int dump_itself(void)
{
    struct rlimit r;
    return prctl(PR_GET_DUMPABLE) == 1 && getrlimit(RLIMIT_CORE, &r) == 0 ? 0 : EACCES;
}

/* ---- how a probe ends inside the walls of a kind ----------------------------------------------------------- */

#define DIED 1000 /* + signal */

static int inside(const char *kind, int (*probe)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox b;
        prctl(PR_SET_DUMPABLE, 1); /* what is lost stays lost across fork */
        if (kind != NULL) {
            sandbox_begin(&b, kind);
            sandbox_files(&b, &conf);
            sandbox_calls(&b);
        }
        _exit(probe());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? DIED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* refused: errno, or DIED + signal; 0: allowed. seccomp: the wall is not there in sanitizer builds. */
struct wall_case {
    const char *kind;
    int (*probe)(void);
    int refused;
    bool seccomp;
};

static void write_file(const char *below)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", dir, below);
    assert_int_equal(file_replace(path, SV("x"), 0600), 0);
}

static int setup(void **state)
{
    (void)state;
    char path[96];
    assert_non_null(mkdtemp(dir));
    static const char *const folders[] = {"db", "store", "bus", "workspace"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    write_file("secret");
    write_file("db/data");
    snprintf(path, sizeof path, "%s/workspace", dir);
    conf_set_str(&conf, "run.dir", sv_of(dir));
    conf_set_str(&conf, "state.dir", sv_of(dir));
    conf_set_str(&conf, "agents.entries.main.workspace", sv_of(path));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const below[] = {"secret", "db/data", "db/new", "workspace/new", "outside",
                                        "db",     "store",   "bus",    "workspace",     ""};
    char path[96];
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, below[i]);
        (void)!remove(path);
    }
    conf_free(&conf);
    return access(dir, F_OK) == 0;
}

static bool has_landlock(void)
{
    struct sandbox b = {.profile = &(struct sandbox_profile){"test", SANDBOX_NONE, 0}};
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        sandbox_landlock(&b, &conf);
        _exit(b.held & WALL_BIT(FILES) ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status) == 1;
}

static void check(const struct wall_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cases[i].seccomp && sandbox_is_test_build()) {
            continue;
        }
        int outcome = inside(cases[i].kind, cases[i].probe);
        if (outcome != cases[i].refused) {
            print_error("case %zu (%s): %d instead of %d\n", i, cases[i].kind, outcome, cases[i].refused);
        }
        assert_int_equal(outcome, cases[i].refused);
    }
}

static void every_probe_works_without_walls(void **state)
{
    (void)state;
    int (*const all[])(void) = {read_secret,   read_database, write_database, write_workspace, write_outside, truncate_secret,
                                inet_socket,   unix_socket,   listen_tcp,     start_process,   signal_parent,
                                executable_memory, run_program, start_thread, dump_itself, read_parent_memory};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (inside(NULL, all[i]) != 0) {
            print_error("probe %zu does not work here: it proves nothing\n", i);
        }
        assert_int_equal(inside(NULL, all[i]), 0);
    }
}

static void files(void **state)
{
    (void)state;
    static const struct wall_case cases[] = {
        {"store", read_database, 0, false},      {"store", write_database, 0, false},
        {"store", read_secret, EACCES, false},   {"store", write_outside, EACCES, false},
        {"edge", read_database, EACCES, false},  {"edge", read_secret, EACCES, false},
        {"bus", read_secret, EACCES, false},     {"bus", write_outside, EACCES, false},
        {"agent", write_workspace, 0, false},    {"agent", write_outside, EACCES, false},
        {"agent", read_database, EACCES, false}, {"channel", read_secret, EACCES, false},
        {"channel", write_workspace, EACCES, false},
        {"cron", read_database, EACCES, false},  {"store", truncate_secret, EPERM, true},
    };
    if (!has_landlock()) {
        print_message("skipped: no Landlock in this kernel\n");
        skip();
    }
    check(cases, ARRAY_LEN(cases));
}

static void sockets(void **state)
{
    (void)state;
    static const struct wall_case cases[] = {
        {"store", inet_socket, EPERM, true}, {"store", inet6_socket, EPERM, true}, {"store", unix_socket, 0, true},
        {"bus", inet_socket, EPERM, true},   {"cron", inet_socket, EPERM, true},   {"edge", inet_socket, EPERM, true},
        {"edge", unix_socket, 0, true},      {"agent", inet_socket, 0, true},      {"agent", listen_tcp, EPERM, true},
        {"channel", inet_socket, 0, true},   {"channel", listen_tcp, EPERM, true},
    };
    check(cases, ARRAY_LEN(cases));
}

static void processes(void **state)
{
    (void)state;
    static const char *const kinds[] = {"store", "bus", "agent", "cron", "edge", "channel"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct wall_case cases[] = {
            {kinds[i], start_process, EPERM, true},      {kinds[i], start_thread, 0, true},
            {kinds[i], signal_parent, EPERM, true},      {kinds[i], read_parent_memory, EPERM, true},
            {kinds[i], executable_memory, EPERM, true},  {kinds[i], run_program, DIED + SIGSYS, true},
            {kinds[i], dump_itself, EACCES, true},
        };
        check(cases, ARRAY_LEN(cases));
    }
}

/* Whatever runs in the walls must be able to end as usual. */
static int abort_now(void)
{
    abort();
}

static void a_panic_still_ends_the_process(void **state)
{
    (void)state;
    static const struct wall_case cases[] = {{"bus", abort_now, DIED + SIGABRT, true}};
    check(cases, ARRAY_LEN(cases));
}

static void off_is_reported_as_lost(void **state)
{
    (void)state;
    struct sandbox b;
    struct conf off = {0};
    conf_set_str(&off, "supervisor.sandbox", SV("off"));
    pid_t pid = fork();
    if (pid == 0) {
        sandbox_begin(&b, "edge");
        sandbox_files(&b, &off);
        sandbox_calls(&b);
        bool lost = !(b.held & (WALL_BIT(FILES) | WALL_BIT(CALLS) | WALL_BIT(SOCKETS))) && (b.wanted & WALL_BIT(FILES));
        _exit(lost && strstr(b.why, "off") && read_secret() == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    conf_free(&off);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_probe_works_without_walls),
        cmocka_unit_test(files),
        cmocka_unit_test(sockets),
        cmocka_unit_test(processes),
        cmocka_unit_test(a_panic_still_ends_the_process),
        cmocka_unit_test(off_is_reported_as_lost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
