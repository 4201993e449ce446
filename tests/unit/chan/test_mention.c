/*
 * test_mention.c: mention patterns and names.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include "workers/chan/mention.h"

static void test_shapes(void **state)
{
    UNUSED(state);
    static const struct {
        const char *pattern;
        int want;
    } cases[] = {
        {"hey bot", OK},
        {"(^|[^a-z])bot([^a-z]|$)", OK},
        {"b[o0]+t{1,3}", OK},
        {"[]a]+x", OK},
        {"(ab)+c*", OK},
        {"(a|b)?", OK},
        {"[[:alpha:]]+:", OK},
        {"a\\+b", OK},
        {"(a+)+", ERR_BAD},
        {"((a*)b)*", ERR_BAD},
        {"(x(a{2,5}))+", ERR_BAD},
        {"(a)\\1", ERR_BAD},
        {"a{65}", ERR_BAD},
        {"a{1,1000}", ERR_BAD},
        {"a**", ERR_BAD},
        {"", ERR_BAD},
        {"(unclosed", ERR_BAD},
        {"[unclosed", ERR_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mention_set *m = mention_new();
        const char *why = NULL;
        int rc = mention_add(m, cases[i].pattern, &why);
        if (rc != cases[i].want || (rc == OK) != (why == NULL)) {
            fail_msg("%s: %d %s", cases[i].pattern, rc, why ? why : "");
        }
        mention_free(m);
    }
}

static void test_limits(void **state)
{
    UNUSED(state);
    struct mention_set *m = mention_new();
    const char *why = NULL;
    char longer[MENTION_PATTERN_MAX + 2];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(mention_add(m, longer, &why), ERR_BAD);
    for (size_t i = 0; i < MENTION_PATTERNS_MAX; i++) {
        assert_int_equal(mention_add(m, "x", &why), OK);
    }
    assert_int_equal(mention_add(m, "y", &why), ERR_FULL);
    assert_int_equal(mention_count(m), MENTION_PATTERNS_MAX);
    mention_free(m);
}

static void test_matching(void **state)
{
    UNUSED(state);
    struct mention_set *m = mention_new();
    const char *why = NULL;
    assert_false(mention_match(m, SV("anything")));
    assert_int_equal(mention_add(m, "^ok (bot|claw)", &why), OK);
    assert_true(mention_match(m, SV("OK Claw, what is up")));
    assert_false(mention_match(m, SV("I say ok bot")));
    assert_false(mention_match(m, SV("")));
    mention_free(m);
}

static void test_names(void **state)
{
    UNUSED(state);
    assert_true(mention_word(SV("hello Tenaza!"), SV("tenaza")));
    assert_true(mention_word(SV("tenaza: hi"), SV("tenaza")));
    assert_false(mention_word(SV("tenazas are tools"), SV("tenaza")));
    assert_false(mention_word(SV("tenaza_ is someone else"), SV("tenaza")));
    assert_false(mention_word(SV("x"), SV("")));
    assert_sv(mention_strip(SV("tenaza: /stop"), SV("tenaza")), "/stop");
    assert_sv(mention_strip(SV("Tenaza,  hi "), SV("tenaza")), "hi");
    assert_sv(mention_strip(SV("@tenaza hi"), SV("tenaza")), "hi");
    assert_sv(mention_strip(SV("@tenaza"), SV("tenaza")), "");
    assert_sv(mention_strip(SV("tenaza is nice"), SV("tenaza")), "tenaza is nice");
    assert_sv(mention_strip(SV("tenazas: hi"), SV("tenaza")), "tenazas: hi");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
