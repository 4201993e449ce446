/*
 * test_conf.c: building, encoding, strict decoding and looking things up in a section.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs files or processes.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include "common/conf.h"
#include "common/err.h"

static void fill(struct conf *c)
{
    conf_set_str(c, "run.dir", SV("/run/x"));
    conf_set_int(c, "edge.port", -5);
    conf_set_bool(c, "edge.on", true);
    conf_add_list(c, "models.order", SV("one"));
    conf_add_list(c, "models.order", SV(""));
    conf_add_list(c, "models.order", SV("three"));
    conf_set_str(c, "models.providers.openai.key", SV("k"));
    conf_set_str(c, "models.providers.ollama.url", SV("u"));
    conf_set_int(c, "models.providers.openai.timeout", INT64_MIN);
    conf_set_int(c, "models.providersX.no", INT64_MAX);
}

static void check(const struct conf *c)
{
    assert_string_equal(conf_str(c, "run.dir", "no"), "/run/x");
    assert_string_equal(conf_str(c, "absent", "no"), "no");
    assert_string_equal(conf_str(c, "edge.port", "no"), "no"); /* another kind counts as absent */
    assert_null(conf_str(c, "absent", NULL));
    assert_int_equal(conf_int(c, "edge.port", 1), -5);
    assert_true(conf_int(c, "models.providers.openai.timeout", 0) == INT64_MIN);
    assert_true(conf_int(c, "models.providersX.no", 0) == INT64_MAX);
    assert_int_equal(conf_int(c, "edge.on", 9), 9);
    assert_true(conf_bool(c, "edge.on", false));
    assert_true(conf_bool(c, "absent", true));
    assert_int_equal(conf_count(c, "models.order"), 3);
    assert_int_equal(conf_count(c, "run.dir"), 0);
    assert_string_equal(conf_at(c, "models.order", 2), "three");
    assert_string_equal(conf_at(c, "models.order", 1), "");
    assert_null(conf_at(c, "models.order", 3));
    assert_null(conf_at(c, "absent", 0));
    assert_true(conf_list_has(c, "models.order", SV("one")));
    assert_false(conf_list_has(c, "models.order", SV("two")));
    assert_non_null(conf_find(c, "run.dir"));
    assert_null(conf_find(c, "run"));
}

static void test_lookups(void **state)
{
    UNUSED(state);
    struct conf c = {0};
    fill(&c);
    check(&c);
    conf_free(&c);
    conf_free(&c);
    assert_null(conf_find(&c, "run.dir"));
}

static void test_replace(void **state)
{
    UNUSED(state);
    struct conf c = {0};
    conf_set_str(&c, "a", SV("first"));
    conf_set_str(&c, "a", sv_of(conf_str(&c, "a", ""))); /* from the very string it replaces */
    assert_string_equal(conf_str(&c, "a", ""), "first");
    conf_set_int(&c, "a", 4);
    assert_int_equal(conf_int(&c, "a", 0), 4);
    conf_add_list(&c, "a", SV("x"));
    assert_int_equal(conf_count(&c, "a"), 1);
    conf_set_bool(&c, "a", false);
    assert_false(conf_bool(&c, "a", true));
    assert_int_equal(c.n, 1);
    conf_free(&c);
}

static void test_children(void **state)
{
    UNUSED(state);
    struct conf c = {0};
    fill(&c);
    char name[16];
    assert_true(conf_child(&c, "models.providers", 0, name, sizeof(name)));
    assert_string_equal(name, "openai");
    assert_true(conf_child(&c, "models.providers", 1, name, sizeof(name)));
    assert_string_equal(name, "ollama");
    assert_false(conf_child(&c, "models.providers", 2, name, sizeof(name)));
    assert_string_equal(name, "");
    assert_true(conf_child(&c, "models", 2, name, sizeof(name)));
    assert_string_equal(name, "providersX");
    assert_true(conf_child(&c, "", 1, name, sizeof(name)));
    assert_string_equal(name, "edge");
    assert_false(conf_child(&c, "run.dir", 0, name, sizeof(name)));
    assert_false(conf_child(&c, "models.providers", 0, name, 6)); /* does not fit */
    assert_false(conf_child(&c, "nothing", 0, name, 0));
    conf_free(&c);
}

static void test_round_trip(void **state)
{
    UNUSED(state);
    struct conf a = {0};
    struct conf b = {0};
    ATTR_CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
    ATTR_CLEANUP(buf_free) struct buf again = BUF_INIT(10000);
    fill(&a);
    assert_true(conf_encode(&a, &bytes));
    assert_int_equal(conf_decode(buf_view(&bytes), &b), OK);
    check(&b);
    assert_true(conf_encode(&b, &again));
    assert_true(sv_eq(buf_view(&bytes), buf_view(&again)));
    conf_free(&b);
    /* Every shortened form and every longer one is refused, and leaks nothing. */
    for (size_t n = 0; n < bytes.n; n++) {
        assert_int_equal(conf_decode((sv){bytes.p, n}, &b), ERR_PARSE);
        assert_int_equal(b.n, 0);
    }
    buf_ch(&bytes, 0);
    assert_int_equal(conf_decode(buf_view(&bytes), &b), ERR_PARSE);
    conf_free(&a);
}

