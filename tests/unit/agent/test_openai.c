/*
 * test_openai.c: Chat Completions: request text, and streams as servers send them.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>

#include "agent/provider/provider.h"
#include "agent/provider/sse.h"
#include "common/json.h"

static struct reply r;

static int setup(void **state)
{
    (void)state;
    reply_init(&r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reply_free(&r);
    return 0;
}

static void one(void *ctx, sv event, sv data)
{
    dialect_openai.event(ctx, event, data);
}

static void stream(const char *text)
{
    struct sse s;
    sse_init(&s);
    assert_int_equal(sse_feed(&s, sv_of(text), one, &r), 0);
    assert_int_equal(sse_end(&s, one, &r), 0);
    sse_free(&s);
}

static void text_and_usage(void **state)
{
    (void)state;
    stream("data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":null}]}\n\n"
           "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
           "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}\n\n"
           "data: [DONE]\n\n");
    assert_sv(buf_view(&r.text), "Hello");
    assert_int_equal(r.stop, STOP_END);
    assert_true(r.done);
    assert_true(r.has_usage);
    assert_int_equal(r.in_tokens, 12);
    assert_int_equal(r.out_tokens, 3);
    assert_int_equal(r.fault, FAULT_NONE);
}

static void calls_in_pieces(void **state)
{
    (void)state;
    stream("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"t1\",\"arguments\":\"\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"t2\",\"arguments\":\"{}\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"t1\",\"arguments\":\"1}\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n");
    assert_int_equal(r.calls_n, 2);
    assert_string_equal(r.calls[0].id, "a");
    assert_string_equal(r.calls[0].name, "t1");
    assert_sv(buf_view(&r.calls[0].args), "{\"x\":1}");
    assert_string_equal(r.calls[1].name, "t2");
    assert_int_equal(r.stop, STOP_TOOL);
}

static void calls_without_index_or_id(void **state)
{
    (void)state;
    stream("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"t1\",\"arguments\":{\"x\":1}}},"
           "{\"function\":{\"name\":\"t2\",\"arguments\":\"{\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"stop\"}]}\n\n");
    assert_int_equal(r.calls_n, 2);
    assert_sv(buf_view(&r.calls[0].args), "{\"x\":1}");
    assert_sv(buf_view(&r.calls[1].args), "{}");
    reply_settle(&r, "run");
    assert_string_equal(r.calls[0].id, "call_run_1");
    assert_string_equal(r.calls[1].id, "call_run_2");
}

static void settling_drops_nameless_calls(void **state)
{
    (void)state;
    stream("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\"},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"t\"}}]}}]}\n\n");
    assert_int_equal(r.calls_n, 2);
    reply_settle(&r, "x");
    assert_int_equal(r.calls_n, 1);
    assert_string_equal(r.calls[0].id, "b");
    assert_sv(buf_view(&r.calls[0].args), "{}");
}

static void too_many_calls(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%d,\"function\":{\"name\":\"t\"}}]}}]}\n\n", i);
        stream(text);
    }
    assert_int_equal(r.calls_n, REPLY_CALLS_MAX);
    assert_int_equal(r.fault, FAULT_GARBLED);
}

static void errors_in_the_stream(void **state)
{
    (void)state;
    stream("data: {\"choices\":[{\"delta\":{\"content\":\"par\"}}]}\n\n"
           "data: {\"error\":{\"code\":502,\"message\":\"Upstream error\"}}\n\n");
    assert_int_equal(r.fault, FAULT_SERVER);
    assert_int_equal(r.status, 502);
    assert_sv(buf_view(&r.text), "par");
    reply_reset(&r);
    stream("data: {\"error\":\"model requires more system memory\"}\n\n");
    assert_int_equal(r.fault, FAULT_UNKNOWN);
    assert_string_equal(r.detail, "model requires more system memory");
    reply_reset(&r);
    stream("data: {broken\n\n");
    assert_int_equal(r.fault, FAULT_GARBLED);
}

static void error_bodies(void **state)
{
    (void)state;
    dialect_openai.error(&r, 401, SV("{\"error\":{\"message\":\"Incorrect API key provided: sk-abc\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}"));
    assert_int_equal(r.fault, FAULT_AUTH);
    reply_reset(&r);
    dialect_openai.error(&r, 400, SV("{\"error\":{\"message\":\"This model's maximum context length is 8192 tokens\",\"code\":\"context_length_exceeded\"}}"));
    assert_int_equal(r.fault, FAULT_CONTEXT);
    reply_reset(&r);
    dialect_openai.error(&r, 404, SV("{\"error\":{\"message\":\"model 'x' not found\"}}"));
    assert_int_equal(r.fault, FAULT_NO_MODEL);
    reply_reset(&r);
    dialect_openai.error(&r, 429, SV("{\"error\":{\"message\":\"You exceeded your current quota\",\"code\":\"insufficient_quota\"}}"));
    assert_int_equal(r.fault, FAULT_BILLING);
    reply_reset(&r);
    dialect_openai.error(&r, 503, SV("<html>busy</html>"));
    assert_int_equal(r.fault, FAULT_SERVER);
    assert_string_equal(r.detail, "");
    reply_reset(&r);
    dialect_openai.error(&r, 400, SV("{\"detail\":\"no such parameter\"}"));
    assert_int_equal(r.fault, FAULT_FORMAT);
    assert_string_equal(r.detail, "no such parameter");
}

static void a_plain_answer(void **state)
{
    (void)state;
    dialect_openai.error(&r, 200, SV("{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"whole\"},\"finish_reason\":\"stop\"}],"
                                     "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}"));
    assert_int_equal(r.fault, FAULT_NONE);
    assert_true(r.done);
    assert_sv(buf_view(&r.text), "whole");
    reply_reset(&r);
    dialect_openai.error(&r, 200, SV("<html>hello</html>"));
    assert_int_equal(r.fault, FAULT_GARBLED);
}

static void stops(void **state)
{
    (void)state;
    stream("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"length\"}]}\n\n");
    assert_int_equal(r.stop, STOP_LENGTH);
    reply_reset(&r);
    stream("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n");
    assert_int_equal(r.stop, STOP_REFUSAL);
    reply_reset(&r);
    stream("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"eos\"}],\"timings\":{\"prompt_n\":4,\"predicted_n\":5}}\n\n");
    assert_int_equal(r.stop, STOP_END);
    assert_int_equal(r.in_tokens, 4);
}

static void text_is_capped(void **state)
{
    (void)state;
    static char chunk[60000];
    memset(chunk, 'x', sizeof chunk - 1);
    for (int i = 0; i < 6; i++) {
        reply_text(&r, sv_of(chunk));
    }
    assert_int_equal(r.text.n, REPLY_TEXT_MAX);
    assert_int_equal(r.stop, STOP_LENGTH);
    assert_true(r.done);
}

static void the_request(void **state)
{
    (void)state;
    struct chat_call call = {SV("c1"), SV("current_time"), SV("{\"timezone\":\"UTC\"}")};
    const struct chat_msg msgs[] = {
        {.role = CHAT_USER, .text = SV("what \"time\"?\n")},
        {.role = CHAT_ASSISTANT, .calls = &call, .calls_n = 1},
        {.role = CHAT_TOOL, .text = SV("noon"), .tool_call_id = SV("c1"), .tool_name = SV("current_time")},
        {.role = CHAT_ASSISTANT, .text = SV("Noon.")},
    };
    const struct chat_tool tool = {"current_time", "Tells the time.", "{\"type\":\"object\",\"properties\":{}}"};
    struct chat_req q = {.model = "m", .system_stable = SV("A"), .system_volatile = SV("B"), .msgs = msgs, .msgs_n = 4,
                         .tools = &tool, .tools_n = 1, .max_tokens = 100};
    struct buf b = BUF_INIT(100000);
    assert_true(dialect_openai.body(&q, &b));
    char err[100];
    json_t *v = json_parse(buf_view(&b), err, sizeof err);
    if (!v) {
        fail_msg("%s: %.*s", err, SV_ARG(buf_view(&b)));
    }
    assert_sv(json_sv(v, "model"), "m");
    assert_true(json_flag(v, "stream", false));
    assert_true(json_flag(v, "stream_options.include_usage", false));
    assert_int_equal(json_i64(v, "max_tokens", 0), 100);
    assert_sv(json_sv(v, "messages.0.role"), "system");
    assert_sv(json_sv(v, "messages.0.content"), "A\n\nB");
    assert_sv(json_sv(v, "messages.1.content"), "what \"time\"?\n");
    assert_true(json_is_null(json_at(v, "messages.2.content")));
    assert_sv(json_sv(v, "messages.2.tool_calls.0.id"), "c1");
    assert_sv(json_sv(v, "messages.2.tool_calls.0.function.arguments"), "{\"timezone\":\"UTC\"}");
    assert_sv(json_sv(v, "messages.3.role"), "tool");
    assert_sv(json_sv(v, "messages.3.tool_call_id"), "c1");
    assert_sv(json_sv(v, "messages.4.content"), "Noon.");
    assert_sv(json_sv(v, "tools.0.function.name"), "current_time");
    assert_sv(json_sv(v, "tools.0.function.parameters.type"), "object");
    json_free(&v);
    buf_reset(&b);
    q.official_openai = true;
    q.tools_n = 0;
    assert_true(dialect_openai.body(&q, &b));
    v = json_parse(buf_view(&b), NULL, 0);
    assert_int_equal(json_i64(v, "max_completion_tokens", 0), 100);
    assert_null(json_at(v, "tools"));
    json_free(&v);
    buf_free(&b);
    b = BUF_INIT(64);
    assert_false(dialect_openai.body(&q, &b));
    buf_free(&b);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(text_and_usage),       CASE(calls_in_pieces), CASE(calls_without_index_or_id), CASE(settling_drops_nameless_calls),
        CASE(too_many_calls),       CASE(error_bodies),    CASE(errors_in_the_stream),      CASE(a_plain_answer),
        CASE(stops),                CASE(text_is_capped),  CASE(the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
