/*
 * test_route.c: what the bus accepts and from whom, and what a stuck receiver costs.
 * Runs in: tests.     Owns: a loop and sockets in a scratch folder; one child process.
 * Never: waits without a limit.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "proto/wire.h"
#include "tests/unit/runtime/rig.h"
#include "workers/bus/bus.h"
#include "workers/runtime/plane_bus.h"

static struct rig rig;
static struct route *bus;

/* A client that says exactly what a test wants. */
struct raw {
    struct evzmq *sock;
    unsigned n; /* answers */
    bool greeted;
    struct envelope last;
    int64_t code; /* of the last STATUS */
};

static void on_raw(void *ctx, const struct evzmq_msg *m)
{
    struct raw *r = ctx;
    struct arena a = ARENA_INIT;
    struct envelope e;
    assert_int_equal(envelope_decode(m->header, &e), OK);
    if ((e.flags & ENV_PUSH) && e.rid == 0 && e.type == MSG_DONE) {
        r->greeted = true;
        return;
    }
    r->last = e;
    r->n++;
    if (r->last.type == MSG_STATUS) {
        struct msg_status st = {0};
        assert_int_equal(wire_decode(MSG_STATUS, m->body, &a, &st, NULL), OK);
        r->code = st.code;
    }
    arena_free(&a);
    r->last.src = r->last.dst = SV_NULL; /* views */
}

static void connect_raw(struct raw *r, const char *id)
{
    *r = (struct raw){0};
    assert_int_equal(evzmq_dealer(rig.loop, rig.endpoint, id, 0, on_raw, r, &r->sock), OK);
}

static bool is_greeted(void *ctx)
{
    return ((struct raw *)ctx)->greeted;
}

/* Connected, and known to the bus. */
static void wait_for(struct raw *r)
{
    assert_true(rig_until(&rig, 5000, is_greeted, r));
}

static void say(struct raw *r, struct envelope e, const void *body)
{
    struct buf h = BUF_INIT(ENVELOPE_MAX), b = BUF_INIT(BUF_MAX_DEFAULT);
    assert_true(envelope_encode(&e, &h));
    assert_int_equal(wire_encode(e.type, body, &b, NULL), OK);
    assert_int_equal(evzmq_send(r->sock, SV_NULL, buf_view(&h), buf_view(&b)), OK);
    buf_free(&h);
    buf_free(&b);
}

static const struct msg_hello hello = {.name = {"edge", 4}, .inc = 1};

static bool answered(void *ctx)
{
    return ((struct raw *)ctx)->n > 0;
}

