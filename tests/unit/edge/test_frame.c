/*
 * test_frame.c: the table of gateway-ws.md 2.1: what is not JSON, what is no request, what is one.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a connection.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/frame.h"

static void check(const char *text, enum frame_kind kind, const char *id, const char *why)
{
    struct frame f;
    frame_parse(sv_of(text), &f);
    assert_int_equal(f.kind, kind);
    assert_sv(f.id, id);
    assert_string_equal(f.why, why);
    frame_free(&f);
}

static void test_not_json(void **state)
{
    UNUSED(state);
    check("hello", FRAME_NOT_JSON, "invalid", "");
    check("", FRAME_NOT_JSON, "invalid", "");
    check("{\"type\":\"req\",\"id\":\"1\"", FRAME_NOT_JSON, "invalid", "");
    check("{\"a\":1,\"a\":2}", FRAME_NOT_JSON, "invalid", "");
    check("{} {}", FRAME_NOT_JSON, "invalid", "");
}

static void test_bad(void **state)
{
    UNUSED(state);
    check("[1,2]", FRAME_BAD, "invalid", "at root: must be object");
    check("7", FRAME_BAD, "invalid", "at root: must be object");
    check("{\"type\":\"req\",\"method\":\"health\"}", FRAME_BAD, "invalid",
          "must have required property 'id'");
    check("{\"type\":\"event\",\"event\":\"x\"}", FRAME_BAD, "invalid",
          "must have required property 'id'; at root: unexpected property 'event'; at /type: must be "
          "equal to constant");
    check("{\"type\":\"req\",\"id\":\"\",\"method\":\"m\"}", FRAME_BAD, "invalid",
          "at /id: must not have fewer than 1 characters");
    check("{\"type\":\"req\",\"id\":7,\"method\":\"m\"}", FRAME_BAD, "invalid", "at /id: must be string");
    check("{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"zzz\":1}", FRAME_BAD, "a",
          "at root: unexpected property 'zzz'");
}

static void test_request(void **state)
{
    UNUSED(state);
    struct frame f;
    frame_parse(SV("{\"type\":\"req\",\"id\":\"r1\",\"method\":\"chat.send\",\"params\":{\"a\":1}}"), &f);
    assert_int_equal(f.kind, FRAME_REQUEST);
    assert_sv(f.id, "r1");
    assert_sv(f.method, "chat.send");
    assert_int_equal(json_i64(f.params, "a", 0), 1);
    frame_free(&f);
    frame_parse(SV("{\"type\":\"req\",\"id\":\"r2\",\"method\":\"health\",\"traceparent\":\"00-1\"}"), &f);
    assert_int_equal(f.kind, FRAME_REQUEST);
    assert_null(f.params);
    frame_free(&f);
}

/* A stranger's property name goes into the answer: only its beginning, and whole characters. */
static void test_long_names(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(65536);
    buf_str(&b, "{\"type\":\"req\",\"id\":\"a\",\"method\":\"m\",\"");
    for (int i = 0; i < 5000; i++) {
        buf_str(&b, "\xc3\xb1");
    }
    buf_str(&b, "\":1}");
    struct frame f;
    frame_parse(buf_view(&b), &f);
    assert_int_equal(f.kind, FRAME_BAD);
    assert_true(strlen(f.why) < 120);
    frame_free(&f);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
