/*
 * test_evzmq.c: ROUTER and DEALER of common/evzmq.c over ipc in one process and one loop.
 * Runs in: meson test, suite unit.     Owns: a socket file in a fresh directory below /tmp.
 * Never: waits without a deadline: a stall of the edge-triggered descriptor must fail, not hang.
 * Tested in: itself. It uses libzmq directly for peers that misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include <cmocka.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/evzmq.h"
#include "common/log.h"

#define CLIENTS 20

struct client {
    struct evzmq *z;
    char id[16];
    int sent, got, goal, window;
};

static char dir[64], endpoint[128];
static struct loop *l;
static struct loop_timer guard;
static struct evzmq *hub;
static struct client clients[CLIENTS];
static int hub_got, batches, running, goal;
static struct evzmq_msg seen;
static char seen_body[64], seen_peer[64];

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("stalled: hub received %d, first client sent %d and received %d", hub_got, clients[0].sent,
             clients[0].got);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/evzmq-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/hub.sock", dir);
    memset(clients, 0, sizeof clients);
    hub_got = batches = running = goal = 0;
    hub = NULL;
    l = loop_new();
    loop_timer_init(&guard, l, too_late, NULL);
    loop_timer_start(&guard, 30000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    evzmq_free(hub);
    for (int i = 0; i < CLIENTS; i++) {
        evzmq_free(clients[i].z);
    }
    loop_timer_stop(&guard);
    loop_free(l);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/hub.sock", dir);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void stop_later(void *ctx)
{
    (void)ctx;
    loop_stop(l);
}

static void run_ms(int64_t ms)
{
    struct loop_timer t;
    loop_timer_init(&t, l, stop_later, NULL);
    loop_timer_start(&t, ms);
    loop_run(l);
    loop_timer_stop(&t);
}

/* ---- many messages in both directions ----------------------------------------------------------- */

static void hub_echo(void *ctx, const struct evzmq_msg *m)
{
    (void)ctx;
    hub_got++;
    assert_true(m->peer.n > 0);
    assert_int_equal(evzmq_send(hub, m->peer, m->header, m->body), OK);
}

static void client_pump(struct client *c)
{
    while (c->sent < c->goal && c->sent - c->got < c->window) {
        char body[32];
        int n = snprintf(body, sizeof body, "%d", c->sent);
        assert_int_equal(evzmq_send(c->z, SV_NULL, SV("head"), sv_mem(body, (size_t)n)), OK);
        c->sent++;
    }
}

static void client_recv(void *ctx, const struct evzmq_msg *m)
{
    struct client *c = ctx;
    char body[32];
    (void)snprintf(body, sizeof body, "%d", c->got);
    assert_true(sv_eqc(m->header, "head"));
    assert_true(sv_eqc(m->body, body)); /* in order, none lost */
    assert_int_equal(m->peer.n, 0);
    c->got++;
    client_pump(c);
    if (c->got == c->goal && --running == 0) {
        loop_stop(l);
    }
}

static void echo_run(int n_clients, int n_messages, int window)
{
    assert_int_equal(evzmq_router(l, endpoint, hub_echo, NULL, &hub), OK);
    running = n_clients;
    for (int i = 0; i < n_clients; i++) {
        struct client *c = &clients[i];
        c->goal = n_messages;
        c->window = window;
        (void)snprintf(c->id, sizeof c->id, "client-%d#1", i);
        assert_int_equal(evzmq_dealer(l, endpoint, c->id, 0, client_recv, c, &c->z), OK);
        client_pump(c);
    }
    loop_run(l);
    assert_int_equal(hub_got, n_clients * n_messages);
}

static void ten_thousand_both_ways(void **state)
{
    (void)state;
    /* libzmq gives credit back per half of the mark: about 128 in flight are always accepted. */
    echo_run(1, 10000, 100);
}

static void ping_pong(void **state)
{
    (void)state;
    echo_run(1, 3000, 1);
}

static void many_clients(void **state)
{
    (void)state;
    echo_run(CLIENTS, 600, 7);
}

/* Sends that come after this turn's look at ZMQ_EVENTS: from deferred calls, whose prepare is another one. */
static void deferred_echo(void *ctx)
{
    (void)ctx;
    assert_int_equal(evzmq_send(hub, sv_of(seen_peer), SV("head"), sv_of(seen_body)), OK);
}

static void hub_defers(void *ctx, const struct evzmq_msg *m)
{
    (void)ctx;
    hub_got++;
    assert_true(sv_copy(seen_peer, sizeof seen_peer, m->peer));
    assert_true(sv_copy(seen_body, sizeof seen_body, m->body));
    loop_defer(l, deferred_echo, NULL);
}

