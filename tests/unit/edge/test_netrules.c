/*
 * test_netrules.c: loopback addresses, local host names, browser origins.
 * Runs in: unit tests.     Owns: nothing.
 * Never: resolves a name.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/netrules.h"

static void test_addresses(void **state)
{
    UNUSED(state);
    assert_true(addr_is_loopback(SV("127.0.0.1")));
    assert_true(addr_is_loopback(SV("127.9.9.9")));
    assert_true(addr_is_loopback(SV("::1")));
    assert_true(addr_is_loopback(SV("::ffff:127.0.0.1")));
    assert_false(addr_is_loopback(SV("128.0.0.1")));
    assert_false(addr_is_loopback(SV("::ffff:10.0.0.1")));
    assert_false(addr_is_loopback(SV("127.0.0.1.evil.example")));
    assert_false(addr_is_loopback(SV("127.0.0.300")));
    assert_false(addr_is_loopback(SV("")));
}

static void test_hosts(void **state)
{
    UNUSED(state);
    assert_true(host_is_local(SV("localhost")));
    assert_true(host_is_local(SV("LocalHost:18789")));
    assert_true(host_is_local(SV("127.0.0.1:18789")));
    assert_true(host_is_local(SV("[::1]:18789")));
    assert_true(host_is_local(SV("tenaza.localhost")));
    assert_false(host_is_local(SV("evil.example")));
    assert_false(host_is_local(SV("localhost.evil.example")));
    assert_false(host_is_local(SV("127.0.0.1.evil.example")));
    assert_false(host_is_local(SV("evillocalhost")));
    assert_false(host_is_local(SV("[::2]")));
    const char *const names[] = {"gate.example"};
    assert_true(host_allowed(SV("Gate.Example:443"), names, 1));
    assert_true(host_allowed(SV("localhost"), names, 1));
    assert_false(host_allowed(SV("evil.gate.example"), names, 1));
    assert_false(host_allowed(SV("gate.example"), names, 0));
    assert_sv(host_name(SV("[::1]:80")), "::1");
    assert_sv(host_name(SV("a.b:80")), "a.b");
}

static void test_origins(void **state)
{
    UNUSED(state);
    static const char *const listed[] = {"https://ui.example", "https://b.example:8443/"};
    assert_null(origin_refused(SV("http://127.0.0.1:18789"), SV("127.0.0.1:18789"), NULL, 0));
    assert_null(origin_refused(SV("http://localhost"), SV("localhost"), NULL, 0));
    assert_null(origin_refused(SV("https://gw.example"), SV("gw.example:443"), NULL, 0));
    assert_null(origin_refused(SV("https://ui.example"), SV("127.0.0.1"), listed, 2));
    assert_null(origin_refused(SV("https://b.example:8443"), SV("127.0.0.1"), listed, 2));
    assert_string_equal(origin_refused(SV("http://127.0.0.1:1"), SV("127.0.0.1:18789"), NULL, 0),
                        "origin not allowed");
    assert_string_equal(origin_refused(SV("https://evil.example"), SV("127.0.0.1:18789"), listed, 2),
                        "origin not allowed");
    assert_string_equal(origin_refused(SV("https://ui.example.evil"), SV("x"), listed, 2),
                        "origin not allowed");
    assert_string_equal(origin_refused(SV("null"), SV("x"), listed, 2), "origin missing or invalid");
    assert_string_equal(origin_refused(SV(""), SV("x"), listed, 2), "origin missing or invalid");
    assert_string_equal(origin_refused(SV("ws://localhost"), SV("localhost"), NULL, 0),
                        "origin missing or invalid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
