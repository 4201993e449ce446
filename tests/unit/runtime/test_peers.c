/*
 * test_peers.c: the registry of a hub.
 * Runs in: tests.     Owns: a registry; for greetings a loop and two sockets.
 * Never: waits without a limit.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "proto/wire.h"
#include "tests/unit/runtime/rig.h"
#include "workers/runtime/slot.h"

static void test_check(void **state)
{
    (void)state;
    log_set_console(-1);
    struct peers *p = peers_new();
    assert_null(peers_check(p, SV("irc/default#3"), 100));
    peers_up(p, "irc/default", 3, 100);
    assert_string_equal(peers_check(p, SV("irc/default#3"), 100), "irc/default");
    assert_null(peers_check(p, SV("irc/default#3"), 101)); /* somebody else's process */
    assert_null(peers_check(p, SV("irc/default#2"), 100));
    assert_null(peers_check(p, SV("irc/default"), 100));
    assert_null(peers_check(p, SV_NULL, 100));
    assert_null(peers_check(p, SV("irc/default#3"), -1)); /* credentials unknown */
    assert_true(sv_eqc(peers_routing(p, SV("irc/default")), "irc/default#3"));
    assert_true(sv_empty(peers_routing(p, SV("irc/other"))));
    assert_int_equal(peers_inc(p, SV("irc/default")), 3);
    peers_free(p);
}

static void test_incarnations(void **state)
{
    (void)state;
    struct peers *p = peers_new();
    peers_up(p, "agent-1", 4, 10);
    peers_up(p, "agent-1", 5, 11);
    assert_int_equal(peers_count(p), 1);
    assert_null(peers_check(p, SV("agent-1#4"), 10));
    assert_string_equal(peers_check(p, SV("agent-1#5"), 11), "agent-1");
    peers_up(p, "agent-1", 4, 10); /* late news */
    assert_int_equal(peers_inc(p, SV("agent-1")), 5);
    assert_false(peers_gone(p, "agent-1", 4)); /* late news */
    assert_non_null(peers_check(p, SV("agent-1#5"), 11));
    assert_true(peers_gone(p, "agent-1", 5));
    assert_false(peers_gone(p, "agent-1", 5));
    assert_null(peers_check(p, SV("agent-1#5"), 11));
    assert_int_equal(peers_count(p), 0);
    assert_true(sv_empty(peers_routing(p, SV("agent-1"))));
    peers_free(p);
}

static void test_caps(void **state)
{
    (void)state;
    log_set_console(-1);
    struct peers *p = peers_new();
    char name[200];
    for (int i = 0; i < PEERS_MAX + 5; i++) {
        (void)snprintf(name, sizeof name, "cli-%d", i);
        peers_up(p, name, 1, i);
    }
    assert_int_equal(peers_count(p), PEERS_MAX);
    peers_up(p, "cli-0", 2, 7); /* a new incarnation needs no new row */
    assert_int_equal(peers_inc(p, SV("cli-0")), 2);
    for (int i = 0; i < 1000; i++) { /* the memory of strangers is bounded, too */
        (void)snprintf(name, sizeof name, "stranger-%d#1", i);
        assert_null(peers_check(p, sv_of(name), 1));
    }
    memset(name, 'x', sizeof name);
    assert_true(peers_gone(p, "cli-1", 1));
    name[150] = 0;
    peers_up(p, name, 1, 1); /* longer than a name can be */
    assert_int_equal(peers_count(p), PEERS_MAX - 1);
    peers_free(p);
}

static void test_boot_numbers(void **state)
{
    (void)state;
    struct peers *a = peers_new(), *b = peers_new();
    assert_true(peers_done(a).boot != 0 && peers_done(b).boot != 0);
    assert_true(peers_done(a).boot != peers_done(b).boot);
    assert_true(peers_done(a).boot == peers_done(a).boot);
    peers_free(a);
    peers_free(b);
}

static uint64_t greeted;
static unsigned greetings;

static void on_dealer(void *ctx, const struct evzmq_msg *m)
{
    UNUSED(ctx);
    struct envelope e;
    struct arena a = ARENA_INIT;
    struct msg_done d = {0};
    assert_int_equal(envelope_decode(m->header, &e), OK);
    assert_int_equal(e.type, MSG_DONE);
    assert_int_equal(e.flags, ENV_PUSH);
    assert_int_equal(wire_decode(MSG_DONE, m->body, &a, &d, NULL), OK);
    greeted = d.boot;
    greetings++;
    arena_free(&a);
}

static void on_router(void *ctx, const struct evzmq_msg *m)
{
    UNUSED(ctx);
    UNUSED(m);
}

static bool is_greeted(void *ctx)
{
    UNUSED(ctx);
    return greetings > 0;
}

static void test_greeting(void **state)
{
    (void)state;
    struct rig rig;
    struct evzmq *router, *dealer;
    rig_new(&rig);
    struct peers *p = peers_new();
    assert_int_equal(evzmq_router(rig.loop, rig.endpoint, on_router, NULL, &router), OK);
    peers_greet(p, rig.loop, router);
    peers_up(p, "agent-1", 1, getpid()); /* registered before it is connected */
    rig_for(&rig, 60);
    assert_int_equal(evzmq_dealer(rig.loop, rig.endpoint, "agent-1#1", 0, on_dealer, NULL, &dealer), OK);
    assert_true(rig_until(&rig, 5000, is_greeted, NULL));
    rig_for(&rig, 60);
    assert_int_equal(greetings, 1);
    assert_true(greeted == peers_done(p).boot);
    peers_free(p);
    evzmq_free(dealer);
    evzmq_free(router);
    rig_free(&rig);
}

static void test_slots(void **state)
{
    (void)state;
    for (int64_t now = 0; now < 40000; now += 333) {
        clock_test_set(now, 0);
        int64_t beat = slot_wait_ms(5000), hello = slot_wait_ms(10000);
        assert_in_range(beat, 2500, 7499);
        assert_in_range(hello, 5000, 14999);
        assert_int_equal((now + beat - (now + hello)) % 5000, 0); /* they meet */
    }
    clock_test_set(-1, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),        cmocka_unit_test(test_incarnations),
        cmocka_unit_test(test_caps),         cmocka_unit_test(test_boot_numbers),
        cmocka_unit_test(test_greeting),     cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
