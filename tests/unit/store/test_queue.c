/*
 * test_queue.c: inputs that arrive while a run is active: collecting, followups, overflow, aborting.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include "common/err.h"

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

static void collected_inputs_become_one_turn(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    hx_watch(h, "edge", false);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_sv(hx_send(h, KEY, "r2", "two")->state, "queued");
    assert_sv(hx_send(h, KEY, "r3", "three")->state, "queued");
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    const struct msg_history_page *p = hx_history(h, KEY);
    assert_int_equal(p->rows_n, 1);
    assert_int_equal(p->pending_n, 2);
    assert_sv(p->pending[1].text, "three");
    assert_sv(p->pending[1].idem, "r3:user");
    assert_int_equal(p->session[0].queued, 2);
    hx_finish(h, "agent-1", g, "ok", "first");
    assert_null(hx_push(h, "agent-1", MSG_GRANT)); /* quiet time is not over */
    hx_check(h);
    hx_sleep(h, 499);
    hx_idle(h);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    assert_true(store_next_due(h->s) <= h->real + 1);
    hx_sleep(h, 1);
    hx_idle(h);
    g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "r2");
    assert_sv(g->rows[g->rows_n - 1].text, "[Queued messages while agent was busy]\n\n---\nQueued #1 (from user)\ntwo\n\n"
                                          "---\nQueued #2 (from user)\nthree");
    assert_sv(hx_run(h, "r3")->state, "merged");
    assert_sv(hx_run(h, "r3")->merged_into, "r2");
    assert_true(hx_send(h, KEY, "r3", "three")->dup);
    assert_sv(hx_send(h, KEY, "r3", "three")->state, "merged");
    hx_finish(h, "agent-1", g, "ok", "both");
    assert_int_equal(hx_history(h, KEY)->total, 4);
}

static void inputs_that_waited_long_enough_start_at_once(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    hx_sleep(h, 5000);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "r2");
    assert_sv(g->rows[2].text, "two"); /* alone: no frame around it */
}

static void a_late_arrival_extends_the_quiet_time(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    (void)hx_send(h, KEY, "r2", "two");
    hx_finish(h, "agent-1", g, "ok", "x");
    hx_sleep(h, 300);
    (void)hx_send(h, KEY, "r3", "three");
    hx_sleep(h, 300);
    hx_idle(h);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    hx_sleep(h, 200);
    hx_idle(h);
    assert_sv(hx_grant(h, "agent-1")->run_id, "r2");
    assert_sv(hx_run(h, "r3")->state, "merged");
}

static void followups_are_turns_of_their_own(void **state)
{
    struct hx *h = *state;
    h->conf.followup = true;
    hx_reopen(h);
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    (void)hx_send(h, KEY, "r3", "three");
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "r2");
    hx_finish(h, "agent-1", g, "ok", "y");
    g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "r3");
    hx_finish(h, "agent-1", g, "ok", "z");
    assert_int_equal(hx_history(h, KEY)->total, 6);
}

static void other_routes_do_not_merge(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    struct msg_ingest a = hx_dm("e1", "ann", "from ann");
    struct msg_ingest b = hx_dm("e2", "bob", "from bob");
    const struct msg_ingested *ra = hx_ask(h, "irc/default", MSG_INGEST, &a, MSG_INGESTED);
    const struct msg_ingested *rb = hx_ask(h, "irc/default", MSG_INGEST, &b, MSG_INGESTED);
    hx_sleep(h, 1000);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_true(sv_eq(g->run_id, ra->run_id));
    hx_finish(h, "agent-1", g, "ok", "to ann");
    g = hx_grant(h, "agent-1");
    assert_true(sv_eq(g->run_id, rb->run_id));
    hx_finish(h, "agent-1", g, "ok", "to bob");
}

static void overflow_is_summarised_and_told_once(void **state)
{
    struct hx *h = *state;
    h->conf.cap = 2;
    hx_reopen(h);
    hx_agent(h, "agent-1", 2);
    hx_channel(h, "irc/default", 8, false);
    static const char *const texts[] = {"zero", "one\n  and more", "two", "three", "four"};
    static const char *const ids[] = {"e0", "e1", "e2", "e3", "e4"};
    sv runs[5];
    for (size_t i = 0; i < 5; i++) {
        struct msg_ingest in = hx_dm(ids[i], "ann", texts[i]);
        const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
        runs[i] = a->run_id;
    }
    const struct msg_deliver *d = hx_push(h, "irc/default", MSG_DELIVER);
    assert_true(sv_starts(d->text, SV("Too many messages are waiting")));
    assert_null(hx_push(h, "irc/default", MSG_DELIVER));
    hx_receipt(h, "irc/default", d->delivery_id, 0, 1, "delivered");
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_true(sv_eq(g->run_id, runs[3]));
    assert_true(sv_starts(g->rows[g->rows_n - 1].text,
                          SV("[Queue overflow] Dropped 2 messages due to cap.\nSummary:\n- one and more\n- two\n\n"
                             "[Queued messages while agent was busy]")));
    struct msg_run_get get = {.run_id = runs[1]};
    const struct msg_run *r = hx_ask(h, "edge", MSG_RUN_GET, &get, MSG_RUN);
    assert_sv(r->state, "merged");
    hx_finish(h, "agent-1", g, "ok", "y");
}

