/*
 * test_tz.c: zone files and rules.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>

#include "common/tz_rule.h"
#include "common/buf.h"

static void shows(const struct tz *z, int64_t t, const char *want)
{
    struct tz_time l;
    char is[80];
    assert_non_null(z);
    tz_local(z, t, &l);
    (void)snprintf(is, sizeof is, "%s %04d-%02d-%02d %02d:%02d:%02d %s %d", tz_weekday(l.weekday), l.year, l.month, l.day, l.hour, l.minute,
                   l.second, l.abbr, l.offset_s);
    assert_string_equal(is, want);
}

static void known_zones(void **state)
{
    (void)state;
    shows(tz_get(SV("UTC")), 0, "Thursday 1970-01-01 00:00:00 UTC 0");
    shows(tz_get(SV("UTC")), -1, "Wednesday 1969-12-31 23:59:59 UTC 0");
    shows(tz_get(SV("UTC")), 1709164800, "Thursday 2024-02-29 00:00:00 UTC 0");
    const struct tz *madrid = tz_get(SV("Europe/Madrid"));
    if (!madrid) {
        print_message("no zone files on this machine\n");
        return;
    }
    shows(madrid, 1795197146, "Friday 2026-11-20 18:52:26 CET 3600");
    shows(madrid, 1774745999, "Sunday 2026-03-29 01:59:59 CET 3600");
    shows(madrid, 1774746000, "Sunday 2026-03-29 03:00:00 CEST 7200");
    shows(madrid, 4118000000, "Wednesday 2100-06-30 02:53:20 CEST 7200"); /* behind the last listed change */
    shows(tz_get(SV("America/New_York")), 1795197146, "Friday 2026-11-20 12:52:26 EST -18000");
    shows(tz_get(SV("Asia/Kathmandu")), 1795197146, "Friday 2026-11-20 23:37:26 +0545 20700");
    shows(tz_get(SV("Australia/Sydney")), 4118000000, "Wednesday 2100-06-30 10:53:20 AEST 36000");
    assert_ptr_equal(tz_get(SV("Europe/Madrid")), madrid);
    tz_free_all();
}

static void names_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/../Europe/Madrid", "a.b", "Europe", "Europe/Madrid\n", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(tz_get(sv_of(bad[i])));
    }
    assert_null(tz_get(SV_NULL));
    char name[64];
    tz_system_name(name, sizeof name);
    assert_non_null(tz_get(sv_of(name)));
    tz_free_all();
}

static const char *side(const char *rule, int64_t t)
{
    static struct tz_rule r;
    assert_true(tz_rule_parse(sv_of(rule), &r));
    return tz_rule_at(&r, t)->abbr;
}

static void rules(void **state)
{
    (void)state;
    const char *madrid = "CET-1CEST,M3.5.0,M10.5.0/3";
    assert_string_equal(side(madrid, 1774745999), "CET");
    assert_string_equal(side(madrid, 1774746000), "CEST");
    assert_string_equal(side(madrid, 1792889999), "CEST");
    assert_string_equal(side(madrid, 1792890000), "CET");
    assert_string_equal(side("AEST-10AEDT,M10.1.0,M4.1.0/3", 1795197146), "AEDT"); /* southern summer */
    assert_string_equal(side("AEST-10AEDT,M10.1.0,M4.1.0/3", 1781000000), "AEST");
    assert_string_equal(side("UTC0", 1), "UTC");
    assert_string_equal(side("<+0545>-5:45", 1), "+0545");
    assert_string_equal(side("XXX3YYY,J60,J300", tz_days(2024, 3, 1) * 86400 + 6 * 3600), "YYY"); /* J60 is 1 March in leap years too */
    assert_string_equal(side("XXX3YYY,J60,J300", tz_days(2024, 2, 29) * 86400 + 6 * 3600), "XXX");
    assert_string_equal(side("XXX3YYY,59,300", tz_days(2024, 2, 29) * 86400 + 6 * 3600), "YYY");
    struct tz_rule r;
    static const char *const bad[] = {"", "C", "CET", "CET-1CEST", "CET-1CEST,M3.5", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0,M10.5.0x",
                                      "<AB", "CET999", "CET-1CEST,M3.5.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(tz_rule_parse(sv_of(bad[i]), &r));
    }
}

static void files_that_are_none(void **state)
{
    (void)state;
    char bytes[200];
    memset(bytes, 0xff, sizeof bytes);
    assert_null(tz_parse(sv_mem(bytes, sizeof bytes)));
    assert_null(tz_parse(SV_NULL));
    memcpy(bytes, "TZif2", 5);
    assert_null(tz_parse(sv_mem(bytes, sizeof bytes)));
    memset(bytes + 5, 0, sizeof bytes - 5);
    memcpy(bytes + 44, "TZif2", 5);
    assert_null(tz_parse(sv_mem(bytes, sizeof bytes))); /* no types at all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_zones), cmocka_unit_test(names_that_are_none), cmocka_unit_test(rules), cmocka_unit_test(files_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