static void deferred_sends(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, hub_defers, NULL, &hub), OK);
    struct client *c = &clients[0];
    c->goal = 2000;
    c->window = 1;
    running = 1;
    assert_int_equal(evzmq_dealer(l, endpoint, "c#1", 0, client_recv, c, &c->z), OK);
    client_pump(c);
    loop_run(l);
    assert_int_equal(c->got, 2000);
}

/* ---- one message --------------------------------------------------------------------------------- */

static void hub_note(void *ctx, const struct evzmq_msg *m)
{
    (void)ctx;
    seen = *m;
    assert_true(sv_copy(seen_peer, sizeof seen_peer, m->peer));
    assert_true(sv_copy(seen_body, sizeof seen_body, m->body.n < 60 ? m->body : SV("long")));
    if (++hub_got == goal) {
        loop_stop(l);
    }
}

static void ignore(void *ctx, const struct evzmq_msg *m)
{
    (void)ctx;
    (void)m;
}

static void credentials_are_the_kernels(void **state)
{
    (void)state;
    goal = 1;
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    assert_int_equal(evzmq_dealer(l, endpoint, "edge#7", 0, ignore, NULL, &clients[0].z), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("")), OK);
    loop_run(l);
    assert_string_equal(seen_peer, "edge#7");
    assert_int_equal(seen.pid, getpid());
    assert_int_equal(seen.uid, getuid());
    assert_int_equal(seen.header.n, 1);
    assert_int_equal(seen.body.n, 0);
}

static void unknown_peer_is_gone(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    assert_int_equal(evzmq_send(hub, SV("nobody#1"), SV("h"), SV("b")), ERR_GONE);
    /* The refused message left nothing behind: the next one to a known peer is whole. */
    goal = 1;
    assert_int_equal(evzmq_dealer(l, endpoint, "a#1", 0, client_recv, &clients[0], &clients[0].z), OK);
    clients[0].goal = 1;
    running = 1;
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("x")), OK);
    loop_run(l);
    assert_int_equal(evzmq_send(hub, SV("nobody#1"), SV("h"), SV("b")), ERR_GONE);
    assert_int_equal(evzmq_send(hub, SV("a#1"), SV("head"), SV("0")), OK);
    loop_run(l);
    assert_int_equal(clients[0].got, 1);
}

static void full_queue_is_busy(void **state)
{
    (void)state;
    /* Nobody listens: the DEALER queues up to its mark. */
    struct evzmq *z;
    assert_int_equal(evzmq_dealer(l, "ipc:///tmp/evzmq-nobody.sock", "x#1", 0, ignore, NULL, &z), OK);
    int n = 0, rc;
    while ((rc = evzmq_send(z, SV_NULL, SV("h"), SV("b"))) == OK && n < 10000) {
        n++;
    }
    assert_int_equal(rc, ERR_BUSY);
    assert_int_equal(n, EVZMQ_HWM);
    evzmq_free(z);

    /* A peer that does not read: the ROUTER says so instead of dropping, and nothing accepted is lost. */
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    void *zctx = zmq_ctx_new(), *raw = zmq_socket(zctx, ZMQ_DEALER);
    int hwm = 4, ms = 3000;
    zmq_setsockopt(raw, ZMQ_ROUTING_ID, "slow#1", 6);
    zmq_setsockopt(raw, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(raw, ZMQ_RCVTIMEO, &ms, sizeof ms);
    assert_int_equal(zmq_connect(raw, endpoint), 0);
    assert_int_equal(zmq_send(raw, "h", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw, "b", 1, 0), 1);
    goal = 1;
    loop_run(l);
    static char big[20000];
    for (n = 0, rc = OK; rc == OK && n < 20000;) {
        rc = evzmq_send(hub, SV("slow#1"), SV("h"), sv_mem(big, sizeof big));
        n += rc == OK;
        if (n % 64 == 0) {
            run_ms(1);
        }
    }
    if (rc != ERR_BUSY) {
        fail_msg("after %d messages: %s", n, err_name(rc));
    }
    assert_true(n >= EVZMQ_HWM);
    for (int i = 0; i < n; i++) {
        char h[4];
        assert_int_equal(zmq_recv(raw, h, sizeof h, 0), 1);
        assert_int_equal(zmq_recv(raw, big, sizeof big, 0), sizeof big);
    }
    zmq_close(raw);
    zmq_ctx_term(zctx);
}

static void malformed_and_oversize_are_dropped(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    void *zctx = zmq_ctx_new(), *raw = zmq_socket(zctx, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_connect(raw, endpoint), 0);
    assert_int_equal(zmq_send(raw, "one", 3, 0), 3); /* one frame */
    for (int i = 0; i < 6; i++) {                    /* six frames */
        assert_int_equal(zmq_send(raw, "six", 3, i < 5 ? ZMQ_SNDMORE : 0), 3);
    }
    assert_int_equal(zmq_send(raw, "", 0, ZMQ_SNDMORE), 0);
    assert_int_equal(zmq_send(raw, "good", 4, 0), 4);
    goal = 1;
    loop_run(l);
    assert_int_equal(hub_got, 1);
    assert_string_equal(seen_body, "good");

    /* Two frames that are too long only together, then one that is too long alone (libzmq cuts the
     * connection for that one; the peer reconnects). */
    static char huge[EVZMQ_MAX_MSG + 1];
    assert_int_equal(zmq_send(raw, huge, EVZMQ_MAX_MSG, ZMQ_SNDMORE), EVZMQ_MAX_MSG);
    assert_int_equal(zmq_send(raw, "x", 1, 0), 1);
    run_ms(100);
    assert_int_equal(hub_got, 1);
    assert_int_equal(zmq_send(raw, "h", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw, huge, sizeof huge, 0), sizeof huge);
    run_ms(400);
    assert_int_equal(hub_got, 1);
    assert_int_equal(zmq_send(raw, "h", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw, "after", 5, 0), 5);
    goal = 2;
    loop_run(l);
    assert_string_equal(seen_body, "after");
    zmq_close(raw);
    zmq_ctx_term(zctx);

    /* Our own side refuses before sending; the largest allowed passes. */
    assert_int_equal(evzmq_dealer(l, endpoint, "b#1", 0, ignore, NULL, &clients[0].z), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), sv_mem(huge, EVZMQ_MAX_MSG)), ERR_TOOBIG);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), sv_mem(huge, EVZMQ_MAX_MSG - 1)), OK);
    goal = 3;
    loop_run(l);
    assert_int_equal(seen.body.n, EVZMQ_MAX_MSG - 1);
}