static void overflow_new_refuses_and_keeps_the_key_free(void **state)
{
    struct hx *h = *state;
    h->conf.cap = 1;
    h->conf.drop = DROP_NEW;
    hx_reopen(h);
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    const struct msg_ingested *a = hx_send(h, KEY, "r3", "three");
    assert_sv(a->state, "ignored");
    assert_true(a->text.n > 0);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "y");
    assert_sv(hx_send(h, KEY, "r3", "three")->state, "started");
}

static void overflow_old_drops_the_oldest(void **state)
{
    struct hx *h = *state;
    h->conf.cap = 1;
    h->conf.drop = DROP_OLD;
    hx_reopen(h);
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    (void)hx_send(h, KEY, "r3", "three");
    assert_sv(hx_run(h, "r2")->state, "aborted");
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    assert_sv(hx_grant(h, "agent-1")->run_id, "r3");
}

static void aborting_a_queued_run_ends_it_at_once(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    struct msg_abort ab = {.session_key = SV(KEY), .run_id = SV("r2")};
    const struct msg_aborted *a = hx_ask(h, "edge", MSG_ABORT, &ab, MSG_ABORTED);
    assert_int_equal(a->runs_n, 1);
    assert_sv(hx_run(h, "r2")->state, "aborted");
    assert_sv(hx_run(h, "r2")->stop, "rpc");
    assert_null(hx_push(h, "agent-1", MSG_ABORT_RUN));
    a = hx_ask(h, "edge", MSG_ABORT, &ab, MSG_ABORTED);
    assert_int_equal(a->runs_n, 0);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
}

static void aborting_a_running_run_gives_its_holder_five_seconds(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    struct msg_abort ab = {.run_id = SV("r1")};
    const struct msg_aborted *a = hx_ask(h, "edge", MSG_ABORT, &ab, MSG_ABORTED);
    assert_int_equal(a->runs_n, 1);
    const struct msg_abort_run *told = hx_push(h, "agent-1", MSG_ABORT_RUN);
    assert_int_equal(told->fence, g->fence);
    assert_sv(told->reason, "rpc");
    hx_sleep(h, 4999);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "running");
    hx_sleep(h, 1);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "aborted");
    struct msg_step st = {.run_id = g->run_id, .fence = g->fence, .step = 1};
    (void)hx_refused(h, "agent-1", MSG_STEP, &st, ERR_FENCED);
    /* its late FINISH changes nothing */
    struct msg_finish f = {.run_id = g->run_id, .fence = g->fence, .status = SV("ok"), .reply = SV("late")};
    hx_done(h, "agent-1", MSG_FINISH, &f, true);
    assert_sv(hx_run(h, "r1")->reply, "");
    assert_sv(hx_send(h, KEY, "r2", "two")->state, "started");
}

static void aborting_a_session_before_any_agent_is_there(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    struct msg_abort ab = {.session_key = SV("main")};
    const struct msg_aborted *a = hx_ask(h, "edge", MSG_ABORT, &ab, MSG_ABORTED);
    assert_int_equal(a->runs_n, 2);
    hx_agent(h, "agent-1", 2);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    struct msg_abort none = {0};
    assert_sv(hx_refused(h, "edge", MSG_ABORT, &none, ERR_BAD)->field, "session_key");
}

static void waiting_inputs_survive_a_restart(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 2);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    (void)hx_send(h, KEY, "r2", "two");
    hx_finish(h, "agent-1", g, "ok", "x");
    hx_reopen(h); /* in the quiet time */
    hx_agent(h, "agent-1", 2);
    hx_sleep(h, 600);
    hx_idle(h);
    assert_sv(hx_grant(h, "agent-1")->run_id, "r2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(collected_inputs_become_one_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(inputs_that_waited_long_enough_start_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_late_arrival_extends_the_quiet_time, setup, teardown),
        cmocka_unit_test_setup_teardown(followups_are_turns_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(other_routes_do_not_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_is_summarised_and_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_new_refuses_and_keeps_the_key_free, setup, teardown),
        cmocka_unit_test_setup_teardown(overflow_old_drops_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(aborting_a_queued_run_ends_it_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(aborting_a_running_run_gives_its_holder_five_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(aborting_a_session_before_any_agent_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_inputs_survive_a_restart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
