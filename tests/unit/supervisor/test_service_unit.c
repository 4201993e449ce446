/*
 * test_service_unit.c: the units that are printed from rows; deploy/systemd/ must be what they print.
 * Runs in: tests.     Owns: nothing.
 * Never: needs systemd.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "supervisor/cli/service_unit.h"

static void expect_file(const char *name, enum unit_file file, enum unit_scope scope)
{
    struct buf is = BUF_INIT(65536), want = BUF_INIT(65536);
    char *path = xasprintf("%s/deploy/systemd/%s", SOURCE_ROOT, name);

    unit_print(&want, file, scope, "/usr/bin/tenaza");
    assert_int_equal(file_read(path, &is), 0);
    assert_string_equal(buf_cstr(&is), buf_cstr(&want)); /* stale: tenaza service install --print, with /usr/bin/tenaza */
    xfree(path);
    buf_free(&is);
    buf_free(&want);
}

static void test_files_are_current(void **state)
{
    (void)state;
    expect_file("tenaza.service", UNIT_SERVICE, UNIT_SYSTEM);
    expect_file("tenaza.user.service", UNIT_SERVICE, UNIT_USER);
    expect_file("tenaza.socket", UNIT_SOCKET, UNIT_SYSTEM);
}

static void test_path_and_scope(void **state)
{
    struct buf text = BUF_INIT(65536);

    (void)state;
    unit_print(&text, UNIT_SERVICE, UNIT_USER, "/opt/t/bin/tenaza");
    assert_non_null(strstr(buf_cstr(&text), "\nExecStart=/opt/t/bin/tenaza run\n"));
    assert_null(strstr(buf_cstr(&text), "@BIN@"));
    assert_null(strstr(buf_cstr(&text), "User="));
    assert_int_equal(text.p[0], '[');
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_are_current),
        cmocka_unit_test(test_path_and_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
