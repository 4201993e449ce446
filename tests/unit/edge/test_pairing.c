/*
 * test_pairing.c: who is let in silently, who must be approved, which token is good.
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
    struct pair_request q = {.p = &p, .local = true, .auto_local = true};
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
    struct pair_request q = {.p = &p, .local = true, .auto_local = true};
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

static void test_no_silent_approval(void **state)
{
    UNUSED(state);
    enum pair_verdict v;
    struct msg_device d = known();
    struct connect_params p = client("operator.read,operator.admin");
    struct pair_request q = {.p = &p, .local = true}; /* autoApproveLocal = false */
    decide(NULL, &q, &v);
    assert_int_equal(v, PAIR_REFUSE);
    assert_string_equal(decide(&d, &q, &v), "scope-upgrade");
    assert_int_equal(v, PAIR_REFUSE);
    connect_params_free(&p);
}

static void test_token(void **state)
{
    UNUSED(state);
    struct msg_device_token t = {.role = SV("operator"), .token = SV("0123456789abcdef0123456789abcdef")};
    struct msg_device d = {.tokens = &t, .tokens_n = 1};
    assert_ptr_equal(pair_token(&d, SV("operator")), &t);
    assert_null(pair_token(&d, SV("node")));
    assert_null(pair_token(NULL, SV("operator")));
    assert_true(pair_token_matches(&t, SV("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")));
    assert_false(pair_token_matches(&t, SV("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWZ")));
    assert_false(pair_token_matches(&t, SV("")));
    assert_false(pair_token_matches(NULL, SV("x")));
    t.revoked_ms = 1;
    assert_false(pair_token_matches(&t, SV("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_no_silent_approval),
        cmocka_unit_test(test_token),
    };
    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
