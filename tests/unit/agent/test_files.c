/*
 * test_files.c: the workspace and its tools: what is read and written, and what stays outside.
 * Runs in: unit tests.     Owns: a temporary folder.
 * Never: touches files outside it, except to see that they stay untouched.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/tools/tool.h"
#include "agent/tools/workspace.h"
#include "common/err.h"
#include "common/file.h"

static char top[64], root[80], outside[96];
static char text[70000];
static bool is_error;

static void done(void *ctx, struct tool_run *t, sv answer, bool error)
{
    (void)ctx;
    (void)t;
    is_error = error;
    assert_true(sv_copy(text, sizeof text, answer));
}

static void run(const char *name, json_t *args)
{
    struct tool_env env = {.workspace = sv_of(root)};
    struct tool_run r = {.tool = tool_find(sv_of(name)), .env = &env, .args = args, .done = done};
    assert_non_null(r.tool);
    r.tool->ops->start(&r);
    json_free(&args);
}

static void write_file(const char *path, const char *content)
{
    run("write", json_pack("{s:s, s:s}", "path", path, "content", content));
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/tenaza-files-XXXXXX");
    assert_non_null(mkdtemp(top));
    (void)snprintf(root, sizeof root, "%s/ws", top);
    (void)snprintf(outside, sizeof outside, "%s/secret", top);
    assert_int_equal(file_replace(outside, SV("not yours"), 0600), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char path[200];
    static const char *const left[] = {"ws/deep/er/b.txt", "ws/deep/er", "ws/deep", "ws/a.txt", "ws/long.txt", "ws/out", "ws/up",
                                       "ws/pipe", "ws/bin", "ws", "secret", ""};
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", top, left[i]);
        (void)remove(path);
    }
    assert_int_equal(access(top, F_OK), -1); /* no temporary file was left */
    return 0;
}

static void written_and_read_back(void **state)
{
    (void)state;
    write_file("a.txt", "one\ntwo\n");
    assert_false(is_error);
    assert_string_equal(text, "Written: a.txt (8 bytes).");
    write_file("a.txt", "one\ntwo\n");
    assert_string_equal(text, "Unchanged: a.txt (8 bytes).");
    write_file("deep/er/b.txt", "x");
    assert_false(is_error);
    run("read", json_pack("{s:s}", "path", "a.txt"));
    assert_string_equal(text, "one\ntwo\n");
    run("read", json_pack("{s:s, s:i}", "path", "a.txt", "offset", 2));
    assert_string_equal(text, "two\n");
    run("read", json_pack("{s:s, s:i}", "path", "a.txt", "offset", 9));
    assert_string_equal(text, "(the file has fewer lines)");
    run("read", json_pack("{s:s, s:i}", "path", "a.txt", "limit", 1));
    assert_string_equal(text, "one\n\n[There is more; go on with offset 2.]");
}

static void long_files_come_in_pieces(void **state)
{
    (void)state;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1u << 20);
    for (int i = 1; i <= 3000; i++) {
        buf_printf(&b, "line %d\n", i);
    }
    write_file("long.txt", buf_cstr(&b));
    run("read", json_pack("{s:s}", "path", "long.txt"));
    assert_non_null(strstr(text, "line 2000\n\n[There is more; go on with offset 2001.]"));
    run("read", json_pack("{s:s, s:i}", "path", "long.txt", "offset", 2001));
    assert_non_null(strstr(text, "line 3000\n"));
    assert_null(strstr(text, "There is more"));
}

static void nothing_leaves_the_workspace(void **state)
{
    (void)state;
    static const char *const bad[] = {"../secret", "/etc/passwd", "out", "up/secret", "deep/../../secret", "out/x"};
    char path[200];
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(100);
    write_file("a.txt", "x");
    (void)snprintf(path, sizeof path, "%s/out", root);
    assert_int_equal(symlink(outside, path), 0);
    (void)snprintf(path, sizeof path, "%s/up", root);
    assert_int_equal(symlink("..", path), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        run("read", json_pack("{s:s}", "path", bad[i]));
        assert_true(is_error);
        assert_null(strstr(text, "not yours"));
        write_file(bad[i], "taken over");
        assert_true(is_error);
    }
    assert_int_equal(file_read(outside, &b), OK);
    assert_sv(buf_view(&b), "not yours");
}

static void only_plain_text_files(void **state)
{
    (void)state;
    char path[200];
    write_file("bin", "x");
    (void)snprintf(path, sizeof path, "%s/pipe", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    run("read", json_pack("{s:s}", "path", "pipe"));
    assert_true(is_error);
    assert_non_null(strstr(text, "not a plain file"));
    write_file("pipe", "x");
    assert_true(is_error);
    write_file("deep/", "x");
    assert_true(is_error);
    (void)snprintf(path, sizeof path, "%s/bin", root);
    assert_int_equal(file_replace(path, sv_mem("\xff\xfe", 2), 0600), OK);
    run("read", json_pack("{s:s}", "path", "bin"));
    assert_string_equal(text, "That file is not UTF-8 text.");
    run("read", json_pack("{s:s}", "path", "none"));
    assert_non_null(strstr(text, "none: there is no such file in the workspace"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(long_files_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_leaves_the_workspace, setup, teardown),
        cmocka_unit_test_setup_teardown(only_plain_text_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
