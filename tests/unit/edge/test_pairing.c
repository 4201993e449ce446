/*
 * test_pairing.c: who is let in silently, who must be approved, what the record becomes.
 * Runs in: unit tests.     Owns: nothing.
 * Never: talks to a store.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "common/crypto.h"
#include "workers/edge/pairing.h"

static struct connect_params client(const char *scopes)
{
    struct connect_params p = {
        .client_id = SV("cli"),
        .mode = SV("cli"),
        .platform = SV("linux"),
        .role = SV("operator"),
        .scopes = BUF_INIT(1024),
    };
    buf_str(&p.scopes, scopes);
    return p;
}

static struct msg_device known(void)
{
    return (struct msg_device){
        .role = SV("operator"),
        .scopes = SV("operator.read,operator.write"),
        .platform = SV("linux"),
        .token = SV("0123456789abcdef0123456789abcdef"),
        .created_ms = 5,
    };
}

static const char *decide(const struct msg_device *d, const struct pair_request *q, enum pair_verdict *v)
{
    struct pair_result r = pair_decide(d, q);
    *v = r.verdict;
    return r.reason ? r.reason : "";
}

static void test_unknown(void **state)
{
    UNUSED(state);
    enum pair_verdict v;
    struct connect_params p = client("operator.read");
    struct pair_request q = {.p = &p, .local = true};
    assert_string_equal(decide(NULL, &q, &v), "not-paired");
    assert_int_equal(v, PAIR_APPROVE);
    q.has_origin = true;
    decide(NULL, &q, &v);
    assert_int_equal(v, PAIR_REFUSE); /* a page of somebody else that speaks for a command line */
    p.client_id = SV("webchat-ui");
    p.mode = SV("webchat");
    decide(NULL, &q, &v);
    assert_int_equal(v, PAIR_APPROVE);
    q.local = false;
    decide(NULL, &q, &v);
    assert_int_equal(v, PAIR_REFUSE);
    connect_params_free(&p);
}

static void test_known(void **state)
{
    UNUSED(state);
    enum pair_verdict v;
    struct msg_device d = known();
    struct connect_params p = client("operator.read");
    struct pair_request q = {.p = &p, .local = true};
    assert_string_equal(decide(&d, &q, &v), "");
    assert_int_equal(v, PAIR_OK);
    p.platform = SV("macos");
    assert_string_equal(decide(&d, &q, &v), "metadata-upgrade");
    assert_int_equal(v, PAIR_REFUSE);
    p.platform = SV(" Linux ");
    p.family = SV("Laptop"); /* absent at pairing, added later: fine */
    assert_string_equal(decide(&d, &q, &v), "");
    d.device_family = SV("Desktop");
    assert_string_equal(decide(&d, &q, &v), "metadata-upgrade");
    d.device_family = SV_NULL;
    p.role = SV("node");
    assert_string_equal(decide(&d, &q, &v), "role-upgrade");
    assert_int_equal(v, PAIR_REFUSE);
    p.role = SV("operator");
    buf_str(&p.scopes, ",operator.admin");
    assert_string_equal(decide(&d, &q, &v), "scope-upgrade");
    assert_int_equal(v, PAIR_APPROVE);
    q.by_device_token = true;
    decide(&d, &q, &v);
    assert_int_equal(v, PAIR_REFUSE);
    connect_params_free(&p);
}

static void test_record(void **state)
{
    UNUSED(state);
    static const uint8_t key[32] = {1};
    struct connect_params p = client("operator.read,operator.admin");
    struct pair_request q = {.p = &p, .local = true};
    struct pair_lists lists;
    struct msg_device out, old = known();
    p.device.id = SV("dev");
    pair_record(NULL, &q, key, 100, &lists, &out);
    assert_sv(out.role, "operator");
    assert_sv(out.scopes, "operator.read,operator.admin");
    assert_int_equal(out.token.n, 32);
    assert_int_equal(out.created_ms, 100);
    pair_lists_free(&lists);

    pair_record(&old, &q, key, 200, &lists, &out);
    assert_sv(out.scopes, "operator.read,operator.write,operator.admin");
    assert_int_equal(out.created_ms, 5);
    assert_int_equal(out.rotated_ms, 200);
    assert_false(sv_eq(out.token, old.token)); /* the scopes grew: a new token */
    pair_lists_free(&lists);

    buf_reset(&p.scopes);
    pair_record(&old, &q, key, 300, &lists, &out);
    assert_true(sv_eq(out.token, old.token));
    pair_lists_free(&lists);
    connect_params_free(&p);
}

static void test_token(void **state)
{
    UNUSED(state);
    struct msg_device d = known();
    assert_true(pair_token_matches(&d, SV("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")));
    assert_false(pair_token_matches(&d, SV("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWZ")));
    assert_false(pair_token_matches(&d, SV("")));
    assert_false(pair_token_matches(NULL, SV("x")));
    d.token = SV_NULL;
    assert_false(pair_token_matches(&d, SV("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_token),
    };
    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