/* ---- the edge that a send eats --------------------------------------------------------------------- */

/* A message arrives and its edge is taken by an unrelated send on the hub; the loop must not sleep on it. */
static void *raw_ctx, *raw_peer;
static bool raw_sent;

static void eat_edge(void *ctx)
{
    (void)ctx;
    if (!raw_sent) {
        assert_int_equal(zmq_send(raw_peer, "h", 1, ZMQ_SNDMORE), 1);
        assert_int_equal(zmq_send(raw_peer, "late", 4, 0), 4);
        nanosleep(&(struct timespec){0, 50 * 1000 * 1000}, NULL);
        assert_int_equal(evzmq_send(hub, SV("nobody#1"), SV("h"), SV("b")), ERR_GONE);
        raw_sent = true;
    }
}

static void edge_eaten_by_send(void (*arrange)(void))
{
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    /* A peer outside our loop, so that nothing of its own wakes it. */
    raw_sent = false;
    raw_ctx = zmq_ctx_new();
    raw_peer = zmq_socket(raw_ctx, ZMQ_DEALER);
    assert_int_equal(zmq_connect(raw_peer, endpoint), 0);
    assert_int_equal(zmq_send(raw_peer, "h", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw_peer, "hello", 5, 0), 5);
    assert_int_equal(evzmq_dealer(l, endpoint, "c#1", 0, ignore, NULL, &clients[0].z), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("hello")), OK);
    goal = 2; /* both are connected */
    loop_run(l);
    run_ms(20);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    arrange();
    loop_run(l);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_string_equal(seen_body, "late");
    /* Without the cure the next timer wakes the loop, the probe of each second at the latest. */
    assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 600);
    zmq_close(raw_peer);
    zmq_ctx_term(raw_ctx);
}

static void arrange_in_batch(void)
{
    evzmq_set_batch(hub, 0, 0, eat_edge);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("early")), OK);
    goal = 4;
}

static void arrange_deferred(void)
{
    loop_defer(l, eat_edge, NULL);
    goal = 3;
}

static void edge_eaten_in_batch(void **state)
{
    (void)state;
    edge_eaten_by_send(arrange_in_batch);
}

static void edge_eaten_deferred(void **state)
{
    (void)state;
    edge_eaten_by_send(arrange_deferred);
}

/* ---- batches, life and death --------------------------------------------------------------------- */

static void on_batch(void *ctx)
{
    (void)ctx;
    batches++;
    assert_true(hub_got > 0);
}

