/*
 * test_oai_req.c: requests to the OpenAI interface: what becomes of messages, items and tools, and what is refused.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/oai_req.h"

static struct oai_req q;

static bool chat(const char *body, bool fresh)
{
    return oai_req_parse(&q, OAI_CHAT, sv_of(body)) && oai_req_settle(&q, fresh);
}

static bool responses(const char *body, bool fresh)
{
    return oai_req_parse(&q, OAI_RESPONSES, sv_of(body)) && oai_req_settle(&q, fresh);
}

static int done(void **state)
{
    UNUSED(state);
    oai_req_free(&q);
    return 0;
}

static void a_conversation(void **state)
{
    UNUSED(state);
    assert_true(chat("{\"model\":\"tenaza\",\"messages\":["
                     "{\"role\":\"system\",\"content\":\"one\"},{\"role\":\"user\",\"content\":\"a\"},"
                     "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"developer\",\"content\":\"two\"},"
                     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\",\"text\":\"d\"}]},"
                     "{\"role\":\"user\",\"content\":\"e\"}]}", true));
    assert_sv(buf_view(&q.system), "one\n\ntwo");
    assert_int_equal(q.prior_n, 2);
    assert_sv(q.prior[0].role, "user");
    assert_sv(q.prior[1].text, "b");
    assert_int_equal(q.results_n, 0);
    assert_sv(q.text, "c\nd\n\ne");
}

static void results_of_the_callers_tools(void **state)
{
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"w?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
        "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"get\",\"arguments\":\"{\\\"a\\\":1}\"}},"
        "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"put\",\"arguments\":\"not json\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"x\"}]}";
    UNUSED(state);
    assert_true(chat(body, true));
    assert_int_equal(q.prior_n, 2);
    assert_int_equal(q.prior[1].calls_n, 2);
    assert_sv(q.prior[1].calls[0].args, "{\"a\":1}");
    assert_sv(q.prior[1].calls[1].args, "\"not json\"");
    assert_int_equal(q.results_n, 2);
    assert_sv(q.results[0].tool_name, "get");
    assert_sv(q.results[0].text, "");
    assert_sv(q.results[1].tool_call_id, "c2");
    assert_sv(q.text, "");
}

static void the_older_function_form(void **state)
{
    UNUSED(state);
    assert_true(chat("{\"messages\":[{\"role\":\"user\",\"content\":\"w?\"},{\"role\":\"assistant\",\"content\":null,"
                     "\"function_call\":{\"name\":\"get\",\"arguments\":\"{}\"}},"
                     "{\"role\":\"function\",\"name\":\"get\",\"content\":\"1\"}]}", true));
    assert_int_equal(q.results_n, 1);
    assert_sv(q.results[0].tool_name, "get");
}

static void tools_and_wishes(void **state)
{
    UNUSED(state);
    assert_true(chat("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\",\"function\":"
                     "{\"name\":\"get\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}],"
                     "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get\"}},\"temperature\":0.5,\"stop\":\"E\","
                     "\"max_completion_tokens\":9,\"max_tokens\":5,\"logprobs\":true,\"brand_new\":1,\"top_p\":null,"
                     "\"stream\":true,\"stream_options\":{\"include_usage\":true}}", true));
    assert_int_equal(q.opts.tools_n, 1);
    assert_sv(q.opts.tools[0].schema, "{\"type\":\"object\"}");
    assert_sv(q.opts.tool_choice, "tool:get");
    assert_sv(q.opts.sampling, "{\"temperature\":0.5,\"stop\":\"E\"}");
    assert_int_equal(q.opts.max_tokens, 9);
    assert_sv(buf_view(&q.ignored), "logprobs");
    assert_true(q.stream && q.include_usage);
}

static void items_of_responses(void **state)
{
    UNUSED(state);
    assert_true(responses("{\"model\":\"tenaza\",\"instructions\":\"be\",\"previous_response_id\":\"resp_1\",\"input\":["
                          "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"}]},"
                          "{\"type\":\"reasoning\"},"
                          "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"get\",\"arguments\":\"{}\"},"
                          "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"get\",\"arguments\":\"{}\"},"
                          "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":\"y\"}],"
                          "\"tools\":[{\"type\":\"function\",\"name\":\"get\"}],\"tool_choice\":\"required\","
                          "\"reasoning\":{\"effort\":\"low\"},"
                          "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}}}", false));
    assert_sv(buf_view(&q.system), "be");
    assert_sv(q.previous, "resp_1");
    assert_int_equal(q.prior_n, 2);
    assert_int_equal(q.prior[1].calls_n, 2);
    assert_int_equal(q.results_n, 1);
    assert_sv(q.opts.tool_choice, "required");
    assert_sv(q.opts.sampling, "{\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"json_schema\","
                               "\"json_schema\":{\"name\":\"n\",\"schema\":{}}}}");
    assert_true(q.keep);
}

static void a_result_alone_needs_a_session(void **state)
{
    static const char body[] = "{\"model\":\"m\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"y\"}]}";
    UNUSED(state);
    assert_true(responses(body, false));
    assert_int_equal(q.results_n, 1);
    oai_req_free(&q);
    assert_false(responses(body, true));
    assert_string_equal(q.bad_code, "unknown_tool_call");
}

/* Long conversations lose their oldest rows, and what is left begins with the user. */
static void old_rows_are_left_out(void **state)
{
    struct buf b = BUF_INIT(4000000);
    char text[3001];
    UNUSED(state);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    buf_str(&b, "{\"messages\":[");
    for (int i = 0; i < 700; i++) {
        buf_printf(&b, "{\"role\":\"%s\",\"content\":\"%s\"},", i % 2 ? "assistant" : "user", text);
    }
    buf_str(&b, "{\"role\":\"user\",\"content\":\"now\"}]}");
    assert_true(chat(buf_cstr(&b), true));
    assert_true(q.prior_n > 200 && q.prior_n < 320);
    assert_sv(q.prior[0].role, "user");
    assert_sv(q.text, "now");
    buf_free(&b);
}

static void limits(void **state)
{
    struct buf b = BUF_INIT(4000000);
    UNUSED(state);
    buf_str(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < OAI_TEXT_MAX + 1; i++) {
        buf_ch(&b, 'x');
    }
    buf_str(&b, "\"}]}");
    assert_false(chat(buf_cstr(&b), true));
    assert_string_equal(q.bad_code, "message_too_large");
    oai_req_free(&q);
    buf_reset(&b);
    buf_str(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[");
    for (int i = 0; i < OAI_TOOLS_MAX + 1; i++) {
        buf_printf(&b, "%s{\"type\":\"function\",\"function\":{\"name\":\"t%d\"}}", i ? "," : "", i);
    }
    buf_str(&b, "]}");
    assert_false(chat(buf_cstr(&b), true));
    assert_string_equal(q.bad_code, "too_many_tools");
    buf_free(&b);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_teardown(f, done)
    const struct CMUnitTest tests[] = {
        CASE(a_conversation), CASE(results_of_the_callers_tools), CASE(the_older_function_form), CASE(tools_and_wishes),
        CASE(items_of_responses), CASE(a_result_alone_needs_a_session), CASE(old_rows_are_left_out), CASE(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