static int setup(void **state)
{
    (void)state;
    rig_new(&rig);
    assert_int_equal(route_new(rig.loop, rig.endpoint, &bus), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    route_free(bus);
    rig_free(&rig);
    return 0;
}

static void test_strangers_get_no_answer(void **state)
{
    (void)state;
    struct raw unknown, other_pid;
    connect_raw(&unknown, "edge#1");
    connect_raw(&other_pid, "agent-1#1");
    route_peer(bus, true, "agent-1", 1, getpid() + 1);
    struct envelope e = {.type = MSG_HELLO, .flags = ENV_REQUEST, .rid = 1, .src = SV("edge")};
    say(&unknown, e, &hello);
    e.src = SV("agent-1");
    say(&other_pid, e, &hello);
    rig_for(&rig, 100);
    assert_int_equal(unknown.n, 0);
    assert_int_equal(other_pid.n, 0);
    assert_int_equal(route_messages(bus), 0);
    route_peer(bus, true, "edge", 1, getpid());
    e.src = SV("edge");
    say(&unknown, e, &hello);
    assert_true(rig_until(&rig, 5000, answered, &unknown));
    assert_int_equal(unknown.last.type, MSG_DONE);
    assert_int_equal(unknown.last.flags, ENV_REPLY);
    assert_true(unknown.last.rid == 1);
    assert_int_equal(route_peers(bus), 2);
    evzmq_free(unknown.sock);
    evzmq_free(other_pid.sock);
}

static void test_nobody_speaks_under_another_name(void **state)
{
    (void)state;
    struct raw edge, agent;
    route_peer(bus, true, "edge", 1, getpid());
    route_peer(bus, true, "agent-1", 1, getpid());
    connect_raw(&edge, "edge#1");
    connect_raw(&agent, "agent-1#1");
    struct msg_run_text_get q = {.run_id = SV("r")};
    struct envelope e = {.type = MSG_RUN_TEXT_GET, .flags = ENV_REQUEST, .rid = 9, .src = SV("cron"),
                         .dst = SV("agent-1")};
    wait_for(&edge);
    wait_for(&agent);
    say(&edge, e, &q);
    rig_for(&rig, 60);
    assert_int_equal(agent.n, 0);
    e.src = SV("edge");
    say(&edge, e, &q);
    assert_true(rig_until(&rig, 5000, answered, &agent));
    assert_int_equal(agent.last.type, MSG_RUN_TEXT_GET);
    assert_true(agent.last.rid == 9);
    evzmq_free(edge.sock);
    evzmq_free(agent.sock);
}

static void test_refusals(void **state)
{
    (void)state;
    struct raw edge;
    route_peer(bus, true, "edge", 1, getpid());
    connect_raw(&edge, "edge#1");
    wait_for(&edge);
    struct envelope e = {.type = MSG_RUN_TEXT_GET, .flags = ENV_REQUEST, .rid = 2, .src = SV("edge")};
    struct msg_run_text_get q = {.run_id = SV("r")};
    say(&edge, e, &q); /* to the bus itself: it serves no such thing */
    assert_true(rig_until(&rig, 5000, answered, &edge));
    assert_true(edge.code == ERR_BAD);
    edge.n = 0;
    e.dst = SV("irc/default");
    say(&edge, e, &q); /* not registered */
    assert_true(rig_until(&rig, 5000, answered, &edge));
    assert_true(edge.code == ERR_GONE && edge.last.rid == 2);
    edge.n = 0;
    route_peer(bus, true, "irc/default", 1, getpid());
    say(&edge, e, &q); /* registered, but not connected yet */
    assert_true(rig_until(&rig, 5000, answered, &edge));
    assert_true(edge.code == ERR_GONE);
    edge.n = 0;
    e.flags = ENV_REPLY;
    say(&edge, e, &q); /* an answer that nobody can take is dropped */
    e.flags = ENV_REQUEST;
    e.dst = SV_NULL;
    e.type = MSG_SUBSCRIBE;
    say(&edge, e, &(struct msg_subscribe){.topic = SV("")});
    assert_true(rig_until(&rig, 5000, answered, &edge));
    assert_int_equal(edge.last.type, MSG_STATUS);
    assert_true(edge.code == ERR_BAD);
    assert_int_equal(edge.n, 1);
    assert_int_equal(evzmq_send(edge.sock, SV_NULL, SV("garbage"), SV("x")), OK);
    assert_int_equal(evzmq_send(edge.sock, SV_NULL, SV(""), SV("")), OK);
    rig_for(&rig, 50);
    assert_int_equal(edge.n, 1);
    evzmq_free(edge.sock);
}

static void test_a_new_incarnation_subscribes_anew(void **state)
{
    (void)state;
    struct raw one, two;
    route_peer(bus, true, "edge", 1, getpid());
    connect_raw(&one, "edge#1");
    wait_for(&one);
    struct envelope sub = {.type = MSG_SUBSCRIBE, .flags = ENV_REQUEST, .rid = 3, .src = SV("edge")};
    struct envelope pub = {.type = MSG_DONE, .flags = ENV_PUSH | ENV_TOPIC, .rid = 4, .src = SV("edge"),
                           .dst = SV("t")};
    say(&one, sub, &(struct msg_subscribe){.topic = SV("t")});
    assert_true(rig_until(&rig, 5000, answered, &one));
    route_peer(bus, false, "edge", 1, getpid());
    route_peer(bus, true, "edge", 2, getpid());
    connect_raw(&two, "edge#2");
    wait_for(&two);
    say(&two, pub, &(struct msg_done){0});
    rig_for(&rig, 50);
    assert_int_equal(two.n, 0);
    assert_int_equal(one.n, 1); /* the old one is not spoken to any more */
    evzmq_free(one.sock);
    evzmq_free(two.sock);
}

/* ---- a receiver that stops reading ----------------------------------------------------------------- */

/* One event as the child reports it. */
struct report {
    uint64_t seq;
    bool gap;
};

static int report_fd;

static void on_event(void *ctx, uint16_t type, const void *body, bool gap)
{
    UNUSED(ctx);
    UNUSED(type);
    struct report r = {((const struct msg_run_event *)body)->seq, gap};
    ssize_t n = write(report_fd, &r, sizeof r);
    UNUSED(n);
}

static void child_main(const char *endpoint)
{
    struct loop *l = loop_new();
    struct plane_bus *p = plane_bus_new(l, endpoint, "edge", 1);
    bus_subscribe(p, "run", on_event, NULL);
    (void)alarm(30);
    loop_run(l);
    _exit(0);
}

struct count {
    unsigned n, gaps;
    uint64_t last;
};

/* The child reports without blocking us: the pipe is read between turns of the loop. */
static bool reports(int fd, struct count *c)
{
    struct report r[256];
    ssize_t n = read(fd, r, sizeof r);
    for (ssize_t i = 0; i < n / (ssize_t)sizeof r[0]; i++) {
        c->n++;
        c->gaps += r[i].gap;
        c->last = r[i].seq;
    }
    return n > 0;
}

static bool reports_until(int fd, uint64_t seq, struct count *c)
{
    for (int turn = 0; turn < 1000 && c->last != seq; turn++) {
        rig_for(&rig, 10);
        (void)reports(fd, c);
    }
    return c->last == seq;
}

static void publish(struct plane_bus *agent, uint64_t seq)
{
    char text[8192];
    memset(text, 't', sizeof text);
    struct msg_run_event e = {.run_id = SV("r"), .session_key = SV("k"), .seq = seq, .stream = SV("assistant"),
                              .delta = {text, sizeof text}};
    bus_publish(agent, "run", MSG_RUN_EVENT, &e);
}

static void test_stuck_receiver(void **state)
{
    (void)state;
    int fds[2];
    rig_new(&rig); /* nothing of ZeroMQ exists yet: it would not survive the fork */
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        report_fd = fds[1];
        child_main(rig.endpoint);
    }
    (void)close(fds[1]);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(route_new(rig.loop, rig.endpoint, &bus), OK);
    route_peer(bus, true, "edge", 1, child);
    route_peer(bus, true, "agent-1", 1, getpid());
    struct plane_bus *agent = plane_bus_new(rig.loop, rig.endpoint, "agent-1", 1);
    rig_for(&rig, 300);

    struct count c = {0};
    for (int tries = 0; tries < 100 && c.last != 1; tries++) { /* until the child has subscribed */
        publish(agent, 1);
        rig_for(&rig, 50);
        (void)reports(fds[0], &c);
    }
    assert_true(c.last == 1);
    assert_int_equal(c.gaps, 0);
    c.n = 0;

    assert_int_equal(kill(child, SIGSTOP), 0);
    for (uint64_t i = 2; i <= 2000; i++) {
        publish(agent, i);
        if (i % 50 == 0) {
            rig_for(&rig, 4);
        }
    }
    rig_for(&rig, 100);
    assert_true(route_drops(bus) > 0); /* and we are still here: nothing blocked */
    assert_int_equal(kill(child, SIGCONT), 0);
    rig_for(&rig, 200);
    publish(agent, 5000);
    assert_true(reports_until(fds[0], 5000, &c));
    assert_true(c.n < 2000);
    assert_true(c.gaps >= 1);
    unsigned gaps = c.gaps;
    publish(agent, 5001);
    assert_true(reports_until(fds[0], 5001, &c));
    assert_int_equal(c.gaps, gaps); /* told once */

    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(fds[0]);
    plane_bus_free(agent);
    route_free(bus);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stuck_receiver), /* first: it forks */
        cmocka_unit_test_setup_teardown(test_strangers_get_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_speaks_under_another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_incarnation_subscribes_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
