/*
 * test_anthropic.c: Anthropic Messages: request text, and streams as the service sends them.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

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
    dialect_anthropic.event(ctx, event, data);
}

static void stream(const char *text)
{
    struct sse s;
    sse_init(&s);
    assert_int_equal(sse_feed(&s, sv_of(text), one, &r), 0);
    assert_int_equal(sse_end(&s, one, &r), 0);
    sse_free(&s);
}

#define START                                                                                                          \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":10,"     \
    "\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n"
#define STOP(reason)                                                                                                   \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason                         \
    "\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

static void text_and_usage(void **state)
{
    (void)state;
    stream(START "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
                 "event: ping\ndata: {\"type\": \"ping\"}\n\n"
                 "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Ho\"}}\n\n"
                 "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"la\"}}\n\n"
                 "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" STOP("end_turn"));
    assert_sv(buf_view(&r.text), "Hola");
    assert_int_equal(r.in_tokens, 15);
    assert_int_equal(r.out_tokens, 9);
    assert_int_equal(r.stop, STOP_END);
    assert_true(r.done);
}

static void tool_use_in_pieces(void **state)
{
    (void)state;
    stream(START "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n"
                 "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
                 "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"current_time\",\"input\":{}}}\n\n"
                 "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"timezone\\\":\"}}\n\n"
                 "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"UTC\\\"}\"}}\n\n"
                 "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"session_status\",\"input\":{}}}\n\n"
                 "data: {\"type\":\"content_block_delta\",\"index\":7,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"x\"}}\n\n"
           STOP("tool_use"));
    assert_int_equal(r.text.n, 0);
    assert_int_equal(r.calls_n, 2);
    assert_string_equal(r.calls[0].id, "toolu_1");
    assert_sv(buf_view(&r.calls[0].args), "{\"timezone\":\"UTC\"}");
    reply_settle(&r, "x");
    assert_sv(buf_view(&r.calls[1].args), "{}");
    assert_int_equal(r.stop, STOP_TOOL);
}

static void stops(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum model_stop stop;
    } rows[] = {{STOP("max_tokens"), STOP_LENGTH}, {STOP("stop_sequence"), STOP_END}, {STOP("pause_turn"), STOP_PAUSE},
                {STOP("refusal"), STOP_REFUSAL},   {STOP("something_new"), STOP_END}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reply_reset(&r);
        stream(rows[i].text);
        assert_int_equal(r.stop, rows[i].stop);
    }
    reply_reset(&r);
    stream(STOP("model_context_window_exceeded"));
    assert_int_equal(r.fault, FAULT_CONTEXT);
}

static void errors(void **state)
{
    (void)state;
    stream(START "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n");
    assert_int_equal(r.fault, FAULT_OVERLOADED);
    static const struct {
        int status;
        const char *body;
        enum fault fault;
    } rows[] = {
        {401, "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"invalid x-api-key\"}}", FAULT_AUTH},
        {429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"This request would exceed\"}}", FAULT_RATE_LIMIT},
        {400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 1 > 0\"}}", FAULT_CONTEXT},
        {400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages: roles\"}}", FAULT_FORMAT},
        {400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is too low\"}}", FAULT_BILLING},
        {404, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model: x\"}}", FAULT_NO_MODEL},
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", FAULT_OVERLOADED},
        {500, "oops", FAULT_SERVER},
        {200, "{\"hello\":1}", FAULT_GARBLED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reply_reset(&r);
        dialect_anthropic.error(&r, rows[i].status, sv_of(rows[i].body));
        assert_string_equal(fault_name(r.fault), fault_name(rows[i].fault));
    }
}

static void the_request(void **state)
{
    (void)state;
    struct chat_call calls[] = {{SV("call:1"), SV("current_time"), SV("{\"timezone\":\"UTC\"}")}, {SV("c2"), SV("session_status"), SV("{}")}};
    const struct chat_msg msgs[] = {
        {.role = CHAT_ASSISTANT, .text = SV("earlier")},
        {.role = CHAT_USER, .text = SV("one")},
        {.role = CHAT_USER, .text = SV("two")},
        {.role = CHAT_ASSISTANT, .text = SV("Looking."), .calls = calls, .calls_n = 2},
        {.role = CHAT_TOOL, .text = SV("noon"), .tool_call_id = SV("call:1")},
        {.role = CHAT_TOOL, .text = SV("bad"), .tool_call_id = SV("c2"), .is_error = true},
        {.role = CHAT_USER, .text = SV("three")},
    };
    const struct chat_tool tool = {"current_time", "Tells the time.", "{\"type\":\"object\"}"};
    struct chat_req q = {.model = "claude", .system_stable = SV("A"), .system_volatile = SV("B"), .msgs = msgs, .msgs_n = 7,
                         .tools = &tool, .tools_n = 1};
    struct buf b = BUF_INIT(100000);
    assert_true(dialect_anthropic.body(&q, &b));
    char err[100];
    json_t *v = json_parse(buf_view(&b), err, sizeof err);
    if (!v) {
        fail_msg("%s: %.*s", err, SV_ARG(buf_view(&b)));
    }
    assert_int_equal(json_i64(v, "max_tokens", 0), 8192);
    assert_sv(json_sv(v, "system.0.text"), "A");
    assert_sv(json_sv(v, "system.0.cache_control.type"), "ephemeral");
    assert_sv(json_sv(v, "system.1.text"), "B");
    assert_null(json_at(v, "system.1.cache_control"));
    assert_sv(json_sv(v, "messages.0.role"), "user"); /* made up: the API wants a user first */
    assert_sv(json_sv(v, "messages.1.role"), "assistant");
    assert_sv(json_sv(v, "messages.2.content.0.text"), "one"); /* neighbours are merged */
    assert_sv(json_sv(v, "messages.2.content.1.text"), "two");
    assert_sv(json_sv(v, "messages.3.content.1.id"), "call_1"); /* made fit for ^[a-zA-Z0-9_-]{1,64}$ */
    assert_sv(json_sv(v, "messages.3.content.1.input.timezone"), "UTC");
    assert_sv(json_sv(v, "messages.4.role"), "user");
    assert_sv(json_sv(v, "messages.4.content.0.tool_use_id"), "call_1");
    assert_true(json_flag(v, "messages.4.content.1.is_error", false));
    assert_sv(json_sv(v, "messages.4.content.2.text"), "three");
    assert_int_equal(json_array_size(json_at(v, "messages")), 5);
    assert_sv(json_sv(v, "tools.0.input_schema.type"), "object");
    json_free(&v);
    buf_free(&b);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(text_and_usage), CASE(tool_use_in_pieces), CASE(stops), CASE(errors), CASE(the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
