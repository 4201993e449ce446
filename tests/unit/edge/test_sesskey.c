/*
 * test_sesskey.c: long form of session keys.
 * Runs in: unit tests.     Owns: nothing.
 * Never: asks whether a session exists.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/sesskey.h"

static void check(const char *key, const char *agent, const char *want)
{
    char got[SESSKEY_MAX + 1];
    assert_int_equal(sesskey_canonical(sv_of(key), sv_of(agent), got), want != NULL);
    if (want != NULL) {
        assert_string_equal(got, want);
    }
}

static void test_canonical(void **state)
{
    UNUSED(state);
    check("main", "", "agent:main:main");
    check(" Main ", "", "agent:main:main");
    check("main", "Ops", "agent:ops:main");
    check("agent:main:T1", "", "agent:main:t1");
    check("AGENT:Main:x:Y", "other", "agent:main:x:y");
    check("notes", "", "agent:main:notes");
    check("", "", NULL);
    check("   ", "", NULL);
    check("agent:", "", "agent:main:agent:");
    check("agent:x", "", NULL);
    check("agent::x", "", NULL);
    check("agent:x:", "", NULL);
    check("a\nb", "", NULL);
}

static void test_length(void **state)
{
    UNUSED(state);
    char key[600], got[SESSKEY_MAX + 1];
    memset(key, 'k', sizeof key);
    assert_true(sesskey_canonical(sv_mem(key, SESSKEY_MAX - 11), SV(""), got));
    assert_int_equal(strlen(got), SESSKEY_MAX);
    assert_false(sesskey_canonical(sv_mem(key, SESSKEY_MAX - 10), SV(""), got));
    assert_false(sesskey_canonical(sv_mem(key, 600), SV(""), got));
}

static void test_parts(void **state)
{
    UNUSED(state);
    assert_sv(sesskey_agent(SV("agent:ops:irc:group:#a")), "ops");
    assert_sv(sesskey_rest(SV("agent:ops:irc:group:#a")), "irc:group:#a");
    assert_null(sesskey_agent(SV("main")).p);
    assert_null(sesskey_rest(SV("agent:ops")).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
