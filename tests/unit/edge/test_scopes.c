/*
 * test_scopes.c: implications of scopes, lists, names nobody knows.
 * Runs in: unit tests.     Owns: nothing.
 * Never: assumes an order of bits.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/scopes.h"

static void test_bits(void **state)
{
    UNUSED(state);
    assert_int_equal(scopes_of(SV("")), SC_NONE);
    assert_int_equal(scopes_of(SV("operator.zzz")), SC_NONE);
    uint32_t write = scopes_of(SV("operator.write"));
    assert_true(write & SC_READ);
    assert_true(write & SC_TALK);
    assert_true(write & SC_SESSIONS_WRITE);
    assert_false(write & SC_ADMIN);
    assert_false(write & SC_PAIRING);
    assert_false(write & SC_APPROVALS);
    uint32_t admin = scopes_of(SV("x,operator.admin"));
    assert_true(admin & SC_APPROVALS);
    assert_true(admin & SC_TALK_SECRETS);
    assert_false(scopes_of(SV("operator.read")) & SC_WRITE);
    assert_string_equal(scope_name(SC_WRITE), "operator.write");
    assert_string_equal(scope_name(SC_NONE), "");
}

static void test_cover(void **state)
{
    UNUSED(state);
    assert_true(scopes_cover(SV("operator.write"), SV("operator.read")));
    assert_true(scopes_cover(SV("operator.write"), SV("operator.write,operator.sessions.read")));
    assert_false(scopes_cover(SV("operator.read"), SV("operator.write")));
    assert_false(scopes_cover(SV("operator.read,operator.talk"), SV("operator.write")));
    assert_false(scopes_cover(SV("operator.write"), SV("operator.admin")));
    assert_true(scopes_cover(SV("operator.admin"), SV("operator.pairing,operator.zzz")));
    assert_false(scopes_cover(SV("operator.admin"), SV("other.zzz")));
    assert_true(scopes_cover(SV("other.zzz"), SV("other.zzz")));
    assert_false(scopes_cover(SV(""), SV("operator.zzz")));
    assert_true(scopes_cover(SV(""), SV("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
