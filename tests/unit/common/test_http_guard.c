/*
 * test_http_guard.c: which addresses common/http_guard.c calls private, edges of the ranges included.
 * Runs in: meson test, suite unit.     Owns: nothing.
 * Never: connects anywhere.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "common/attrs.h"
#include "common/http_guard.h"

static void private_addresses(void **state)
{
    (void)state;
    static const char *const ips[] = {
        "0.0.0.0", "0.255.255.255", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1",
        "127.255.255.254", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
        "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001::1", "2001:db8::1", "fc00::1", "fdff::1",
        "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "100::1", "", "example.org", "1.2.3",
        "0x7f.1", "this text is much longer than any numeric address can ever be",
    };
    for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
        if (!http_guard_private_text(ips[i])) {
            fail_msg("%s passed", ips[i]);
        }
    }
}

static void public_addresses(void **state)
{
    (void)state;
    static const char *const ips[] = {
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1", "2606:4700::1111", "2a00::1",
        "2001:200::1",
    };
    for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
        if (http_guard_private_text(ips[i])) {
            fail_msg("%s refused", ips[i]);
        }
    }
}

static void socket_addresses(void **state)
{
    (void)state;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    assert_true(http_guard_private((const struct sockaddr *)(const void *)&v4));
    v4.sin_addr.s_addr = htonl(0x08080808);
    assert_false(http_guard_private((const struct sockaddr *)(const void *)&v4));
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    assert_true(http_guard_private((const struct sockaddr *)(const void *)&v6));
    struct sockaddr un = {.sa_family = AF_UNIX};
    assert_true(http_guard_private(&un));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_addresses),
        cmocka_unit_test(public_addresses),
        cmocka_unit_test(socket_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
