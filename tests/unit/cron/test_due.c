/*
 * test_due.c: sleeping and firing of the clock worker.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads the real clock.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "workers/cron/due.h"

static void assert_sv(sv got, const char *want)
{
    if (!sv_eqc(got, want)) {
        fail_msg("got \"%.*s\", wanted \"%s\"", SV_ARG(got), want);
    }
}

static void test_sleep(void **state)
{
    UNUSED(state);
    clock_test_set(0, 1700000000000);
    int64_t now = clock_real_ms();
    assert_int_equal(due_sleep_ms(now, 0), DUE_SLEEP_MAX_MS);
    assert_int_equal(due_sleep_ms(now, now), 0);
    assert_int_equal(due_sleep_ms(now, now - 1), 0);
    assert_int_equal(due_sleep_ms(now, 1), 0); /* missed long ago */
    assert_int_equal(due_sleep_ms(now, now + 1), 1);
    assert_int_equal(due_sleep_ms(now, now + 60000), 60000);
    assert_int_equal(due_sleep_ms(now, now + 60001), DUE_SLEEP_MAX_MS);
    clock_test_set(0, 1700003600000); /* the clock jumps forward: what was an hour away is due */
    assert_int_equal(due_sleep_ms(clock_real_ms(), now + 3600000), 0);
    clock_test_set(0, 1699990000000); /* and back: never more than a minute of sleep */
    assert_int_equal(due_sleep_ms(clock_real_ms(), now), DUE_SLEEP_MAX_MS);
    clock_test_set(-1, -1);
}

static void test_defaults(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct msg_cron_job job = {.job_id = SV("j1"), .kind = SV("at"), .due_ms = 1700000000000, .text = SV("wake up")};
    struct msg_ingest m;
    due_ingest(&job, &a, &m);
    assert_sv(m.channel, "cron");
    assert_sv(m.account, "default");
    assert_sv(m.event_id, "j1:1700000000000");
    assert_sv(m.run_id, "cron:j1:1700000000000");
    assert_sv(m.session_key, "agent:main:cron:j1");
    assert_sv(m.agent_id, "main");
    assert_sv(m.lane, "cron");
    assert_sv(m.text, "wake up");
    assert_sv(m.sender_name, "j1");
    assert_false(m.deliver);
    arena_free(&a);
}

static void test_route_and_session(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct msg_cron_job job = {.job_id = SV("j2"), .name = SV("brief"), .due_ms = 5, .text = SV("x"),
                               .agent_id = SV("zoo"), .deliver_channel = SV("irc"), .deliver_to = SV("#room")};
    struct msg_ingest m;
    due_ingest(&job, &a, &m);
    assert_sv(m.session_key, "agent:zoo:cron:j2");
    assert_true(m.deliver);
    assert_sv(m.deliver_channel, "irc");
    assert_sv(m.deliver_account, "default");
    assert_sv(m.deliver_to, "#room");
    assert_sv(m.sender_name, "brief");
    job.session_key = SV("agent:main:main");
    job.deliver_to = SV_NULL;
    due_ingest(&job, &a, &m);
    assert_sv(m.session_key, "agent:main:main");
    assert_false(m.deliver);
    arena_free(&a);
}

/* The same due time is the same message, byte for byte, whenever it is fired. */
static void test_fired_twice_is_the_same(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct msg_cron_job job = {.job_id = SV("j3"), .due_ms = 1700000000000, .text = SV("x")};
    struct msg_ingest one, two;
    clock_test_set(0, 1700000000000);
    due_ingest(&job, &a, &one);
    clock_test_set(0, 1700009999999);
    due_ingest(&job, &a, &two);
    clock_test_set(-1, -1);
    assert_true(sv_eq(one.event_id, two.event_id));
    assert_true(sv_eq(one.run_id, two.run_id));
    assert_int_equal(one.received_ms, two.received_ms);
    assert_int_equal(one.ts_ms, two.ts_ms);
    job.due_ms++;
    due_ingest(&job, &a, &two);
    assert_false(sv_eq(one.event_id, two.event_id));
    arena_free(&a);
}

static void test_next_and_targets(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct msg_ingest m;
    struct msg_cron_job job = {.job_id = SV("j3"), .kind = SV("every"), .every_ms = 1000, .anchor_ms = 0, .due_ms = 5000,
                               .text = SV("x"), .target = SV("isolated"), .model = SV("p/m")};
    assert_int_equal(due_next(&job, 5001), 6000);
    assert_int_equal(due_next(&job, 98765), 99000); /* what was missed is caught up once */
    assert_int_equal(due_next(&job, 100), 6000);    /* the clock was set back: never the same time again */
    due_ingest(&job, &a, &m);
    assert_sv(m.session_key, "agent:main:cron:j3:run:5000");
    assert_sv(m.model, "p/m");
    assert_true(m.keep_ms > 0);
    job.target = SV("main");
    due_ingest(&job, &a, &m);
    assert_sv(m.session_key, "agent:main:main");
    job.target = SV("session:agent:main:log");
    job.deliver_channel = SV("last");
    job.force_run = SV("manual:j3:7");
    due_ingest(&job, &a, &m);
    assert_sv(m.session_key, "agent:main:log");
    assert_true(m.deliver);
    assert_sv(m.run_id, "manual:j3:7");
    assert_sv(m.event_id, "manual:j3:7");
    job.active_run = SV("cron:j3:4000");
    job.fired_ms = 4000;
    assert_false(due_skip(&job, 5000)); /* by hand */
    job.force_run = SV_NULL;
    assert_true(due_skip(&job, 5000));
    assert_false(due_skip(&job, 5000 + 25 * 3600 * 1000LL));
    job.kind = SV("at");
    assert_int_equal(due_next(&job, 5001), 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_route_and_session),
        cmocka_unit_test(test_fired_twice_is_the_same),
        cmocka_unit_test(test_next_and_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
