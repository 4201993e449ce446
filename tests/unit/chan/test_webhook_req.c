/*
 * test_webhook_req.c: signature, time window and body of webhook requests.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "common/crypto.h"
#include "workers/chan/drivers/webhook_req.h"

#define NOW_MS 1700000000000
#define NOW "1700000000"

static int check(const struct webhook_auth *a, const char *bearer, const char *sig, const char *ts, const char *body)
{
    const char *why = NULL;
    int rc = webhook_check(a, sv_of(bearer), sv_of(sig), sv_of(ts), sv_of(body), NOW_MS, &why);
    assert_true(rc == OK || (rc == ERR_DENIED && why));
    return rc;
}

static void test_signature(void **state)
{
    UNUSED(state);
    struct buf mac ATTR_CLEANUP(buf_free) = BUF_INIT(128);
    webhook_sign(&mac, SV("key"), SV("1"), SV("{}"));
    /* printf '1.{}' | openssl dgst -sha256 -hmac key */
    assert_sv(buf_view(&mac), "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224");
    struct webhook_auth a = {.secret = SV("hook-secret")};
    buf_reset(&mac);
    webhook_sign(&mac, a.secret, SV(NOW), SV("body"));
    const char *good = buf_cstr(&mac);
    assert_int_equal(check(&a, NULL, good, NOW, "body"), OK);
    assert_int_equal(check(&a, NULL, good, NOW, "bodi"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, good, "1700000001", "body"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, good, NULL, "body"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, good, "soon", "body"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, "sha256=", NOW, "body"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, NULL, NOW, "body"), ERR_DENIED);
    assert_int_equal(check(&a, "Bearer hook-secret", NULL, NULL, "body"), ERR_DENIED);
}

static void test_window(void **state)
{
    UNUSED(state);
    static const struct {
        const char *ts;
        int want;
    } cases[] = {{"1699999700", OK}, {"1699999699", ERR_DENIED}, {"1700000300", OK}, {"1700000301", ERR_DENIED},
                 {"-1", ERR_DENIED}, {"9223372036854775807", ERR_DENIED}, {"99999999999999999999", ERR_DENIED}};
    struct webhook_auth a = {.secret = SV("hook-secret")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf mac ATTR_CLEANUP(buf_free) = BUF_INIT(128);
        webhook_sign(&mac, a.secret, sv_of(cases[i].ts), SV("b"));
        assert_int_equal(check(&a, NULL, buf_cstr(&mac), cases[i].ts, "b"), cases[i].want);
    }
}

static void test_bearer(void **state)
{
    UNUSED(state);
    struct webhook_auth a = {.bearer = SV("token-123")};
    assert_int_equal(check(&a, "Bearer token-123", NULL, NULL, "b"), OK);
    assert_int_equal(check(&a, "bearer token-123 ", NULL, NULL, "b"), OK);
    assert_int_equal(check(&a, "Bearer token-124", NULL, NULL, "b"), ERR_DENIED);
    assert_int_equal(check(&a, "Bearer", NULL, NULL, "b"), ERR_DENIED);
    assert_int_equal(check(&a, "Basic token-123", NULL, NULL, "b"), ERR_DENIED);
    assert_int_equal(check(&a, NULL, NULL, NULL, "b"), ERR_DENIED);
    struct webhook_auth none = {0};
    assert_int_equal(check(&none, "Bearer ", NULL, NULL, "b"), ERR_DENIED);
}

static int parse(const char *body, struct arena *a, struct webhook_msg *m, const char **field)
{
    char why[200] = "";
    int rc = webhook_parse(sv_of(body), a, m, field, why, sizeof why);
    assert_true(rc == OK || why[0]);
    return rc;
}

