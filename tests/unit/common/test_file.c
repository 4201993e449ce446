/*
 * test_file.c: whole reads with a cap, atomic replacement, folders.
 * Runs in: unit tests.     Owns: a temporary folder.
 * Never: leaves files behind.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"

static char dir[] = "/tmp/tenaza-test-file-XXXXXX";
static char path[256];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static size_t entries(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n - 2;
}

static int setup(void **state)
{
    UNUSED(state);
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    return rmdir(dir);
}

static void test_replace_and_read(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(100000);
    assert_int_equal(file_replace(in_dir("f"), SV("one"), 0640), OK);
    assert_int_equal(file_replace(in_dir("f"), SV("two"), 0604), OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604); /* whatever the umask is */
    assert_int_equal(entries(), 1);             /* no temporary file stays */
    buf_str(&b, "front ");
    assert_int_equal(file_read(path, &b), OK);
    assert_buf(&b, "front two");
    char *big = xmalloc(50000);
    memset(big, 'b', 50000);
    assert_int_equal(file_replace(path, (sv){big, 50000}, 0600), OK);
    buf_reset(&b);
    assert_int_equal(file_read(path, &b), OK);
    assert_int_equal(b.n, 50000);
    assert_memory_equal(b.p, big, 50000);
    xfree(big);
    assert_int_equal(file_replace(path, SV_NULL, 0600), OK);
    buf_reset(&b);
    assert_int_equal(file_read(path, &b), OK);
    assert_int_equal(b.n, 0);
    unlink(path);
}

static void test_read_cap(void **state)
{
    UNUSED(state);
    assert_int_equal(file_replace(in_dir("f"), SV("12345"), 0600), OK);
    struct buf exact = BUF_INIT(5);
    assert_int_equal(file_read(path, &exact), OK);
    assert_buf(&exact, "12345");
    struct buf small = BUF_INIT(4);
    assert_int_equal(file_read(path, &small), ERR_TOOBIG);
    assert_true(small.n <= 4);
    struct buf none = BUF_INIT(0);
    assert_int_equal(file_read(path, &none), ERR_TOOBIG);
    unlink(path);
    assert_int_equal(file_replace(path, SV_NULL, 0600), OK);
    buf_free(&none);
    assert_int_equal(file_read(path, &none), OK);
    unlink(path);
    buf_free(&exact);
    buf_free(&small);
    buf_free(&none);
}

static void test_failures(void **state)
{
    UNUSED(state);
    ATTR_CLEANUP(buf_free) struct buf b = BUF_INIT(100);
    assert_int_equal(file_read(in_dir("absent"), &b), ERR_GONE);
    assert_int_equal(file_read(dir, &b), ERR_IO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(file_replace(in_dir("absent/x"), SV("x"), 0600), ERR_GONE);
    assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
    assert_int_equal(file_replace(path, SV("x"), 0600), ERR_IO); /* a folder is in the way */
    rmdir(path);
    assert_int_equal(entries(), 0);
    char *far = xmalloc(PATH_MAX + 10);
    memset(far, 'a', PATH_MAX + 9);
    far[PATH_MAX + 9] = '\0';
    assert_int_equal(file_replace(far, SV("x"), 0600), ERR_IO);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(dir_make(far, 0700), ERR_IO);
    xfree(far);
}

static void test_write(void **state)
{
    UNUSED(state);
    int p[2];
    assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(fd_write_all(p[1], "abc", 3), OK);
    assert_int_equal(fd_write_all(p[1], NULL, 0), OK);
    char got[4] = "";
    assert_int_equal(read(p[0], got, 3), 3);
    assert_string_equal(got, "abc");
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(fd_write_all(full, "x", 1), ERR_FULL);
    fd_close(&full);
    assert_int_equal(full, -1);
    errno = 77;
    fd_close(&full);
    assert_int_equal(errno, 77);
    assert_int_equal(fd_write_all(-1, "x", 1), ERR_IO);
    fd_close(&p[0]);
    fd_close(&p[1]);
}

static void test_dir_make(void **state)
{
    UNUSED(state);
    assert_int_equal(dir_make(in_dir("a//b/c/"), 0700), OK);
    assert_int_equal(dir_make(in_dir("a/b/c"), 0700), OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_replace(in_dir("a/file"), SV("x"), 0600), OK);
    assert_int_equal(dir_make(in_dir("a/file"), 0700), ERR_IO);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(dir_make(in_dir("a/file/x"), 0700), ERR_IO);
    assert_int_equal(dir_make("", 0700), ERR_GONE);
    assert_int_equal(dir_make("/", 0700), OK);
    unlink(in_dir("a/file"));
    rmdir(in_dir("a/b/c"));
    rmdir(in_dir("a/b"));
    assert_int_equal(rmdir(in_dir("a")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_read), cmocka_unit_test(test_read_cap),
        cmocka_unit_test(test_failures),         cmocka_unit_test(test_write),
        cmocka_unit_test(test_dir_make),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
