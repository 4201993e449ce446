/*
 * test_trace.c: the story of a message, found by any of its ids.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common/err.h"

#define CHAN "irc/default"

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

static const struct msg_trace *trace(struct hx *h, sv id)
{
    struct msg_trace_get m = {.id = id};
    return hx_ask(h, "cli-7", MSG_TRACE_GET, &m, MSG_TRACE);
}

static void the_whole_story_by_any_id(void **state)
{
    struct hx *h = *state;
    struct msg_tool_call call = {SV("c1"), SV("current_time"), SV("{}")};
    struct msg_entry intent = {.role = SV("assistant"), .provider = SV("fake"), .model = SV("m"), .stop = SV("toolUse"),
                               .calls = &call, .calls_n = 1, .took_ms = 340};
    struct msg_entry result = {.role = SV("toolResult"), .tool_call_id = SV("c1"), .tool_name = SV("current_time"),
                               .text = SV("noon"), .took_ms = 2};
    hx_channel(h, CHAN "#1", 4, true);
    struct msg_ingest in = hx_dm("ev-1", "ann", "what time is it?");
    const struct msg_ingested *a = hx_ask(h, CHAN "#1", MSG_INGEST, &in, MSG_INGESTED);
    hx_sleep(h, 100);
    hx_agent(h, "agent-1#1", 4);
    (void)hx_grant(h, "agent-1");
    hx_sleep(h, 100);
    store_peer_gone(h->s, "agent-1", 1);
    hx_idle(h);
    hx_agent(h, "agent-1#2", 4);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    hx_sleep(h, 340);
    struct msg_step s1 = {.run_id = g->run_id, .fence = g->fence, .step = 1, .rows = &intent, .rows_n = 1};
    hx_done(h, "agent-1#2", MSG_STEP, &s1, false);
    hx_sleep(h, 2);
    struct msg_step s2 = {.run_id = g->run_id, .fence = g->fence, .step = 2, .rows = &result, .rows_n = 1};
    hx_done(h, "agent-1#2", MSG_STEP, &s2, false);
    hx_sleep(h, 50);
    hx_finish(h, "agent-1#2", g, "ok", "noon");
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    struct msg_begin b = {.delivery_id = d->delivery_id, .parts = 1};
    hx_sleep(h, 5);
    hx_done(h, CHAN "#1", MSG_BEGIN, &b, false);
    struct msg_receipt r = {.delivery_id = d->delivery_id, .parts = 1, .outcome = SV("delivered"), .platform_id = SV("msg-77")};
    hx_sleep(h, 5);
    hx_done(h, CHAN "#1", MSG_RECEIPT, &r, false);

    static const char *const want[] = {"received", "input", "granted", "lost", "granted", "model", "tool", "model",
                                       "ended", "queued", "begun", "delivered"};
    char seq[32];
    (void)snprintf(seq, sizeof(seq), "%llu", (unsigned long long)a->seq);
    const sv ids[] = {g->run_id, d->delivery_id, SV("ev-1"), SV("irc/default/ev-1"), sv_of(seq)};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const struct msg_trace *t = trace(h, ids[i]);
        assert_true(sv_eq(t->run_id, g->run_id));
        assert_sv(t->state, "ok");
        assert_int_equal(t->rows_n, ARRAY_LEN(want));
        for (size_t k = 0; k < ARRAY_LEN(want); k++) {
            assert_sv(t->rows[k].what, want[k]);
            assert_true(k == 0 || t->rows[k].at_ms >= t->rows[k - 1].at_ms);
        }
        assert_sv(t->rows[2].who, "agent-1");
        assert_int_equal(t->rows[5].took_ms, 340);
        assert_true(sv_find(t->rows[5].detail, SV("current_time")) >= 0);
        assert_true(sv_find(t->rows[11].detail, SV("msg-77")) >= 0);
    }
    struct msg_trace_get none = {.id = SV("no-such-thing")};
    (void)hx_refused(h, "cli-7", MSG_TRACE_GET, &none, ERR_GONE);
}

static void what_became_no_run(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, true);
    struct msg_ingest in = hx_dm("ev-2", "zoe", "/stop");
    in.command = SV("stop");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    const struct msg_trace *t = trace(h, SV("ev-2"));
    assert_int_equal(t->run_id.n, 0);
    assert_sv(t->rows[0].what, "received");
    assert_true(sv_find(t->rows[0].detail, SV("command")) >= 0);
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    assert_sv(trace(h, d->delivery_id)->rows[0].what, "queued");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_whole_story_by_any_id, setup, teardown),
        cmocka_unit_test_setup_teardown(what_became_no_run, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