/* Whatever is accepted after one changed byte must be written again as the same bytes. */
static void test_bit_flips(void **state)
{
    UNUSED(state);
    struct conf a = {0};
    ATTR_CLEANUP(buf_free) struct buf bytes = BUF_INIT(10000);
    ATTR_CLEANUP(buf_free) struct buf again = BUF_INIT(10000);
    fill(&a);
    assert_true(conf_encode(&a, &bytes));
    conf_free(&a);
    for (size_t i = 0; i < bytes.n * 8; i++) {
        bytes.p[i / 8] = (char)(bytes.p[i / 8] ^ (1 << (i % 8)));
        if (conf_decode(buf_view(&bytes), &a) == OK) {
            buf_reset(&again);
            assert_true(conf_encode(&a, &again));
            assert_true(sv_eq(buf_view(&bytes), buf_view(&again)));
            conf_free(&a);
        }
        bytes.p[i / 8] = (char)(bytes.p[i / 8] ^ (1 << (i % 8)));
    }
}

static void test_strict(void **state)
{
    UNUSED(state);
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"TZC2\0\0\0\0", 8},
        {"TZC1\1\0\0\0\2\1\0\0\0a\2", 15},                     /* flag 2 */
        {"TZC1\1\0\0\0\4\1\0\0\0a\0", 15},                     /* kind 4 */
        {"TZC1\1\0\0\0\2\0\0\0\0\1", 14},                      /* empty path */
        {"TZC1\2\0\0\0\2\1\0\0\0a\1\2\1\0\0\0a\1", 22},        /* path twice */
        {"TZC1\1\0\0\0\2\2\0\0\0a\0\1", 16},                   /* NUL in text */
        {"TZC1\xff\xff\xff\xff", 8},                           /* more items than the limit */
        {"TZC1\1\0\0\0\3\1\0\0\0a\xff\xff\xff\xff", 18},       /* more elements than the limit */
        {"TZC1\1\0\0\0\0\1\0\0\0a\xff\xff\xff\x7f", 18},       /* text longer than the limit */
    };
    struct conf c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(conf_decode((sv){bad[i].p, bad[i].n}, &c), ERR_PARSE);
    }
    assert_int_equal(conf_decode(SV_NULL, &c), ERR_PARSE);
    assert_int_equal(conf_decode((sv){"TZC1\0\0\0\0", 8}, &c), OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(conf_decode((sv){"TZC1\1\0\0\0\3\1\0\0\0a\0\0\0\0", 18}, &c), OK);
    assert_int_equal(conf_count(&c, "a"), 0);
    conf_free(&c);
}

static void test_update(void **state)
{
    UNUSED(state);
    struct conf a = {0};
    struct conf b = {0};
    fill(&a);
    fill(&b);
    conf_set_str(&a, "kept", SV("as it is"));
    conf_set_str(&b, "kept", SV("as it is"));
    conf_set_str(&a, "changed", SV("old"));
    conf_set_int(&b, "changed", 7); /* another kind, too */
    conf_set_str(&a, "gone", SV("x"));
    conf_add_list(&b, "new", SV("1"));
    conf_add_list(&b, "new", SV("2"));
    const char *kept = conf_str(&a, "kept", NULL);
    assert_true(conf_same_at(&a, &b, "kept"));
    assert_false(conf_same_at(&a, &b, "changed"));
    assert_false(conf_same_at(&a, &b, "gone"));
    assert_false(conf_same_at(&a, &b, "new"));
    assert_true(conf_same_at(&a, &b, "in neither"));
    conf_update(&a, &b);
    assert_ptr_equal(conf_str(&a, "kept", NULL), kept);
    assert_int_equal(conf_int(&a, "changed", 0), 7);
    assert_null(conf_find(&a, "gone"));
    assert_string_equal(conf_at(&a, "new", 1), "2");
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < b.n; i++) {
        assert_true(conf_same_at(&a, &b, b.items[i].path));
    }
    conf_free(&b);
    conf_update(&a, &b); /* to nothing */
    assert_int_equal(a.n, 0);
    conf_free(&a);
}

static void test_limits(void **state)
{
    UNUSED(state);
    struct conf c = {0};
    struct conf d = {0};
    ATTR_CLEANUP(buf_free) struct buf out = BUF_INIT(8 * 1024 * 1024);
    char *text = xmalloc(65537);
    memset(text, 't', 65537);
    conf_set_str(&c, "a", (sv){text, 65536});
    assert_true(conf_encode(&c, &out));
    assert_int_equal(conf_decode(buf_view(&out), &d), OK);
    assert_int_equal(strlen(conf_str(&d, "a", "")), 65536);
    conf_free(&d);
    conf_set_str(&c, "a", (sv){text, 65537});
    buf_reset(&out);
    assert_false(conf_encode(&c, &out));
    assert_int_equal(out.n, 0);
    xfree(text);
    conf_free(&c);
    for (int i = 0; i < 99999; i++) {
        conf_add_list(&c, "list", SV("x"));
    }
    buf_reset(&out);
    assert_true(conf_encode(&c, &out));
    assert_int_equal(conf_decode(buf_view(&out), &d), OK);
    assert_int_equal(conf_count(&d, "list"), 99999);
    conf_free(&d);
    conf_add_list(&c, "list", SV("one too many"));
    buf_reset(&out);
    assert_false(conf_encode(&c, &out));
    conf_free(&c);
    fill(&c);
    struct buf small = BUF_INIT(20);
    buf_str(&small, "kept");
    assert_false(conf_encode(&c, &small));
    assert_buf(&small, "kept");
    buf_free(&small);
    conf_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookups),    cmocka_unit_test(test_replace),
        cmocka_unit_test(test_children),   cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bit_flips),  cmocka_unit_test(test_strict),
        cmocka_unit_test(test_update),     cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
