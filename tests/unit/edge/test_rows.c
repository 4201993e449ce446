/*
 * test_rows.c: session and transcript rows as JSON: valid, complete, escaped.
 * Runs in: unit tests.     Owns: nothing.
 * Never: compares whole texts where order does not matter.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "common/json.h"
#include "workers/edge/rows.h"

static json_t *parsed(struct buf *b)
{
    json_t *v = json_parse(buf_view(b), NULL, 0);
    assert_non_null(v);
    buf_free(b);
    return v;
}

static void test_user(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    const struct msg_entry e = {.id = SV("e1"), .n = 3, .role = SV("user"), .text = SV("a \"b\"\n\x01"),
                                .ts_ms = 7, .run_id = SV("r"), .idem = SV("r:user")};
    row_entry(&b, &e, 0);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "content"), "a \"b\"\n\x01");
    assert_sv(json_sv(v, "idempotencyKey"), "r:user");
    assert_sv(json_sv(v, "__openclaw.idempotencyKey"), "r:user");
    assert_int_equal(json_i64(v, "__openclaw.seq", 0), 3);
    json_free(&v);
}

static void test_assistant(void **state)
{
    UNUSED(state);
    struct msg_tool_call call = {.id = SV("c1"), .name = SV("current_time"), .args = SV("{\"tz\":\"UTC\"}")};
    struct buf b = BUF_INIT(65536);
    struct msg_entry e = {.id = SV("e2"), .role = SV("assistant"), .text = SV("text"), .model = SV("m"),
                          .in_tokens = 2, .out_tokens = 3, .calls = &call, .calls_n = 1};
    row_entry(&b, &e, 2);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "content.0.text"), "te");
    assert_sv(json_sv(v, "content.1.type"), "toolCall");
    assert_sv(json_sv(v, "content.1.arguments.tz"), "UTC");
    assert_int_equal(json_i64(v, "usage.totalTokens", 0), 5);
    assert_sv(json_sv(v, "stopReason"), "stop");
    json_free(&v);
    /* Only calls: no empty text block in front of them. */
    e.text = SV("");
    row_entry(&b, &e, 0);
    v = parsed(&b);
    assert_sv(json_sv(v, "content.0.type"), "toolCall");
    json_free(&v);
}

static void test_others(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    struct msg_entry e = {.role = SV("toolResult"), .text = SV("12:00"), .tool_call_id = SV("c1"),
                          .tool_name = SV("current_time"), .is_error = true};
    row_entry(&b, &e, 0);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "toolName"), "current_time");
    assert_true(json_flag(v, "isError", false));
    json_free(&v);
    e = (struct msg_entry){.role = SV("system"), .kind = SV("reset"), .text = SV("Reset")};
    row_entry(&b, &e, 0);
    v = parsed(&b);
    assert_sv(json_sv(v, "__openclaw.kind"), "reset");
    assert_sv(json_sv(v, "content.0.text"), "Reset");
    json_free(&v);
}

static void test_sessions(void **state)
{
    UNUSED(state);
    const struct model_row model = {.provider = "p", .model = "m", .window = 1000};
    struct buf b = BUF_INIT(65536);
    const struct msg_session s = {.key = SV("agent:main:irc:group:#a"), .session_id = SV("id"),
                                  .agent_id = SV("main"), .active_run = SV("r1"), .status = SV("running"),
                                  .title = SV("T"), .preview = SV("P")};
    row_session(&b, &s, 99, ROW_TITLE);
    json_t *v = parsed(&b);
    assert_sv(json_sv(v, "kind"), "group");
    assert_true(json_flag(v, "hasActiveRun", false));
    assert_sv(json_sv(v, "activeRunIds.0"), "r1");
    assert_sv(json_sv(v, "derivedTitle"), "T");
    assert_null(json_at(v, "lastMessagePreview"));
    assert_int_equal(json_i64(v, "snapshotAt", 0), 99);
    json_free(&v);
    row_no_session(&b, SV("agent:main:zzz"), &model, 99);
    v = parsed(&b);
    assert_true(json_is_null(json_at(v, "updatedAt")));
    assert_sv(json_sv(v, "classification"), "custom");
    assert_sv(json_sv(v, "model"), "m");
    json_free(&v);
    row_defaults(&b, &model);
    v = parsed(&b);
    assert_int_equal(json_i64(v, "contextTokens", 0), 1000);
    json_free(&v);
}

static void test_cut(void **state)
{
    UNUSED(state);
    assert_sv(row_cut(SV("\xc3\xb1\xc3\xb1x"), 2), "\xc3\xb1\xc3\xb1");
    assert_sv(row_cut(SV("abc"), 0), "abc");
    assert_sv(row_cut(SV("abc"), 3), "abc");
    assert_sv(row_cut(SV("\xff\xff\xff"), 2), "\xff\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),     cmocka_unit_test(test_assistant), cmocka_unit_test(test_others),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