static void batches_end_once(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
    evzmq_set_batch(hub, 4, 1000000, on_batch);
    assert_int_equal(evzmq_dealer(l, endpoint, "b#1", 0, ignore, NULL, &clients[0].z), OK);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("b")), OK);
    }
    nanosleep(&(struct timespec){0, 100 * 1000 * 1000}, NULL); /* all twelve wait in the hub's queue */
    goal = 12;
    loop_run(l);
    run_ms(20);
    assert_int_equal(hub_got, 12);
    assert_in_range(batches, 3, 5);
}

static void free_itself(void *ctx, const struct evzmq_msg *m)
{
    (void)ctx;
    assert_true(sv_eqc(m->body, "first")); /* nothing is handed over after the free */
    evzmq_free(hub);
    hub = NULL;
    assert_true(sv_eqc(m->body, "first")); /* the view outlives it until we return */
    loop_stop(l);
}

static void free_inside_callback(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, free_itself, NULL, &hub), OK);
    evzmq_set_batch(hub, 0, 0, on_batch);
    assert_int_equal(evzmq_dealer(l, endpoint, "b#1", 0, ignore, NULL, &clients[0].z), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("first")), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("second")), OK);
    loop_run(l);
    run_ms(20);
    assert_int_equal(batches, 0);
}

/* The DEALER comes first and queues; the hub goes and comes back; messages flow again by themselves. */
static void hub_restarts(void **state)
{
    (void)state;
    goal = 1;
    assert_int_equal(evzmq_dealer(l, endpoint, "b#1", 0, ignore, NULL, &clients[0].z), OK);
    assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("early")), OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(evzmq_router(l, endpoint, hub_note, NULL, &hub), OK);
        hub_got = 0;
        loop_run(l);
        assert_string_equal(seen_body, round == 0 ? "early" : "again");
        evzmq_free(hub);
        hub = NULL;
        run_ms(50); /* the DEALER notices the loss: what was in flight would be gone */
        assert_int_equal(evzmq_send(clients[0].z, SV_NULL, SV("h"), SV("again")), OK);
    }
}

static void bad_endpoints(void **state)
{
    (void)state;
    struct evzmq *z = NULL;
    errno = 0;
    assert_int_equal(evzmq_router(l, "ipc:///nonexistent-directory/x.sock", ignore, NULL, &z), ERR_IO);
    assert_int_not_equal(errno, 0);
    assert_int_equal(evzmq_dealer(l, "nonsense", "a#1", 0, ignore, NULL, &z), ERR_IO);
    assert_null(z);
    evzmq_free(NULL);
}

static void signals_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(evzmq_router(l, endpoint, ignore, NULL, &hub), OK);
    static const int sigs[] = {SIGINT, SIGTERM, SIGPIPE, SIGCHLD};
    for (size_t i = 0; i < ARRAY_LEN(sigs); i++) {
        struct sigaction sa;
        assert_int_equal(sigaction(sigs[i], NULL, &sa), 0);
        assert_ptr_equal(sa.sa_handler, SIG_DFL);
    }
}

/* Runs first, before this process has a context: a child that exits with an open socket exits at once. */
static void early_exit_is_quick_and_silent(void **state)
{
    (void)state;
    static struct evzmq *left_open;
    int fd[2];
    char noise[256];
    assert_int_equal(pipe(fd), 0);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        int rc = evzmq_dealer(l, endpoint, "x#1", 5000, ignore, NULL, &left_open);
        rc = rc == OK ? evzmq_send(left_open, SV_NULL, SV("h"), SV("never read")) : rc;
        exit(rc == OK ? 0 : 1);
    }
    close(fd[1]);
    ssize_t n = read(fd[0], noise, sizeof noise - 1);
    close(fd[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    clock_gettime(CLOCK_MONOTONIC, &b);
    noise[n > 0 ? n : 0] = '\0';
    assert_string_equal(noise, "");
    assert_int_equal(status, 0);
    assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 2000);
}

int main(void)
{
    log_set_console(-1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(early_exit_is_quick_and_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(ten_thousand_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(ping_pong, setup, teardown),
        cmocka_unit_test_setup_teardown(many_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(deferred_sends, setup, teardown),
        cmocka_unit_test_setup_teardown(credentials_are_the_kernels, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_peer_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(full_queue_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed_and_oversize_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(edge_eaten_in_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(edge_eaten_deferred, setup, teardown),
        cmocka_unit_test_setup_teardown(batches_end_once, setup, teardown),
        cmocka_unit_test_setup_teardown(free_inside_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(hub_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_endpoints, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
