/*
 * test_lease.c: leases: lanes, fences, lost holders, lost grants, restarts of the store.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common//err.h"
#include "workers/store/store_int.h"

#define KEY "agent:main:main"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    hx_open(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static void slots_and_lanes_bound_the_grants(void **state)
{
    struct hx *h = *state;
    h->conf.width_main = 3;
    hx_reopen(h);
    hx_agent(h, "agent-1", 2);
    static const char *const keys[] = {"agent:main:a", "agent:main:b", "agent:main:c", "agent:main:d",
                                       "agent:main:e"};
    static const char *const runs[] = {"ra", "rb", "rc", "rd", "re"};
    for (size_t i = 0; i < 5; i++) {
        assert_sv(hx_send(h, keys[i], runs[i], "x")->state, i < 2 ? "started" : "queued");
    }
    hx_agent(h, "agent-2", 5); /* the lane has room for one more */
    const struct msg_grant *g = hx_grant(h, "agent-2");
    assert_sv(g->run_id, "rc");
    assert_null(hx_push(h, "agent-2", MSG_GRANT));
    hx_finish(h, "agent-2", g, "ok", "x");
    assert_sv(hx_grant(h, "agent-2")->run_id, "rd"); /* in the order of arrival */
    hx_agent(h, "agent-2", 0);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "rb");
    /* cron has a lane of its own */
    struct msg_ingest in = {.channel = SV("cron"), .account = SV("cron"), .event_id = SV("j:1"),
                            .session_key = SV("agent:main:cron:j"), .text = SV("tick"), .lane = SV("cron")};
    hx_agent(h, "agent-2", 5);
    const struct msg_ingested *a = hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "started");
}

static void a_dead_agent_s_run_is_granted_again_at_once(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g1 = hx_grant(h, "agent-1");
    struct msg_entry row = {.role = SV("assistant"), .text = SV("calling"), .stop = SV("toolUse")};
    struct msg_step st = {.run_id = g1->run_id, .fence = g1->fence, .step = 1, .rows = &row, .rows_n = 1};
    hx_done(h, "agent-1", MSG_STEP, &st, false);
    hx_done(h, "agent-1", MSG_STEP, &st, true);
    st.step = 3;
    assert_sv(hx_refused(h, "agent-1", MSG_STEP, &st, ERR_BAD)->field, "step");
    hx_agent(h, "agent-2", 2);
    store_peer_gone(h->s, "agent-1", 1);
    hx_idle(h);
    const struct msg_grant *g2 = hx_grant(h, "agent-2");
    assert_sv(g2->run_id, "r1");
    assert_true(g2->fence > g1->fence);
    assert_int_equal(g2->attempt, 2);
    assert_int_equal(g2->step, 1);
    assert_int_equal(g2->rows_n, 2); /* the input once, and the stored step */
    hx_fin(h, "agent-2", g2->run_id, g2->fence, "ok", "done");
    /* the first writer is out of date, whatever it says */
    struct msg_finish f = {.run_id = g1->run_id, .fence = g1->fence, .status = SV("ok"), .reply = SV("other")};
    (void)hx_refused(h, "agent-1#1", MSG_FINISH, &f, ERR_FENCED);
    assert_sv(hx_run(h, "r1")->reply, "done");
    assert_int_equal(hx_history(h, KEY)->total, 3);
}

static void the_same_step_twice_ends_the_run_and_tells_the_sender(void **state)
{
    struct hx *h = *state;
    hx_channel(h, "irc/default", 4, false);
    struct msg_ingest in = hx_dm("e1", "ann", "hello");
    hx_agent(h, "agent-1#1", 1);
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_int_equal(hx_grant(h, "agent-1")->attempt, 1);
    store_peer_gone(h->s, "agent-1", 1);
    hx_idle(h);
    hx_agent(h, "agent-1#2", 1);
    assert_int_equal(hx_grant(h, "agent-1")->attempt, 2); /* at once */
    store_peer_up(h->s, "agent-1", 3);                    /* a newer incarnation says the same as a death */
    hx_idle(h);
    hx_check(h);
    struct msg_run_get get = {.run_id = a->run_id};
    const struct msg_run *r = hx_ask(h, "edge", MSG_RUN_GET, &get, MSG_RUN);
    assert_sv(r->state, "error");
    assert_sv(r->error_kind, "worker_lost");
    const struct msg_deliver *d = hx_push(h, "irc/default", MSG_DELIVER);
    assert_true(sv_eq(d->text, r->error));
}

static void three_lost_workers_end_even_a_run_that_gets_on(void **state)
{
    struct hx *h = *state;
    struct msg_entry row = {.role = SV("assistant"), .text = SV("so far")};
    hx_agent(h, "agent-1#1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    for (uint64_t inc = 1; inc <= 3; inc++) {
        const struct msg_grant *g = hx_grant(h, "agent-1");
        assert_int_equal(g->attempt, inc);
        char who[32];
        (void)snprintf(who, sizeof(who), "agent-1#%llu", (unsigned long long)inc);
        struct msg_step st = {.run_id = g->run_id, .fence = g->fence, .step = inc, .rows = &row, .rows_n = 1};
        hx_done(h, who, MSG_STEP, &st, false);
        store_peer_gone(h->s, "agent-1", inc);
        hx_idle(h);
        (void)snprintf(who, sizeof(who), "agent-1#%llu", (unsigned long long)inc + 1);
        hx_agent(h, who, 1);
        if (inc == 2) {
            assert_null(hx_push(h, "agent-1", MSG_GRANT)); /* backs off */
        }
        hx_sleep(h, 5000);
        hx_idle(h);
    }
    assert_sv(hx_run(h, "r1")->state, "error");
    assert_sv(hx_run(h, "r1")->error_kind, "worker_lost");
}

