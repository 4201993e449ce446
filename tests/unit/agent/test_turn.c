/*
 * test_turn.c: model calls over HTTP against a server in the same loop: streams, tools, tries, fallbacks, errors.
 * Runs in: unit tests.     Owns: one agent, one server.
 * Never: leaves loopback.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>

#include "common/err.h"
#include "tests/unit/agent/fake_planes.h"
#include "tests/unit/agent/turn_server.h"

static struct agent ag;
static struct conf conf;
static struct stub stub;
static struct loop_timer limit;

/* ---- the agent ------------------------------------------------------------------------------------- */

static void too_late(void *ctx)
{
    (void)ctx;
    panic("the test waits for ever");
}

static void add_provider(const char *id)
{
    char path[100], url[100];
    (void)snprintf(path, sizeof path, "models.providers.%s.baseUrl", id);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", stub.port, id);
    conf_set_str(&conf, path, sv_of(url));
}

static int setup(void **state)
{
    (void)state;
    crypto_init();
    memset(&ag, 0, sizeof ag);
    conf = (struct conf){0};
    asked = 0;
    first_body = last_body = BUF_INIT(1000000);
    ag.loop = loop_new();
    ag.conf = &conf;
    fake_reset(ag.loop);
    stub_start(&stub, ag.loop, turn_scripts);
    static const char *const ids[] = {"ok", "tool", "loops", "greedy", "limited", "busy", "flaky", "denied", "cut", "no_done", "open", "silent", "empty", "plain", "claude", "toolless"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        add_provider(ids[i]);
    }
    conf_set_int(&conf, "models.providers.silent.timeout", 100);
    conf_set_str(&conf, "models.providers.claude.api", SV("anthropic-messages"));
    conf_set_str(&conf, "models.providers.claude.apiKey", SV("k-123"));
    conf_set_str(&conf, "models.providers.dead.baseUrl", SV("http://127.0.0.1:1/v1"));
    conf_set_bool(&conf, "models.autodetect", false);
    conf_set_str(&conf, "agents.defaults.timezone", SV("UTC"));
    loop_timer_init(&limit, ag.loop, too_late, NULL);
    loop_timer_start(&limit, 20000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_timer_stop(&limit);
    agent_stop(&ag);
    stub_stop(&stub);
    loop_free(ag.loop);
    conf_free(&conf);
    buf_free(&first_body);
    buf_free(&last_body);
    fake_free();
    return 0;
}

/* One run with this model to its end. */
static const struct msg_finish *turn(const char *model)
{
    if (!ag.http) {
        agent_start(&ag);
    }
    struct msg_entry row = {.role = SV("user"), .text = SV("hi"), .run_id = SV("r1")};
    struct msg_grant g = {.run_id = SV("r1"), .fence = 3, .attempt = 1, .session_key = SV("agent:main:main"), .session_id = SV("s1"),
                          .agent_id = SV("main"), .model = sv_of(model), .rows = &row, .rows_n = 1};
    agent_grant(&ag, &g);
    while (ag.runs_n > 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    return &fake.calls[fake_find(MSG_FINISH, 0)].finish;
}

static void has(sv text, const char *part)
{
    if (sv_find(text, sv_of(part)) < 0) {
        fail_msg("\"%.*s\" lacks \"%s\"", SV_ARG(text), part);
    }
}

static void a_streamed_answer(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("ok/m1");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Hello there");
    assert_sv(f->provider, "ok");
    assert_sv(f->model, "m1");
    assert_sv(f->rows[0].api, "openai-completions");
    assert_int_equal(f->in_tokens, 20);
    assert_int_equal(f->out_tokens, 4);
    assert_int_equal(fake_events("assistant", NULL), 1); /* all came in one read: one event */
    assert_int_equal(fake_count(MSG_STEP), 0);
    has(buf_view(&first_body), "\"model\":\"m1\"");
    has(buf_view(&first_body), "\"name\":\"current_time\"");
}

static void a_tool_round_trip(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("tool/m");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Let me look.\n\nIt is noon.");
    assert_sv(f->rows[0].text, "It is noon.");
    assert_int_equal(f->in_tokens, 40);
    assert_int_equal(fake_count(MSG_STEP), 2);
    const struct msg_step *intent = &fake.calls[fake_find(MSG_STEP, 0)].step;
    assert_int_equal(intent->step, 1);
    assert_int_equal(intent->rows_n, 1);
    assert_sv(intent->rows[0].text, "Let me look.");
    assert_sv(intent->rows[0].stop, "toolUse");
    assert_sv(intent->rows[0].calls[0].id, "call_1");
    assert_sv(intent->rows[0].calls[0].args, "{\"timezone\":\"UTC\"}");
    const struct msg_step *result = &fake.calls[fake_find(MSG_STEP, 1)].step;
    assert_int_equal(result->step, 2);
    assert_sv(result->rows[0].role, "toolResult");
    assert_sv(result->rows[0].tool_name, "current_time");
    has(result->rows[0].text, "UTC+00:00");
    has(buf_view(&last_body), "\"tool_call_id\":\"call_1\"");
    assert_int_equal(fake_events("tool", "\"phase\":\"start\""), 1);
    assert_int_equal(fake_events("tool", "\"phase\":\"result\""), 1);
    assert_int_equal(fake_events("item", "\"itemId\":\"tool:call_1\""), 2);
    assert_int_equal(fake_events("lifecycle", "\"phase\":\"model\""), 2);
    struct buf text = BUF_INIT(10000);
    fake_text(&text);
    assert_sv(buf_view(&text), "Let me look.\n\nIt is noon.");
    buf_free(&text);
    assert_int_equal(stub.accepted, 1); /* the connection was kept */
}

/* One run with a caller's tools to its end. */
static const struct msg_finish *turn_for(const char *model, const char *tool, const char *choice)
{
    struct msg_caller_tool t = {sv_of(tool), SV("of the caller"), SV("{\"type\":\"object\"}")};
    struct msg_run_opts o = {.tool_choice = sv_of(choice), .max_tokens = 77, .tools = &t, .tools_n = 1,
                             .sampling = SV("{\"temperature\":0.5,\"stop\":\"END\"}")};
    struct msg_entry row = {.role = SV("user"), .text = SV("hi"), .run_id = SV("r1")};
    struct msg_grant g = {.run_id = SV("r1"), .fence = 3, .attempt = 1, .session_key = SV("agent:main:main"), .session_id = SV("s1"),
                          .agent_id = SV("main"), .model = sv_of(model), .rows = &row, .rows_n = 1, .opts = &o, .opts_n = 1};
    agent_start(&ag);
    agent_grant(&ag, &g);
    while (ag.runs_n > 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    return &fake.calls[fake_find(MSG_FINISH, 0)].finish;
}

static void a_call_of_a_callers_tool_ends_the_run(void **state)
{
    (void)state;
    const struct msg_finish *f = turn_for("tool/m", "current_time", ""); /* of two with one name, the caller's */
    assert_sv(f->status, "ok");
    assert_sv(f->stop, "tool_calls");
    assert_sv(f->reply, "Let me look.");
    assert_int_equal(f->calls_n, 1);
    assert_sv(f->calls[0].id, "call_1");
    assert_sv(f->calls[0].args, "{\"timezone\":\"UTC\"}");
    assert_int_equal(fake_count(MSG_STEP), 1); /* the assistant row; no result is made up */
    assert_int_equal(asked, 1);
    has(buf_view(&first_body), "of the caller");
    has(buf_view(&first_body), "\"temperature\":0.5");
    has(buf_view(&first_body), "\"stop\":\"END\"");
    has(buf_view(&first_body), "\"max_tokens\":77");
    has(buf_view(&first_body), "session_status");
}

static void a_demanded_call_is_asked_for_twice(void **state)
{
    (void)state;
    const struct msg_finish *f = turn_for("ok/m", "get_weather", "required");
    assert_sv(f->status, "error");
    assert_sv(f->error_kind, "tool_choice_unsatisfied");
    assert_int_equal(f->calls_n, 0);
    assert_int_equal(asked, 2);
    has(buf_view(&first_body), "\"tool_choice\":\"required\"");
    assert_true(sv_find(buf_view(&first_body), SV("\"name\":\"session_status\"")) < 0);
    has(buf_view(&last_body), "called none of them");
}

static void anthropic_with_a_callers_tool(void **state)
{
    (void)state;
    const struct msg_finish *f = turn_for("claude/c1", "current_time", "tool:current_time");
    assert_sv(f->stop, "tool_calls");
    assert_int_equal(f->calls_n, 1);
    has(buf_view(&first_body), "\"tool_choice\":{\"type\":\"tool\",\"name\":\"current_time\"}");
    has(buf_view(&first_body), "\"stop_sequences\":[\"END\"]");
    has(buf_view(&first_body), "\"temperature\":0.500");
}

static void anthropic_with_a_tool(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("claude/c1");
    assert_sv(f->error, "");
    assert_sv(f->reply, "Noon.");
    assert_sv(f->rows[0].api, "anthropic-messages");
    assert_int_equal(f->in_tokens, 14);
    assert_int_equal(f->out_tokens, 5);
    assert_int_equal(fake_count(MSG_STEP), 2);
}

static void the_same_failure_three_times_stops(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("loops/m");
    assert_sv(f->status, "error");
    has(f->error, "the same call of the tool rm failed 3 times");
    assert_int_equal(asked, 3);
    has(fake.calls[fake_find(MSG_STEP, 1)].step.rows[0].text, "There is no tool named \"rm\"");
}

static void the_last_call_gets_no_tools(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("greedy/m");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Enough.");
    assert_int_equal(asked, RUN_MODEL_CALLS_MAX);
}

static void a_rate_limit_is_waited_for(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("limited/m");
    assert_sv(f->reply, "Thanks for waiting");
    assert_int_equal(asked, 2);
}

static void a_long_rate_limit_is_told(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("busy/m");
    assert_int_equal(asked, 1);
    assert_sv(f->error_kind, "rate_limit");
    has(f->error, "busy/m: the provider says: too many requests (HTTP 429: slow down).");
    has(f->error, "(in 60 s)");
}

static void a_server_error_is_tried_again(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("flaky/m");
    assert_sv(f->reply, "Back again");
    assert_int_equal(asked, 2);
}

static void a_wrong_key_is_told(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("denied/m");
    assert_int_equal(asked, 1);
    assert_sv(f->status, "error");
    assert_sv(f->error_kind, "auth");
    has(f->error, "denied/m: the provider refused the API key (HTTP 401). Check models.providers.denied.apiKey");
    assert_int_equal(f->reply.n, 0);
    assert_int_equal(f->rows_n, 0);
}

static void a_broken_stream_keeps_what_came(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("cut/m");
    assert_int_equal(asked, 1); /* text was shown: no second try */
    assert_sv(f->status, "error");
    has(f->error, "cut/m: the connection broke in the middle of the answer");
    assert_sv(f->rows[0].text, "Once upon a time");
    assert_sv(f->rows[0].stop, "error");
}

static void missing_end_marks(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("no_done/m");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Complete.");
}

static void an_open_transfer_is_not_waited_for(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("open/m");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Complete.");
}

static void silence_of_the_server(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("silent/m");
    assert_sv(f->status, "error");
    assert_sv(f->error_kind, "timeout");
    has(f->error, "silent/m: the model server went silent");
}

static void an_empty_answer(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("empty/m");
    assert_int_equal(asked, 2);
    has(f->error, "empty/m: the model sent an empty answer");
}

static void an_answer_that_is_no_stream(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("plain/m");
    assert_sv(f->reply, "Not streamed");
}

static void a_model_without_tools(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("toolless/m");
    assert_sv(f->reply, "Words only");
    assert_int_equal(asked, 2);
    assert_true(sv_find(buf_view(&last_body), SV("## Tooling")) < 0);
    (void)turn("toolless/m");
    assert_int_equal(asked, 3); /* it is remembered */
}

static void no_server_is_told_and_nothing_else_answers(void **state)
{
    (void)state;
    const struct msg_finish *f = turn("dead/m");
    assert_sv(f->status, "error");
    assert_sv(f->error_kind, "unavailable");
    has(f->error, "dead/m: no answer from the model server at http://127.0.0.1:1/v1 (connection refused)");
    assert_true(sv_find(f->error, SV("[offline]")) < 0);
}

static void a_configured_fallback_answers_and_says_so(void **state)
{
    (void)state;
    conf_add_list(&conf, "agents.defaults.model.fallbacks", SV("nowhere/m"));
    conf_add_list(&conf, "agents.defaults.model.fallbacks", SV("ok/m2"));
    const struct msg_finish *f = turn("denied/m");
    assert_sv(f->status, "ok");
    assert_sv(f->reply, "Hello there\n\n(Answered by ok/m2; failed: denied/m: auth)");
    assert_sv(f->model, "m2");
    assert_int_equal(fake_events("lifecycle", "fallback_step"), 1);
}

static void when_all_fail_each_is_named(void **state)
{
    (void)state;
    conf_add_list(&conf, "agents.defaults.model.fallbacks", SV("busy/m2"));
    const struct msg_finish *f = turn("denied/m");
    assert_sv(f->status, "error");
    has(f->error, "denied/m: the provider refused");
    has(f->error, "\nbusy/m2: the provider says");
}

static void an_abort_cancels_the_request(void **state)
{
    (void)state;
    agent_start(&ag);
    struct msg_entry row = {.role = SV("user"), .text = SV("hi"), .run_id = SV("r1")};
    struct msg_grant g = {.run_id = SV("r1"), .fence = 3, .session_key = SV("k"), .session_id = SV("s1"), .agent_id = SV("main"),
                          .model = SV("silent/m"), .rows = &row, .rows_n = 1};
    agent_grant(&ag, &g);
    while (asked == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    struct msg_abort_run a = {.run_id = SV("r1"), .fence = 3};
    fake.on_abort(&ag, MSG_ABORT_RUN, &a);
    while (ag.runs_n > 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "aborted");
    assert_sv(f->stop, "rpc");
    assert_int_equal(f->rows_n, 0);
}

static void what_a_step_holds_is_not_stored_twice(void **state)
{
    (void)state;
    agent_start(&ag);
    fake.auto_ok = false;
    struct msg_entry row = {.role = SV("user"), .text = SV("hi"), .run_id = SV("r1")};
    struct msg_grant g = {.run_id = SV("r1"), .fence = 3, .session_key = SV("k"), .session_id = SV("s1"), .agent_id = SV("main"),
                          .model = SV("tool/m"), .rows = &row, .rows_n = 1};
    agent_grant(&ag, &g);
    while (fake_count(MSG_STEP) == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    assert_int_equal(fake_events("tool", NULL), 0); /* nothing runs before its intent is stored */
    struct msg_abort_run a = {.run_id = SV("r1"), .fence = 3};
    fake.on_abort(&ag, MSG_ABORT_RUN, &a);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "aborted");
    assert_int_equal(f->rows_n, 0);
    fake_answer((size_t)fake_find(MSG_FINISH, 0), OK);
    assert_int_equal(ag.runs_n, 0);
}

static void stopping_in_the_middle_leaks_nothing(void **state)
{
    (void)state;
    agent_start(&ag);
    struct msg_entry row = {.role = SV("user"), .text = SV("hi"), .run_id = SV("r1")};
    struct msg_grant g = {.run_id = SV("r1"), .fence = 3, .session_key = SV("k"), .session_id = SV("s1"), .agent_id = SV("main"),
                          .model = SV("silent/m"), .rows = &row, .rows_n = 1};
    agent_grant(&ag, &g);
    while (asked == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    assert_int_equal(ag.runs_n, 1); /* teardown stops the agent; the sanitizer counts */
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_streamed_answer), CASE(a_tool_round_trip), CASE(anthropic_with_a_tool), CASE(a_call_of_a_callers_tool_ends_the_run), CASE(a_demanded_call_is_asked_for_twice),
        CASE(anthropic_with_a_callers_tool), CASE(the_same_failure_three_times_stops),
        CASE(the_last_call_gets_no_tools), CASE(a_rate_limit_is_waited_for), CASE(a_long_rate_limit_is_told),
        CASE(a_server_error_is_tried_again), CASE(a_wrong_key_is_told), CASE(a_broken_stream_keeps_what_came), CASE(missing_end_marks),
        CASE(an_open_transfer_is_not_waited_for), CASE(silence_of_the_server), CASE(an_empty_answer), CASE(an_answer_that_is_no_stream),
        CASE(a_model_without_tools), CASE(no_server_is_told_and_nothing_else_answers), CASE(a_configured_fallback_answers_and_says_so), CASE(when_all_fail_each_is_named),
        CASE(an_abort_cancels_the_request), CASE(what_a_step_holds_is_not_stored_twice), CASE(stopping_in_the_middle_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