static void test_body(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct webhook_msg m;
    const char *field = NULL;
    assert_int_equal(parse("{\"id\":\"1\",\"from\":\"u\",\"chat\":\"c\",\"thread\":\"t\",\"text\":\"hi\",\"ts\":1700000000}",
                           &a, &m, &field), OK);
    assert_sv(m.id, "1");
    assert_sv(m.from, "u");
    assert_sv(m.chat, "c");
    assert_sv(m.thread, "t");
    assert_sv(m.text, "hi");
    assert_int_equal(m.ts_ms, NOW_MS);
    assert_int_equal(parse("{\"from\":\"u\",\"text\":\"hi\",\"ts\":1700000000123,\"extra\":{}}", &a, &m, &field), OK);
    assert_int_equal(m.ts_ms, 1700000000123);
    assert_true(sv_empty(m.id));
    assert_int_equal(parse("{\"from\":\"u\",\"media\":[{\"kind\":\"image\",\"url\":\"http://x/y\",\"size\":5}]}", &a, &m,
                           &field), OK);
    assert_sv(m.text, "<media:image>");
    assert_int_equal(m.media_n, 1);
    assert_int_equal(m.media[0].size, 5);
    arena_free(&a);
}

static void test_bad_bodies(void **state)
{
    UNUSED(state);
    static const struct {
        const char *body;
        int want;
        const char *field;
    } cases[] = {
        {"", ERR_PARSE, ""},
        {"nope", ERR_PARSE, ""},
        {"[]", ERR_PARSE, ""},
        {"{\"from\":\"u\",\"from\":\"v\",\"text\":\"t\"}", ERR_PARSE, ""},
        {"{\"text\":\"t\"}", ERR_BAD, "from"},
        {"{\"from\":\"u\"}", ERR_BAD, "text"},
        {"{\"from\":\"u\",\"text\":7}", ERR_BAD, "text"},
        {"{\"from\":\"u\",\"text\":\"  \"}", ERR_BAD, "text"},
        {"{\"from\":null,\"text\":\"t\"}", ERR_BAD, "from"},
        {"{\"from\":\"u\",\"text\":\"t\",\"id\":[]}", ERR_BAD, "id"},
        {"{\"from\":\"u\",\"text\":\"t\",\"ts\":\"now\"}", ERR_BAD, "ts"},
        {"{\"from\":\"u\",\"text\":\"t\",\"ts\":-5}", ERR_BAD, "ts"},
        {"{\"from\":\"u\",\"text\":\"t\",\"media\":{}}", ERR_BAD, "media"},
        {"{\"from\":\"u\",\"text\":\"t\",\"media\":[1]}", ERR_BAD, "media"},
        {"{\"from\":\"u\",\"text\":\"t\",\"media\":[{}]}", ERR_BAD, "kind"},
        {"{\"from\":\"u\",\"text\":\"a\\u0000b\"}", ERR_PARSE, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a = ARENA_INIT;
        struct webhook_msg m;
        const char *field = NULL;
        int rc = parse(cases[i].body, &a, &m, &field);
        if (rc != cases[i].want || strcmp(field, cases[i].field) != 0) {
            fail_msg("%s: %d %s", cases[i].body, rc, field);
        }
        arena_free(&a);
    }
}

static void test_too_long(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    struct webhook_msg m;
    const char *field = NULL;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1024 * 1024);
    buf_str(&b, "{\"from\":\"u\",\"text\":\"");
    while (b.n < WEBHOOK_TEXT_MAX + 100) {
        buf_str(&b, "xxxxxxxxxx");
    }
    buf_str(&b, "\"}");
    assert_int_equal(parse(buf_cstr(&b), &a, &m, &field), ERR_TOOBIG);
    assert_string_equal(field, "text");
    arena_free(&a);
}

static void test_made_ids(void **state)
{
    UNUSED(state);
    char one[48], two[48];
    webhook_make_id(SV("body"), NOW_MS, one, sizeof one);
    webhook_make_id(SV("body"), NOW_MS + 1000, two, sizeof two);
    assert_string_equal(one, two);
    assert_int_equal(strlen(one), 37);
    webhook_make_id(SV("body"), NOW_MS + 60000, two, sizeof two);
    assert_string_not_equal(one, two);
    webhook_make_id(SV("bodies"), NOW_MS, two, sizeof two);
    assert_string_not_equal(one, two);
}

int main(void)
{
    crypto_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),  cmocka_unit_test(test_window),   cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_body),       cmocka_unit_test(test_bad_bodies), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_made_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