static void a_silent_agent_loses_its_runs_after_a_minute(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_grant(h, "agent-1");
    hx_sleep(h, 50000);
    struct msg_want renew = {.slots = 1, .held = &(struct msg_run_ref){SV("r1")}, .held_n = 1};
    hx_done(h, "agent-1", MSG_WANT, &renew, false);
    hx_sleep(h, 59000);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "running");
    hx_sleep(h, 2000);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "queued");
    hx_agent(h, "agent-1", 1); /* back again: granted anew after the pause, under a new fence */
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    hx_sleep(h, 1000);
    hx_idle(h);
    assert_int_equal(hx_grant(h, "agent-1")->attempt, 2);
}

static void a_stall_of_the_store_is_not_held_against_agents(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    hx_sleep(h, 59000);
    peer_forgive(h->s, 10000); /* what a commit of ten seconds does */
    hx_sleep(h, 10000);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "running");
    hx_sleep(h, 1001);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "queued");
}

static void a_lost_grant_is_sent_again(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    hx_agent(h, "agent-1", 2); /* young: it may still be on the way */
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    hx_sleep(h, 2000);
    struct msg_want held = {.slots = 2, .held = &(struct msg_run_ref){SV("r1")}, .held_n = 1};
    hx_done(h, "agent-1", MSG_WANT, &held, false);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    hx_agent(h, "agent-1", 2);
    const struct msg_grant *again = hx_grant(h, "agent-1");
    assert_int_equal(again->fence, g->fence);
    assert_int_equal(again->attempt, 1);
    assert_int_equal(again->rows_n, 1);
}

static void a_restart_of_the_store_keeps_leases_of_the_living(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    (void)hx_send(h, "agent:main:b", "r2", "two");
    hx_skip(h);
    hx_sleep(h, 100);
    hx_reopen(h);
    /* it holds r1; the grant of r2 died with the old store process and comes at once */
    struct msg_want held = {.slots = 2, .held = &(struct msg_run_ref){SV("r1")}, .held_n = 1};
    hx_done(h, "agent-1", MSG_WANT, &held, false);
    const struct msg_grant *again = hx_grant(h, "agent-1");
    assert_sv(again->run_id, "r2");
    assert_int_equal(again->attempt, 1);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    hx_sleep(h, 6000);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "running");
    hx_finish(h, "agent-1", g, "ok", "kept");
    hx_check(h);
}

static void a_restart_of_the_store_frees_leases_of_the_absent(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    hx_reopen(h);
    hx_skip(h);
    hx_agent(h, "agent-2", 2);
    hx_sleep(h, 4000);
    hx_idle(h);
    assert_null(hx_push(h, "agent-2", MSG_GRANT));
    hx_sleep(h, 1000);
    hx_idle(h);
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 2);
}

static void an_agent_that_died_with_the_store_is_known_by_its_successor(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1#1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    hx_reopen(h);
    hx_skip(h);
    store_peer_up(h->s, "agent-1", 2);
    hx_idle(h);
    hx_agent(h, "agent-1#2", 2);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_int_equal(g->attempt, 2);
    hx_finish(h, "agent-1#2", g, "ok", "x");
}

static void an_aborted_run_of_a_dead_agent_just_ends(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    struct msg_abort ab = {.session_key = SV(KEY)};
    (void)hx_ask(h, "edge", MSG_ABORT, &ab, MSG_ABORTED);
    store_peer_gone(h->s, "agent-1", 1);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "aborted");
}

static void finish_is_idempotent_and_checks_its_writer(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    hx_agent(h, "agent-2", 1);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    struct msg_finish f = {.run_id = g->run_id, .fence = g->fence, .status = SV("ok"), .reply = SV("x")};
    (void)hx_refused(h, "agent-2", MSG_FINISH, &f, ERR_FENCED);
    f.status = SV("great");
    assert_sv(hx_refused(h, "agent-1", MSG_FINISH, &f, ERR_BAD)->field, "status");
    f.status = SV("ok");
    hx_done(h, "agent-1", MSG_FINISH, &f, false);
    hx_done(h, "agent-1", MSG_FINISH, &f, true);
    hx_reopen(h);
    hx_done(h, "agent-1", MSG_FINISH, &f, true);
    f.run_id = SV("nobody");
    (void)hx_refused(h, "agent-1", MSG_FINISH, &f, ERR_GONE);
    assert_int_equal(hx_history(h, KEY)->total, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slots_and_lanes_bound_the_grants, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_agent_s_run_is_granted_again_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_step_twice_ends_the_run_and_tells_the_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(three_lost_workers_end_even_a_run_that_gets_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_agent_loses_its_runs_after_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stall_of_the_store_is_not_held_against_agents, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_grant_is_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_of_the_store_keeps_leases_of_the_living, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_of_the_store_frees_leases_of_the_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(an_agent_that_died_with_the_store_is_known_by_its_successor, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_run_of_a_dead_agent_just_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_is_idempotent_and_checks_its_writer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
