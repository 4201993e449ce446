/*
 * test_cronexpr.c: cron expressions: fields, special days, time zones, the two clock changes.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads the clock.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/attrs.h"
#include "common/clock.h"
#include "common/cronexpr.h"

static int64_t at(const char *iso)
{
    int64_t ms = 0;
    assert_true(clock_iso_parse(sv_of(iso), &ms));
    return ms;
}

static void next_is(const char *expr, const char *zone, const char *after, const char *want)
{
    struct cronexpr x;
    char why[128] = "", got[CLOCK_ISO_LEN];
    if (!cronexpr_parse(sv_of(expr), &x, why, sizeof why)) {
        fail_msg("%s: %s", expr, why);
    }
    const struct tz *z = tz_get(sv_of(zone));
    assert_non_null(z);
    int64_t ms = cronexpr_next(&x, z, at(after));
    clock_iso(ms, got);
    if (ms != at(want)) {
        fail_msg("%s after %s: got %s, wanted %s", expr, after, got, want);
    }
}

static void test_fields(void **state)
{
    UNUSED(state);
    next_is("* * * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
    next_is("*/15 * * * *", "UTC", "2026-01-01T00:16:00Z", "2026-01-01T00:30:00Z");
    next_is("0 9 * * 1-5", "UTC", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"); /* Friday to Monday */
    next_is("0 9 * * MON", "UTC", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z");
    next_is("30 0 9 * * 7", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T09:00:30Z");
    next_is("0 0 1 jan ?", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    next_is("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
    next_is("5/20 12 * * *", "UTC", "2026-01-01T12:26:00Z", "2026-01-01T12:45:00Z");
    next_is("@weekly", "UTC", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
    next_is("@hourly", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
}

static void test_days(void **state)
{
    UNUSED(state);
    /* Day or weekday; with + both. */
    next_is("0 9 15 * 1", "UTC", "2026-01-06T00:00:00Z", "2026-01-12T09:00:00Z");
    next_is("0 9 15 * 1", "UTC", "2026-01-13T00:00:00Z", "2026-01-15T09:00:00Z");
    next_is("0 9 15 * +1", "UTC", "2026-01-06T00:00:00Z", "2026-06-15T09:00:00Z");
    next_is("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z");
    next_is("0 0 15W * *", "UTC", "2026-02-01T00:00:00Z", "2026-02-16T00:00:00Z"); /* the 15th is a Sunday */
    next_is("0 0 1W * *", "UTC", "2026-07-31T00:00:00Z", "2026-08-03T00:00:00Z"); /* Saturday the 1st, inside the month */
    next_is("0 0 * * FRI#2", "UTC", "2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z");
    next_is("0 0 * * 5L", "UTC", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z");
}

static void test_zones(void **state)
{
    UNUSED(state);
    next_is("0 9 * * *", "Europe/Madrid", "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z");
    next_is("0 9 * * *", "Europe/Madrid", "2026-07-01T00:00:00Z", "2026-07-01T07:00:00Z");
    next_is("0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T03:15:00Z");
}

static void test_clock_changes(void **state)
{
    UNUSED(state);
    /* New York, 8 March 2026: 02:30 does not exist and is not made up. */
    next_is("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T06:30:00Z");
    /* 1 November 2026: 01:30 comes twice; a fixed time takes the first one only. */
    next_is("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z");
    next_is("30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z");
    /* A pattern over all hours is about real time and runs in both. */
    next_is("*/30 * * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z");
    next_is("*/30 * * * *", "America/New_York", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z");
    /* A change of half an hour: Lord Howe, 4 October 2026, 02:00 becomes 02:30. */
    next_is("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T15:15:00Z");
}

static void test_refused(void **state)
{
    UNUSED(state);
    static const char *const bad[] = {"", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
                                      "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *",
                                      "1, * * * *", "* * * * 1#6", "* * 0W * *", "@never", "* * * foo *"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct cronexpr x;
        char why[128] = "";
        assert_false(cronexpr_parse(sv_of(bad[i]), &x, why, sizeof why));
        assert_true(why[0] != '\0');
    }
    struct cronexpr never;
    char why[128];
    assert_true(cronexpr_parse(SV("0 0 31 2 *"), &never, why, sizeof why));
    assert_int_equal(cronexpr_next(&never, tz_get(SV("UTC")), 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),        cmocka_unit_test(test_days),    cmocka_unit_test(test_zones),
        cmocka_unit_test(test_clock_changes), cmocka_unit_test(test_refused),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    tz_free_all();
    return rc;
}
