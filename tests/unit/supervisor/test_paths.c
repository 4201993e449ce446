/*
 * test_paths.c: default places of state and configuration.
 * Runs in: unit tests.     Owns: its scratch folder.
 * Never: depends on the user who runs it (the checks of both kinds of user are chosen by geteuid).
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/file.h"
#include "supervisor/paths.h"

static void state(void **st)
{
    char dst[256];

    (void)st;
    unsetenv("TENAZA_STATE_DIR");
    assert_null(paths_state_given(NULL));
    setenv("TENAZA_STATE_DIR", "", 1);
    assert_null(paths_state_given(NULL));
    setenv("TENAZA_STATE_DIR", "/x", 1);
    assert_string_equal(paths_state_given(NULL), "/x");
    assert_string_equal(paths_state_given("/y"), "/y");
    setenv("XDG_STATE_HOME", "/home/u/state", 1);
    assert_true(paths_default_state(dst, sizeof dst));
    assert_string_equal(dst, geteuid() == 0 ? "/var/lib/tenaza" : "/home/u/state/tenaza");
    assert_false(paths_default_state(dst, 5));
}

static void config(void **st)
{
    char dir[] = "/tmp/tenaza-paths-XXXXXX";
    char file[64];
    char dst[256];

    (void)st;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/tenaza.conf", dir);
    setenv("HOME", "/nonexistent", 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("TENAZA_CONFIG");
    assert_int_equal(file_replace(file, SV(""), 0600), 0);
    assert_true(paths_config(NULL, dir, dst, sizeof dst));
    assert_string_equal(dst, file);
    setenv("TENAZA_CONFIG", "/from/env", 1);
    assert_true(paths_config(NULL, dir, dst, sizeof dst));
    assert_string_equal(dst, "/from/env");
    assert_true(paths_config("/given", dir, dst, sizeof dst));
    assert_string_equal(dst, "/given");
    setenv("TENAZA_CONFIG", "", 1);
    unlink(file);
    rmdir(dir);
    if (geteuid() != 0 || access("/etc/tenaza/tenaza.conf", F_OK) != 0) {
        assert_false(paths_config(NULL, dir, dst, sizeof dst));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(state), cmocka_unit_test(config)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
