/*
 * test_setback.c: the wall clock is set by a day, both ways: no wait of seconds becomes one of a day.
 * Runs in: unit tests.     Owns: nothing.
 * Never: sleeps.
 * Tested in: itself
 */
#include "tests/unit/store/harness.h"

#include <stdio.h>

#include "proto/messages.h"

#define KEY "agent:main:alpha"
#define CHAN "irc/default"
#define DAY_MS (24LL * 3600 * 1000)

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

/* The clock on the wall is set; the other one knows nothing of it. */
static void set_clock(struct hx *h, int64_t by_ms)
{
    int64_t mono = h->mono;
    hx_sleep(h, by_ms);
    h->mono = mono;
    hx_sleep(h, 1);
}

/* A run that got on a step with each worker and lost two of them: it waits 5 s for its third attempt. */
static void lose_twice(struct hx *h)
{
    struct msg_entry row = {.role = SV("assistant"), .text = SV("so far")};
    (void)hx_send(h, KEY, "r1", "one");
    for (uint64_t inc = 1; inc <= 2; inc++) {
        char who[32];
        (void)snprintf(who, sizeof(who), "agent-1#%llu", (unsigned long long)inc);
        hx_agent(h, who, 1);
        const struct msg_grant *g = hx_grant(h, "agent-1");
        struct msg_step st = {.run_id = g->run_id, .fence = g->fence, .step = inc, .rows = &row, .rows_n = 1};
        hx_done(h, who, MSG_STEP, &st, false);
        store_peer_gone(h->s, "agent-1", inc);
        hx_idle(h);
    }
    hx_agent(h, "agent-2", 1);
    assert_null(hx_push(h, "agent-2", MSG_GRANT));
}

static void an_attempt_that_waits_comes_at_once(void **state)
{
    struct hx *h = *state;
    lose_twice(h);
    set_clock(h, -DAY_MS);
    hx_idle(h);
    hx_check(h);
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 3);
}

static void also_when_the_clock_was_set_while_the_store_was_away(void **state)
{
    struct hx *h = *state;
    lose_twice(h);
    hx_close(h);
    set_clock(h, -DAY_MS);
    hx_open(h);
    hx_agent(h, "agent-2", 1);
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 3);
}

static void forward_it_comes_early(void **state)
{
    struct hx *h = *state;
    lose_twice(h);
    set_clock(h, DAY_MS);
    hx_idle(h);
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 3);
    set_clock(h, -DAY_MS);
    hx_idle(h);
    hx_check(h);
}

static void steering_the_clock_ends_no_wait(void **state)
{
    struct hx *h = *state;
    lose_twice(h);
    set_clock(h, -500);
    hx_idle(h);
    assert_null(hx_push(h, "agent-2", MSG_GRANT));
    hx_sleep(h, 5500);
    hx_idle(h);
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 3);
}

/* More deliveries than the window holds wait for their next attempt. */
static void deliveries_are_tried_again_at_once(void **state)
{
    struct hx *h = *state;
    static const char *const people[] = {"ann", "bob", "cyd"};
    hx_agent(h, "agent-1", 4);
    hx_channel(h, CHAN, 4, false);
    for (size_t i = 0; i < ARRAY_LEN(people); i++) {
        struct msg_ingest in = hx_dm(people[i], people[i], "q");
        (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", people[i]);
        const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
        struct msg_receipt r = {.delivery_id = d->delivery_id, .parts = 1, .outcome = SV("retryable"), .retry_after_ms = 15000};
        hx_done(h, CHAN, MSG_RECEIPT, &r, false);
    }
    hx_channel(h, CHAN, 1, false);
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    set_clock(h, -DAY_MS);
    hx_idle(h);
    hx_check(h);
    for (size_t i = 0; i < ARRAY_LEN(people); i++) {
        const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
        assert_non_null(d);
        hx_receipt(h, CHAN, d->delivery_id, 0, 1, "delivered");
    }
}

static void waiting_inputs_become_a_turn(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    (void)hx_send(h, KEY, "r2", "two");
    hx_finish(h, "agent-1", g, "ok", "x"); /* two waits for more */
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    set_clock(h, -DAY_MS);
    hx_idle(h);
    g = hx_grant(h, "agent-1");
    assert_sv(g->run_id, "r2");
    (void)hx_send(h, KEY, "r3", "three");
    set_clock(h, -DAY_MS); /* now while the run goes on */
    hx_finish(h, "agent-1", g, "ok", "y");
    hx_check(h);
    assert_sv(hx_grant(h, "agent-1")->run_id, "r3");
}

static void an_abort_that_nobody_settles_ends_the_run(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_grant(h, "agent-1");
    struct msg_abort m = {.run_id = SV("r1")};
    (void)hx_ask(h, "edge", MSG_ABORT, &m, MSG_ABORTED);
    set_clock(h, -DAY_MS);
    hx_idle(h);
    assert_sv(hx_run(h, "r1")->state, "aborted");
}

static void lost_pushes_are_found(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    hx_channel(h, CHAN, 1, false);
    struct msg_ingest in = hx_dm("e1", "ann", "q");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    set_clock(h, -DAY_MS);
    hx_agent(h, "agent-1", 1); /* names no run it holds */
    assert_int_equal(hx_grant(h, "agent-1")->fence, g->fence);
    hx_finish(h, "agent-1", g, "ok", "a");
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    set_clock(h, -DAY_MS);
    hx_channel(h, CHAN, 1, false);
    const struct msg_deliver *again = hx_push(h, CHAN, MSG_DELIVER);
    assert_non_null(again);
    assert_true(sv_eq(again->delivery_id, d->delivery_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_attempt_that_waits_comes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(also_when_the_clock_was_set_while_the_store_was_away, setup, teardown),
        cmocka_unit_test_setup_teardown(forward_it_comes_early, setup, teardown),
        cmocka_unit_test_setup_teardown(steering_the_clock_ends_no_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(deliveries_are_tried_again_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_inputs_become_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abort_that_nobody_settles_ends_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_pushes_are_found, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
