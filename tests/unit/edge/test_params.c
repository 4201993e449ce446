/*
 * test_params.c: texts and order of parameter errors.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the tables of rpc.def (their rows have their own meaning).
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/params.h"

static const struct param INNER[] = {
    {"x", P_STR, true, 1, 4, NULL, NULL},
    {NULL, P_ANY, false, 0, 0, NULL, NULL},
};

static const struct param ROWS[] = {
    {"name", P_STR, true, 1, 5, NULL, NULL},
    {"mode", P_STR, false, PARAM_NO, PARAM_NO, "a|bc", NULL},
    {"limit", P_INT, false, 1, 10, NULL, NULL},
    {"on", P_BOOL, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"tags", P_STRS, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"obj", P_OBJ, false, PARAM_NO, PARAM_NO, NULL, INNER},
    {"any", P_ANY, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {NULL, P_ANY, false, 0, 0, NULL, NULL},
};

static void check_as(enum param_strict strict, const char *text, const char *why)
{
    struct buf b = BUF_INIT(400);
    json_t *v = json_parse(sv_of(text), NULL, 0);
    assert_int_equal(params_check(v, ROWS, strict, &b), why[0] == '\0');
    assert_sv(buf_view(&b), why);
    json_free(&v);
    buf_free(&b);
}

static void check(const char *text, const char *why)
{
    check_as(PARAM_STRICT, text, why);
}

static void test_good(void **state)
{
    UNUSED(state);
    check("{\"name\":\"a\"}", "");
    check("{\"name\":\"\xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\",\"mode\":\"bc\",\"limit\":10}", "");
    check("{\"name\":\"a\",\"tags\":[],\"obj\":{\"x\":\"y\"},\"any\":null,\"on\":false}", "");
    check_as(PARAM_LENIENT, "{\"name\":\"a\",\"zzz\":1}", "");
}

static void test_wrong(void **state)
{
    UNUSED(state);
    check("{}", "must have required property 'name'");
    check("{\"bogus\":1}", "must have required property 'name'; at root: unexpected property 'bogus'");
    check("{\"name\":7}", "at /name: must be string");
    check("{\"name\":\"\"}", "at /name: must not have fewer than 1 characters");
    check("{\"name\":\"abcdef\"}", "at /name: must not have more than 5 characters");
    check("{\"name\":\"a\",\"mode\":\"b\"}", "at /mode: must be equal to one of the allowed values");
    check("{\"name\":\"a\",\"limit\":0}", "at /limit: must be >= 1");
    check("{\"name\":\"a\",\"limit\":11}", "at /limit: must be <= 10");
    check("{\"name\":\"a\",\"limit\":1.5}", "at /limit: must be integer");
    check("{\"name\":\"a\",\"on\":1}", "at /on: must be boolean");
    check("{\"name\":\"a\",\"tags\":[1]}", "at /tags: must be array of strings");
    check("{\"name\":\"a\",\"obj\":{}}", "at /obj: must have required property 'x'");
    check("{\"name\":\"a\",\"obj\":{\"x\":\"\",\"y\":1}}",
          "at /obj: unexpected property 'y'; at /obj/x: must not have fewer than 1 characters");
    check("[]", "at root: must be object");
}

static void test_absent(void **state)
{
    UNUSED(state);
    static const struct param none[] = {{NULL, P_ANY, false, 0, 0, NULL, NULL}};
    struct buf b = BUF_INIT(400);
    assert_true(params_check(NULL, none, PARAM_STRICT, &b));
    assert_false(params_check(NULL, ROWS, PARAM_STRICT, &b));
    buf_free(&b);
    assert_true(one_of("a|bc", SV("bc")));
    assert_false(one_of("a|bc", SV("b")));
    assert_false(one_of("a|bc", SV("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
