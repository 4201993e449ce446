/*
 * test_routes.c: paths to rows.
 * Runs in: unit tests.     Owns: nothing.
 * Never: calls a handler.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/routes.h"

static const struct route ROWS[] = {
    {HTTP_GET, "/healthz", 0, NEED_NOBODY, NULL},
    {HTTP_POST, "/channels/*/*", 100, NEED_NOBODY, NULL},
    {HTTP_POST, "/both", 1, NEED_READ, NULL},
    {HTTP_GET, "/both", 2, NEED_READ, NULL},
    {HTTP_OTHER, NULL, 0, NEED_NOBODY, NULL},
};

static enum route_result find(enum http_method m, const char *path, struct route_match *match,
                              const char **allow)
{
    *allow = "";
    return route_find(ROWS, m, sv_of(path), match, allow);
}

static void test_exact(void **state)
{
    UNUSED(state);
    struct route_match m;
    const char *allow;
    assert_int_equal(find(HTTP_GET, "/healthz", &m, &allow), ROUTE_FOUND);
    assert_int_equal(find(HTTP_HEAD, "/healthz", &m, &allow), ROUTE_FOUND);
    assert_int_equal(find(HTTP_POST, "/healthz", &m, &allow), ROUTE_WRONG_METHOD);
    assert_string_equal(allow, "GET, HEAD");
    assert_int_equal(find(HTTP_GET, "/healthz/", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_GET, "/health", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_GET, "healthz", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_GET, "", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_GET, "/", &m, &allow), ROUTE_NONE);
}

static void test_segments(void **state)
{
    UNUSED(state);
    struct route_match m;
    const char *allow;
    assert_int_equal(find(HTTP_POST, "/channels/webhook/shop", &m, &allow), ROUTE_FOUND);
    assert_sv(m.arg[0], "webhook");
    assert_sv(m.arg[1], "shop");
    assert_int_equal(m.route->cap, 100);
    assert_int_equal(find(HTTP_GET, "/channels/webhook/shop", &m, &allow), ROUTE_WRONG_METHOD);
    assert_string_equal(allow, "POST");
    assert_int_equal(find(HTTP_POST, "/channels/webhook", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_POST, "/channels/webhook/", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_POST, "/channels//shop", &m, &allow), ROUTE_NONE);
    assert_int_equal(find(HTTP_POST, "/channels/webhook/shop/x", &m, &allow), ROUTE_NONE);
}

static void test_methods(void **state)
{
    UNUSED(state);
    struct route_match m;
    const char *allow;
    assert_int_equal(find(HTTP_GET, "/both", &m, &allow), ROUTE_FOUND);
    assert_int_equal(m.route->cap, 2);
    assert_int_equal(find(HTTP_POST, "/both", &m, &allow), ROUTE_FOUND);
    assert_int_equal(m.route->cap, 1);
    assert_int_equal(find(HTTP_OTHER, "/both", &m, &allow), ROUTE_WRONG_METHOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_methods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
