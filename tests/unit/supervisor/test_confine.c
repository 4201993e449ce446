/*
 * test_confine.c: users, directories and limits as a worker's process finds them.
 * Runs in: unit tests (most of it as root only).     Owns: a scratch folder.
 * Never: changes a user of this machine: all users are numbers that nobody has.
 * Tested in: itself.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/file.h"
#include "supervisor/confine.h"
#include "supervisor/confine_dirs.h"

#define FIRST_UID 64200

static struct cfg cfg;
static char dir[64], run[96], state[96];
static struct confine_dirs dirs;

static void put(const char *path, const char *value)
{
    struct cfg_raw raw = {.kind = RAW_STR, .s = value};
    cfg_put(&cfg, path, &raw, "test");
    assert_int_equal(cfg.error_n, 0);
}

static int setup(void **st)
{
    (void)st;
    snprintf(dir, sizeof dir, "/tmp/tenaza-confine-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0711), 0);
    snprintf(run, sizeof run, "%s/run", dir);
    snprintf(state, sizeof state, "%s/state", dir);
    assert_int_equal(mkdir(run, 0700), 0);
    assert_int_equal(mkdir(state, 0700), 0);
    dirs = (struct confine_dirs){run, state, "/usr/bin"};
    cfg_init(&cfg);
    return 0;
}

static int teardown(void **st)
{
    (void)st;
    static const char *const below[] = {"state/db/data.mdb", "state/db", "state/workspace", "run/store", "run/bus", "run", "state", ""};
    char path[128];
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, below[i]);
        (void)!remove(path);
    }
    cfg_free(&cfg);
    return access(dir, F_OK) == 0;
}

static void use_numbers(void)
{
    char path[64], number[16];
    for (size_t i = 0; i < WK_COUNT; i++) {
        snprintf(path, sizeof path, "supervisor.users.%s", worker_kinds[i].name);
        snprintf(number, sizeof number, "%d", FIRST_UID + (int)i);
        put(path, number);
    }
    put("supervisor.planeGroup", "64299");
}

static struct stat look(const char *below)
{
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, below);
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void need_root(void)
{
    if (geteuid() != 0) {
        print_message("skipped: needs root\n");
        skip();
    }
}

static void users_that_do_not_exist_are_named(void **st)
{
    (void)st;
    struct confine k;
    need_root();
    put("supervisor.users.bus", "no-such-user-here");
    for (size_t i = 0; i < WK_COUNT; i++) {
        char path[64];
        snprintf(path, sizeof path, "supervisor.users.%s", worker_kinds[i].name);
        put(path, i == WK_bus ? "no-such-user-here" : "64200");
    }
    confine_begin(&k, &cfg, &dirs);
    assert_false(k.own_users);
    assert_non_null(strstr(k.why, "no-such-user-here"));
    assert_int_equal(look("state").st_mode & 07777, 0700); /* nothing was opened for nobody */
    assert_int_equal(look("state/db").st_uid, 0);
    confine_end(&k);
}

static void root_is_no_user_for_a_worker(void **st)
{
    (void)st;
    struct confine k;
    need_root();
    use_numbers();
    put("supervisor.users.edge", "0");
    confine_begin(&k, &cfg, &dirs);
    assert_false(k.own_users);
    put("supervisor.users.edge", "root");
    confine_begin(&k, &cfg, &dirs);
    assert_false(k.own_users);
    confine_end(&k);
}

