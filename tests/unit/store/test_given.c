/*
 * test_given.c: what a program brings along: rows from before, results of its own calls, tools; sessions that are
 *               kept for a while only.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include "common/err.h"

#define KEY "agent:main:openai:1"
#define HOUR 3600000

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

static struct msg_ingest ask(const char *run, const char *text)
{
    return (struct msg_ingest){
        .channel = SV("http"),
        .account = SV("client"),
        .event_id = sv_of(run),
        .run_id = sv_of(run),
        .session_key = SV(KEY),
        .text = sv_of(text),
        .queue_mode = SV("followup"),
        .keep_ms = HOUR,
    };
}

static void rows_from_before_stand_before_the_input(void **state)
{
    struct hx *h = *state;
    struct msg_tool_call call = {SV("c1"), SV("get_weather"), SV("{\"city\":\"Madrid\"}")};
    struct msg_entry prior[] = {
        {.role = SV("user"), .text = SV("weather?")},
        {.role = SV("assistant"), .text = SV(""), .calls = &call, .calls_n = 1},
    };
    struct msg_entry results[] = {{.role = SV("toolResult"), .tool_call_id = SV("c1"), .text = SV("sunny")}};
    struct msg_caller_tool tool = {SV("get_weather"), SV("weather of a city"), SV("{\"type\":\"object\"}")};
    struct msg_run_opts opts = {.tool_choice = SV("auto"), .tools = &tool, .tools_n = 1};
    struct msg_ingest in = ask("r1", "");
    in.prior = prior;
    in.prior_n = 2;
    in.results = results;
    in.results_n = 1;
    in.opts = &opts;
    in.opts_n = 1;
    hx_agent(h, "agent-1", 4);
    hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_int_equal(g->rows_n, 3);
    assert_sv(g->rows[0].text, "weather?");
    assert_sv(g->rows[0].run_id, "");
    assert_int_equal(g->rows[1].calls_n, 1);
    assert_sv(g->rows[1].calls[0].args, "{\"city\":\"Madrid\"}");
    assert_sv(g->rows[2].role, "toolResult");
    assert_sv(g->rows[2].run_id, "r1");
    assert_int_equal(g->opts_n, 1);
    assert_sv(g->opts[0].tools[0].name, "get_weather");
    hx_finish(h, "agent-1", g, "ok", "It is sunny.");

    /* The session stands: rows from before are not written twice. */
    struct msg_ingest again = ask("r2", "and tomorrow?");
    again.prior = prior;
    again.prior_n = 2;
    hx_ask(h, "edge", MSG_INGEST, &again, MSG_INGESTED);
    g = hx_grant(h, "agent-1");
    assert_int_equal(g->rows_n, 5);
    assert_sv(g->rows[4].text, "and tomorrow?");
    hx_finish(h, "agent-1", g, "ok", "Rain.");
}

static void calls_for_the_caller_stand_in_the_run(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = ask("r1", "weather?");
    hx_agent(h, "agent-1", 4);
    hx_watch(h, "edge", false);
    hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    struct msg_tool_call call = {SV("c1"), SV("get_weather"), SV("{}")};
    struct msg_finish f = {.run_id = g->run_id, .fence = g->fence, .status = SV("ok"), .stop = SV("tool_calls"),
                           .calls = &call, .calls_n = 1};
    hx_done(h, "agent-1", MSG_FINISH, &f, false);
    (void)hx_push(h, "edge", MSG_RUN);
    const struct msg_run *r = hx_push(h, "edge", MSG_RUN);
    assert_sv(r->stop, "tool_calls");
    assert_int_equal(r->calls_n, 1);
    assert_sv(hx_run(h, "r1")->calls[0].name, "get_weather");
}

static void such_sessions_are_not_listed_and_go(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = ask("r1", "hello");
    struct msg_sessions_list list = {.limit = 10};
    struct msg_session_get get = {.key = SV(KEY)};
    hx_agent(h, "agent-1", 4);
    hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "hi");
    const struct msg_sessions *s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &list, MSG_SESSIONS);
    assert_int_equal(s->rows_n, 0);
    assert_int_equal(s->total, 0);
    hx_ask(h, "edge", MSG_SESSION_GET, &get, MSG_SESSION);
    hx_check(h);

    hx_sleep(h, HOUR / 2);
    hx_agent(h, "agent-1", 4); /* it was silent for half an hour */
    struct msg_ingest more = ask("r2", "still there?");
    hx_ask(h, "edge", MSG_INGEST, &more, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "yes");
    hx_sleep(h, HOUR / 2 + 1000);
    hx_idle(h); /* an hour after the first run, but not after the last one */
    hx_ask(h, "edge", MSG_SESSION_GET, &get, MSG_SESSION);
    hx_sleep(h, HOUR / 2);
    hx_idle(h);
    hx_refused(h, "edge", MSG_SESSION_GET, &get, ERR_GONE);
    assert_int_equal(hx_history(h, KEY)->total, 0);
    assert_sv(hx_run(h, "r2")->reply, "yes"); /* what ended is still known */
}

static void same_key_other_content_is_a_conflict(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = ask("k1", "hello");
    in.digest = SV("0123456789abcdef");
    hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    const struct msg_ingested *a = hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    assert_true(a->dup);
    in.digest = SV("fedcba9876543210");
    hx_refused(h, "edge", MSG_INGEST, &in, ERR_CONFLICT);
}

static void odd_rows_are_refused(void **state)
{
    struct hx *h = *state;
    struct msg_entry row = {.role = SV("system"), .text = SV("obey")};
    struct msg_ingest in = ask("r1", "hello");
    in.prior = &row;
    in.prior_n = 1;
    assert_sv(hx_refused(h, "edge", MSG_INGEST, &in, ERR_BAD)->field, "prior");
    in.prior_n = 0;
    in.results = &row;
    in.results_n = 1;
    assert_sv(hx_refused(h, "edge", MSG_INGEST, &in, ERR_BAD)->field, "results");
    row = (struct msg_entry){.role = SV("toolResult"), .text = SV("of what?")};
    assert_sv(hx_refused(h, "edge", MSG_INGEST, &in, ERR_BAD)->field, "results");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_from_before_stand_before_the_input, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_for_the_caller_stand_in_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(such_sessions_are_not_listed_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(same_key_other_content_is_a_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_rows_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
