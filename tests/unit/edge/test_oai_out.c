/*
 * test_oai_out.c: answers of the OpenAI interface are JSON with the members that clients read.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "common/json.h"
#include "workers/edge/oai_out.h"

static struct msg_tool_call calls[] = {
    {{"c1", 2}, {"get", 3}, {"{\"a\":\"\\\"\"}", 10}},
    {{"c2", 2}, {"put", 3}, {"{}", 2}},
};

static struct oai_answer answer(const char *text, size_t calls_n)
{
    return (struct oai_answer){.id = "resp_1", .model = "a \"model\"", .created_s = 7, .text = sv_of(text), .stop = SV("stop"),
                               .calls = calls, .calls_n = calls_n, .in_tokens = 3, .out_tokens = 4};
}

static json_t *parsed(struct buf *b)
{
    json_t *v = json_parse(buf_view(b), NULL, 0);
    if (v == NULL) {
        fail_msg("not JSON: %s", buf_cstr(b));
    }
    buf_reset(b);
    return v;
}

static void chat(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    struct oai_answer a = answer("line\n\"two\"", 2);
    oai_chat_whole(&b, &a);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "model"), "a \"model\"");
    assert_sv(json_sv(v, "choices.0.message.content"), "line\n\"two\"");
    assert_sv(json_sv(v, "choices.0.message.tool_calls.0.function.arguments"), "{\"a\":\"\\\"\"}");
    assert_sv(json_sv(v, "choices.0.message.tool_calls.1.id"), "c2");
    assert_sv(json_sv(v, "choices.0.finish_reason"), "tool_calls");
    assert_int_equal(json_i64(v, "usage.total_tokens", 0), 7);
    json_free(&v);
    a = answer("x", 0);
    a.stop = SV("length");
    oai_chat_finish(&b, &a);
    v = parsed(&b);
    assert_sv(json_sv(v, "choices.0.finish_reason"), "length");
    json_free(&v);
    oai_chat_usage(&b, &a);
    v = parsed(&b);
    assert_int_equal(json_array_size(json_at(v, "choices")), 0);
    json_free(&v);
    buf_free(&b);
}

static void chunks(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    struct oai_answer a = answer("", 1);
    oai_chat_role(&b, &a);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "choices.0.delta.role"), "assistant");
    assert_true(json_is_null(json_at(v, "choices.0.finish_reason")));
    json_free(&v);
    oai_chat_call(&b, &a, 0, false);
    v = parsed(&b);
    assert_sv(json_sv(v, "choices.0.delta.tool_calls.0.id"), "c1");
    assert_sv(json_sv(v, "choices.0.delta.tool_calls.0.function.arguments"), "");
    json_free(&v);
    oai_chat_call(&b, &a, 0, true);
    v = parsed(&b);
    assert_true(json_at(v, "choices.0.delta.tool_calls.0.id") == NULL);
    assert_sv(json_sv(v, "choices.0.delta.tool_calls.0.function.arguments"), "{\"a\":\"\\\"\"}");
    json_free(&v);
    buf_free(&b);
}

static void responses(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    struct oai_answer a = answer("words", 2);
    const struct oai_state ok = {.status = "completed", .output = true};
    oai_resp_whole(&b, &a, &ok);
    json_t *v = parsed(&b);
    assert_int_equal(json_array_size(json_at(v, "output")), 3);
    assert_sv(json_sv(v, "output.0.id"), "msg_1");
    assert_sv(json_sv(v, "output.0.content.0.text"), "words");
    assert_sv(json_sv(v, "output.2.call_id"), "c2");
    assert_sv(json_sv(v, "output.2.id"), "fc_1_1");
    assert_int_equal(json_i64(v, "usage.input_tokens", 0), 3);
    json_free(&v);
    a = answer("", 1);
    assert_int_equal(oai_resp_items(&a), 1);
    oai_resp_item(&b, &a, 0, false);
    v = parsed(&b);
    assert_sv(json_sv(v, "arguments"), "");
    json_free(&v);
    const struct oai_state bad = {.status = "failed", .error_code = "worker_lost", .error = SV("\"gone\"")};
    oai_resp_whole(&b, &a, &bad);
    v = parsed(&b);
    assert_sv(json_sv(v, "error.message"), "\"gone\"");
    assert_int_equal(json_array_size(json_at(v, "output")), 0);
    assert_true(json_is_null(json_at(v, "usage")));
    json_free(&v);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat),
        cmocka_unit_test(chunks),
        cmocka_unit_test(responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