static void directories_belong_to_their_kind(void **st)
{
    (void)st;
    struct confine k;
    char file[128];
    need_root();
    use_numbers();
    snprintf(file, sizeof file, "%s/db", state);
    assert_int_equal(mkdir(file, 0700), 0);
    snprintf(file, sizeof file, "%s/db/data.mdb", state);
    assert_int_equal(file_replace(file, SV("x"), 0600), 0);
    confine_begin(&k, &cfg, &dirs);
    assert_string_equal(k.why, "");
    assert_true(k.own_users);
    assert_int_equal(look("state").st_mode & 07777, 0711);
    assert_int_equal(look("run").st_mode & 07777, 0711);
    assert_int_equal(look("state/db").st_uid, FIRST_UID + WK_store);
    assert_int_equal(look("state/db").st_mode & 07777, 0700);
    assert_int_equal(look("state/db/data.mdb").st_uid, FIRST_UID + WK_store); /* from before */
    assert_int_equal(look("run/bus").st_uid, FIRST_UID + WK_bus);
    assert_int_equal(look("run/bus").st_gid, 64299);
    assert_int_equal(look("run/bus").st_mode & 07777, 02750);
    confine_end(&k);

    /* And back, when the users are gone. */
    put("supervisor.users.bus", "no-such-user-here");
    confine_begin(&k, &cfg, &dirs);
    assert_false(k.own_users);
    assert_int_equal(look("state/db/data.mdb").st_uid, 0);
    confine_end(&k);
}

static void a_closed_way_is_named(void **st)
{
    (void)st;
    struct confine k;
    need_root();
    use_numbers();
    assert_int_equal(chmod(dir, 0700), 0);
    confine_begin(&k, &cfg, &dirs);
    assert_false(k.own_users);
    assert_non_null(strstr(k.why, dir));
    assert_int_equal(chmod(dir, 0711), 0);
    confine_end(&k);
}

/* The exit code of a process that did what a worker's process does, and then looks around. */
static int in_worker(const struct confined *d, int (*look_around)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(confine_join(d) && confine_enter(d) ? look_around() : 99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int looks_like_edge(void)
{
    struct rlimit r;
    gid_t groups[4];
    uid_t ru, eu, su;

    if (getresuid(&ru, &eu, &su) != 0 || ru != FIRST_UID + WK_edge || eu != ru || su != ru) {
        return 1;
    }
    if (getgroups(4, groups) != 1 || groups[0] != 64299 || getgid() != FIRST_UID + WK_edge) {
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_max != 512) {
        return 3;
    }
    if (getrlimit(RLIMIT_CORE, &r) != 0 || r.rlim_max != 0) {
        return 4;
    }
    if (getrlimit(RLIMIT_NPROC, &r) != 0 || r.rlim_max != 64) {
        return 5;
    }
    return setuid(0) == 0 ? 6 : 0;
}

static void a_worker_is_its_user_for_good(void **st)
{
    (void)st;
    struct confine k;
    struct confined d;
    struct conf section = {0};
    need_root();
    use_numbers();
    cfg_put(&cfg, "supervisor.limits.edge.files", &(struct cfg_raw){.kind = RAW_INT, .i = 512}, "test");
    confine_begin(&k, &cfg, &dirs);
    confine_prepare(&k, &cfg, WK_edge, 2, &d);
    assert_int_equal(in_worker(&d, looks_like_edge), 0);
    confine_section(&k, &cfg, WK_edge, &section);
    assert_int_equal(conf_int(&section, "sandbox.uid", 0), FIRST_UID + WK_edge);
    assert_int_equal(conf_int(&section, "sandbox.files", 0), 512);
    conf_free(&section);
    confine_end(&k);
}

static int has_no_privilege(void)
{
    for (int cap = 0; cap < 40; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) {
            return cap + 1;
        }
    }
    return getuid() == 0 ? 0 : 97;
}

static void root_without_users_loses_its_privileges(void **st)
{
    (void)st;
    struct confine k;
    struct confined d;
    need_root();
    put("supervisor.users.bus", "no-such-user-here");
    confine_begin(&k, &cfg, &dirs);
    confine_prepare(&k, &cfg, WK_agent, 1, &d);
    assert_int_equal(in_worker(&d, has_no_privilege), 0);
    confine_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_that_do_not_exist_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(root_is_no_user_for_a_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_belong_to_their_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_way_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_is_its_user_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(root_without_users_loses_its_privileges, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
