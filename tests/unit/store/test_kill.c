/*
 * test_kill.c: kill -9 of the store at unplanned moments: what was acknowledged is there, and the invariants hold.
 * Runs in: unit tests.     Owns: the child process it kills.
 * Never: kills anything else.
 * Tested in: itself
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"

#define KILLS 12

static void message(struct hx *h, uint32_t n, uint16_t *got, const struct msg_ingested **answer)
{
    char id[32];
    char key[32];
    (void)snprintf(id, sizeof(id), "m%u", n);
    (void)snprintf(key, sizeof(key), "agent:main:s%u", n % 5);
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(id),
                            .run_id = sv_of(id), .session_key = sv_of(key), .text = SV("some words to keep")};
    *answer = hx_call(h, "edge", MSG_INGEST, &in, got);
}

/* Works for ever; the number of each acknowledged message goes into the pipe. */
static void child(struct hx *h, uint32_t first, int fd)
{
    hx_open(h);
    hx_agent(h, "agent-1", 4);
    for (uint32_t n = first;; n++) {
        uint16_t got;
        const struct msg_ingested *answer;
        message(h, n, &got, &answer);
        if (got != MSG_INGESTED || write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n)) {
            _exit(1);
        }
        const struct msg_grant *g;
        while ((g = hx_push(h, "agent-1", MSG_GRANT)) != NULL) {
            struct msg_entry row = {.role = SV("assistant"), .text = SV("yes")};
            struct msg_finish f = {.run_id = g->run_id, .fence = g->fence, .status = SV("ok"), .reply = SV("yes"),
                                   .rows = &row, .rows_n = 1};
            (void)hx_call(h, "agent-1", MSG_FINISH, &f, &got);
        }
        hx_skip(h);
    }
}

/* after_us: when to kill; or the crash point at which it kills itself. Returns the number behind the last
 * acknowledged message. */
static uint32_t run_and_kill(struct hx *h, uint32_t first, unsigned after_us, const char *site)
{
    int fd[2];
    uint32_t last = first;
    uint32_t n;
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fd[0]);
        if (site != NULL) {
            (void)setenv("TENAZA_CRASH_AT", site, 1);
        }
        child(h, first, fd[1]);
    }
    (void)close(fd[1]);
    if (site == NULL) {
        assert_int_equal(read(fd[0], &n, sizeof(n)), sizeof(n)); /* it works */
        last = n + 1;
        (void)usleep(after_us);
        assert_int_equal(kill(pid, SIGKILL), 0);
    }
    while (read(fd[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
        last = n + 1;
    }
    (void)close(fd[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return last;
}

/* The store is opened again: everything acknowledged is there once, and every run comes to its end. */
static void verify(struct hx *h, uint32_t from, uint32_t to)
{
    hx_open(h);
    hx_check(h);
    for (uint32_t n = from; n < to; n++) {
        uint16_t got;
        const struct msg_ingested *answer;
        message(h, n, &got, &answer);
        assert_int_equal(got, MSG_INGESTED);
        assert_true(answer->dup);
    }
    /* whoever held a run is gone: it is granted once more */
    store_peer_gone(h->s, "agent-1", 1);
    hx_agent(h, "agent-2", 8);
    const struct msg_grant *g;
    while ((g = hx_push(h, "agent-2", MSG_GRANT)) != NULL) {
        hx_finish(h, "agent-2", g, "ok", "yes");
    }
    for (uint32_t n = from; n < to; n++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "m%u", n);
        assert_sv(hx_run(h, id)->state, "ok");
    }
    hx_check(h);
    hx_close(h);
}

static void acknowledged_means_kept(void **state)
{
    static struct hx h;
    uint32_t next = 0;
    UNUSED(state);
    hx_init(&h);
    for (unsigned i = 0; i < KILLS; i++) {
        uint32_t last = run_and_kill(&h, next, 700 + i * 1913, NULL);
        verify(&h, next, last);
        next = last + 1; /* the one behind the last acknowledgement may be there or not */
    }
    assert_true(next > KILLS);
    hx_open(&h);
    hx_free(&h);
}

#ifdef TENAZA_CRASH_POINTS
/* In a process of its own: crash points read their setting once, so the one that forks must not pass any. */
static void verify_apart(struct hx *h, uint32_t from, uint32_t to)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        verify(h, from, to);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The same at every named point of a turn, for the first passes of each. */
static void every_crash_point(void **state)
{
    static struct hx h;
    static const char *const sites[] = {"store.before_commit", "store.after_commit", "store.before_reply",
                                        "store.between_sends"};
    uint32_t next = 0;
    UNUSED(state);
    hx_init(&h);
    for (size_t i = 0; i < ARRAY_LEN(sites); i++) {
        for (int pass = 1; pass <= 12; pass++) {
            char site[64];
            (void)snprintf(site, sizeof(site), "%s:%d", sites[i], pass);
            uint32_t last = run_and_kill(&h, next, 0, site);
            verify_apart(&h, next, last);
            next = last + 1;
        }
    }
    hx_open(&h);
    hx_free(&h);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef TENAZA_CRASH_POINTS
        cmocka_unit_test(every_crash_point), /* first, see verify_apart */
#endif
        cmocka_unit_test(acknowledged_means_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
