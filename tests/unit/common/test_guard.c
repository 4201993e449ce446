/*
 * test_guard.c: a guarded text is whole, fenced, left out of dumps, and gone when given back.
 * Runs in: unit tests.     Owns: one child at a time.
 * Never: touches a fence in its own process.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/guard.h"

static void text_is_whole(void **state)
{
    (void)state;
    char big[9000];
    memset(big, 'x', sizeof big);
    char *p = guard_new(SV("a secret")), *empty = guard_new(SV_NULL), *large = guard_new(sv_mem(big, sizeof big));
    assert_string_equal(p, "a secret");
    assert_string_equal(empty, "");
    assert_int_equal(strlen(large), sizeof big);
    guard_free(p);
    guard_free(empty);
    guard_free(large);
    guard_free(NULL);
}

static int signal_of_touching(ptrdiff_t offset)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)sigaction(SIGSEGV, &(struct sigaction){.sa_handler = SIG_DFL}, NULL); /* not cmocka's */
        volatile char *p = guard_new(SV("a secret"));
        p[offset] = 'x';
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void both_sides_are_fenced(void **state)
{
    (void)state;
    ptrdiff_t size = sysconf(_SC_PAGESIZE);
    assert_int_equal(signal_of_touching(0), 0);
    assert_int_equal(signal_of_touching(size), SIGSEGV);
    assert_int_equal(signal_of_touching(-64), SIGSEGV);
}

/* VmFlags of its mapping: dd is "do not dump", lo is "locked". */
static void it_is_in_no_dump(void **state)
{
    (void)state;
    char *p = guard_new(SV("a secret"));
    char line[512];
    uintptr_t from = 0, to = 0;
    bool found = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned long a, b;
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
            from = a;
            to = b;
        }
        if (strncmp(line, "VmFlags:", 8) == 0 && (uintptr_t)p >= from && (uintptr_t)p < to) {
            found = strstr(line, " dd") != NULL;
        }
    }
    fclose(f);
    assert_true(found);
    guard_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_whole),
        cmocka_unit_test(both_sides_are_fenced),
        cmocka_unit_test(it_is_in_no_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
