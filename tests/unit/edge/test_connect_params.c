/*
 * test_connect_params.c: parameters of connect, as real clients and as wrong ones send them.
 * Runs in: unit tests.     Owns: nothing.
 * Never: decides who may come in.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/connect_params.h"

#define CLIENT(id, mode)                                                                           \
    "\"client\":{\"id\":\"" id "\",\"version\":\"1\",\"platform\":\"linux\",\"mode\":\"" mode "\"}"
#define RANGE(a, b) "\"minProtocol\":" a ",\"maxProtocol\":" b

static void refused(const char *text, const char *want)
{
    struct connect_params p;
    struct buf why = BUF_INIT(400);
    json_t *v = json_parse(sv_of(text), NULL, 0);
    assert_false(connect_params_parse(v, &p, &why));
    assert_sv(buf_view(&why), want);
    connect_params_free(&p);
    json_free(&v);
    buf_free(&why);
}

static void test_refused(void **state)
{
    UNUSED(state);
    refused("{\"foo\":1}", "must have required property 'minProtocol'");
    refused("{" RANGE("4", "4") "}", "must have required property 'client'");
    refused("{" RANGE("4", "4") "," CLIENT("who", "cli") "}",
            "at /client/id: must be equal to one of the allowed values");
    refused("{" RANGE("4", "4") "," CLIENT("cli", "operator") "}",
            "at /client/mode: must be equal to one of the allowed values");
    refused("{" RANGE("0", "4") "," CLIENT("cli", "cli") "}", "at /minProtocol: must be >= 1");
    refused("{" RANGE("4", "4") "," CLIENT("cli", "cli") ",\"scopes\":[1]}",
            "at /scopes: must be array of strings");
    refused("{" RANGE("4", "4") "," CLIENT("cli", "cli")
            ",\"device\":{\"id\":\"a\",\"publicKey\":\"b\",\"signature\":\"c\",\"signedAt\":1,\"nonce\":\"\"}}",
            "at /device/nonce: must not have fewer than 1 characters");
    refused("7", "at root: must be object");
}

static void parse(const char *text, struct connect_params *p, json_t **v)
{
    struct buf why = BUF_INIT(400);
    *v = json_parse(sv_of(text), NULL, 0);
    assert_true(connect_params_parse(*v, p, &why));
    assert_int_equal(why.n, 0);
    buf_free(&why);
}

static void test_parsed(void **state)
{
    UNUSED(state);
    struct connect_params p;
    json_t *v;
    parse("{" RANGE("3", "9") "," CLIENT("cli", "cli")
          ",\"scopes\":[\"operator.read\",\"operator.zzz\"],\"caps\":[\"tool-events\",\"unheard-of\"],"
          "\"auth\":{\"password\":\"pw\",\"deviceToken\":\"dt\"},\"brandNew\":{\"a\":1},"
          "\"device\":{\"id\":\"a\",\"publicKey\":\"b\",\"signature\":\"c\",\"signedAt\":12,\"nonce\":\"n\"}}",
          &p, &v);
    assert_sv(p.role, "operator");
    assert_sv(buf_view(&p.scopes), "operator.read,operator.zzz");
    assert_int_equal(p.caps, CAP_TOOL_EVENTS);
    assert_sv(p.password, "pw");
    assert_true(p.has_device);
    assert_int_equal(p.device.signed_at_ms, 12);
    assert_sv(p.device.token, "dt"); /* the password never enters the signed text (6.2) */
    assert_sv(p.device.scopes, "operator.read,operator.zzz");
    assert_true(connect_protocol_ok(&p));
    assert_true(connect_has_secret(&p));
    assert_false(connect_is_ui(&p));
    connect_params_free(&p);
    json_free(&v);
}

static bool range_ok(const char *text)
{
    struct connect_params p;
    json_t *v;
    parse(text, &p, &v);
    bool ok = connect_protocol_ok(&p);
    connect_params_free(&p);
    json_free(&v);
    return ok;
}

static void test_protocol_range(void **state)
{
    UNUSED(state);
    assert_true(range_ok("{" RANGE("4", "4") "," CLIENT("cli", "cli") "}"));
    assert_true(range_ok("{" RANGE("1", "9") "," CLIENT("cli", "cli") "}"));
    assert_false(range_ok("{" RANGE("3", "3") "," CLIENT("cli", "cli") "}"));
    assert_false(range_ok("{" RANGE("5", "9") "," CLIENT("cli", "cli") "}"));
    assert_true(range_ok("{" RANGE("3", "3") "," CLIENT("cli", "probe") "}"));
    assert_false(range_ok("{" RANGE("1", "2") "," CLIENT("cli", "probe") "}"));
    assert_true(range_ok("{" RANGE("3", "3") "," CLIENT("node-host", "node") ",\"role\":\"node\"}"));
}

static void test_kinds(void **state)
{
    UNUSED(state);
    struct connect_params p = {.client_id = SV("openclaw-tui"), .mode = SV("ui")};
    assert_true(connect_is_ui(&p));
    assert_false(connect_is_browser(&p));
    p.client_id = SV("webchat-ui");
    p.mode = SV("webchat");
    assert_true(connect_is_browser(&p) && connect_is_ui(&p));
    p.client_id = SV("gateway-client");
    p.mode = SV("backend");
    assert_true(connect_is(&p, "gateway-client", "backend"));
    assert_false(connect_is_ui(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_parsed),
        cmocka_unit_test(test_protocol_range),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
