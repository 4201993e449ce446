/*
 * test_http_rules.c: headers and query of a request.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/http_rules.h"

static void credentials(void **state)
{
    UNUSED(state);
    assert_sv(bearer_of(SV("Bearer abc")), "abc");
    assert_sv(bearer_of(SV("bEARER   abc ")), "abc");
    assert_true(bearer_of(SV("Basic abc")).p == NULL);
    assert_true(bearer_of(SV("Bearer")).p == NULL);
    assert_true(bearer_of(SV("Bearer ")).p == NULL);
    assert_true(bearer_of(SV("Bearerabc")).p == NULL);
    assert_true(bearer_of(SV_NULL).p == NULL);
    assert_true(query_has_secret(SV("limit=1&token=abc")));
    assert_true(query_has_secret(SV("access_token=")));
    assert_false(query_has_secret(SV("limit=1&tokens=2")));
    assert_false(query_has_secret(SV_NULL));
}

static void ids(void **state)
{
    char long_id[200];
    UNUSED(state);
    memset(long_id, 'a', sizeof long_id);
    assert_true(request_id_ok(SV("req-1_2.3/4")));
    assert_false(request_id_ok(SV("")));
    assert_false(request_id_ok(SV("a b")));
    assert_false(request_id_ok(SV("a\r\nSet-Cookie: x")));
    assert_false(request_id_ok(SV("\xc3\xa1")));
    assert_true(request_id_ok(sv_mem(long_id, 128)));
    assert_false(request_id_ok(sv_mem(long_id, 129)));
    assert_true(idempotency_key_ok(sv_mem(long_id, 200)));
    assert_false(idempotency_key_ok(SV("")));
}

static void bodies(void **state)
{
    static const struct {
        const char *length, *coding;
        enum body_kind kind;
        uint64_t n;
    } rows[] = {
        {"", "", BODY_NONE, 0},
        {"0", "", BODY_LENGTH, 0},
        {"17", "", BODY_LENGTH, 17},
        {"", "chunked", BODY_CHUNKED, 0},
        {"", " Chunked", BODY_CHUNKED, 0},
        {"17", "chunked", BODY_BAD, 0},
        {"", "gzip, chunked", BODY_BAD, 0},
        {"", "identity", BODY_BAD, 0},
        {"-1", "", BODY_BAD, 0},
        {"+1", "", BODY_BAD, 0},
        {"1, 1", "", BODY_BAD, 0},
        {"0x10", "", BODY_BAD, 0},
        {"99999999999999999999", "", BODY_BAD, 0},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t n = 7;
        enum body_kind got = body_kind(sv_of(rows[i].length), sv_of(rows[i].coding), &n);
        if (got != rows[i].kind || (got != BODY_BAD && n != rows[i].n)) {
            fail_msg("\"%s\" \"%s\": %d %llu", rows[i].length, rows[i].coding, (int)got, (unsigned long long)n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials),
        cmocka_unit_test(ids),
        cmocka_unit_test(bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
