/*
 * test_recorder.c: what a killed process recorded is there, and nothing it writes can hurt the reader.
 * Runs in: unit tests.     Owns: one child at a time.
 * Never: waits without a limit.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/recorder.h"

static struct recorder *r;
static int fd;

static int setup(void **state)
{
    UNUSED(state);
    fd = recorder_new(&r);
    return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    recorder_unmap(r);
    return close(fd);
}

/* Runs fn with the recorder in a process that kills itself without a word. */
static void in_a_process_that_is_killed(void (*fn)(struct recorder *mine))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(20);
        log_init("irc/default", 7, LOG_STYLE_PLAIN, -1);
        log_set_console(-1);
        struct recorder *mine = recorder_use(fd, "irc/default", 7);
        if (mine == NULL) {
            _exit(1);
        }
        fn(mine);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void work(struct recorder *mine)
{
    log_context_set(0x0201, SV("run-9"), SV_NULL);
    counter_add(C_chan_in, 3);
    log_info("last line");
    recorder_words(mine, "first", 5);
    recorder_words(mine, "second", 6);
}

static void test_survives_a_kill(void **state)
{
    UNUSED(state);
    in_a_process_that_is_killed(work);
    struct buf b = BUF_INIT(1 << 20);
    assert_string_equal(r->name, "irc/default");
    assert_int_equal(r->inc, 7);
    assert_int_equal(r->context.message, 0x0201);
    assert_true(r->context.busy);
    assert_string_equal(r->context.run, "run-9");
    assert_int_equal(r->counters.cells[C_chan_in], 3);
    assert_string_equal(r->words, "first");
    recorder_lines(r, &b);
    assert_non_null(strstr(buf_cstr(&b), "INFO irc/default  last line  run=run-9\n"));
    buf_free(&b);
}

static void chatter(struct recorder *mine)
{
    UNUSED(mine);
    for (int i = 0; i < 3000; i++) {
        log_at(NULL, LOG_L_INFO, "line %d with some text so that the ring goes round", i);
    }
}

static void test_the_ring_keeps_the_newest_whole_lines(void **state)
{
    UNUSED(state);
    in_a_process_that_is_killed(chatter);
    struct buf b = BUF_INIT(1 << 20);
    recorder_lines(r, &b);
    sv rest = buf_view(&b);
    assert_true(rest.n > RECORDER_RING - 200 && rest.n <= RECORDER_RING);
    unsigned lines = 0;
    while (!sv_empty(rest)) {
        sv line = sv_cut(&rest, '\n');
        assert_true(line.n > 9 && sv_starts(sv_sub(line, 9, line.n), SV("INFO irc/default  line ")));
        lines++;
    }
    assert_true(lines > 500);
    assert_non_null(strstr(buf_cstr(&b), "line 2999 with"));
    buf_free(&b);
}

static void vandal(struct recorder *mine)
{
    memset(mine, 0xff, sizeof *mine);
}

static void test_a_vandal_hurts_nobody(void **state)
{
    UNUSED(state);
    in_a_process_that_is_killed(vandal);
    struct buf b = BUF_INIT(1 << 20);
    recorder_lines(r, &b);
    assert_true(b.n <= RECORDER_RING);
    buf_free(&b);
    assert_int_equal(ftruncate(fd, 10), -1); /* sealed: nobody makes it shorter under the reader */
    assert_null(recorder_use(STDIN_FILENO, "x", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_survives_a_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_ring_keeps_the_newest_whole_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_vandal_hurts_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
