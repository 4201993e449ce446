/*
 * test_schedule.c: at, every, cron: next times and what is refused.
 * Runs in: unit tests.     Owns: nothing.
 * Never: reads the clock.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "common/attrs.h"
#include "common/schedule.h"
#include "common/tz.h"

static void test_next(void **state)
{
    UNUSED(state);
    struct schedule once = {.kind = SV("at"), .at_ms = 1000};
    assert_int_equal(schedule_next(&once, 999), 1000);
    assert_int_equal(schedule_next(&once, 1000), 0);
    struct schedule every = {.kind = SV("every"), .every_ms = 60000, .anchor_ms = 5000};
    assert_int_equal(schedule_next(&every, 0), 5000);
    assert_int_equal(schedule_next(&every, 5000), 65000);
    assert_int_equal(schedule_next(&every, 600000), 605000); /* what was missed does not shift the rhythm */
    struct schedule cron = {.kind = SV("cron"), .expr = SV("0 * * * *"), .tz = SV("UTC"), .offset_ms = 90000};
    assert_int_equal(schedule_next(&cron, 90000), 3690000);
    assert_int_equal(schedule_next(&cron, 3690000), 7290000);
}

static void test_check(void **state)
{
    UNUSED(state);
    char why[160];
    struct schedule s = {.kind = SV("cron"), .expr = SV("0 9 * * *"), .tz = SV("Europe/Madrid")};
    assert_true(schedule_check(&s, 0, why, sizeof why));
    s.tz = SV("Mars/Olympus");
    assert_false(schedule_check(&s, 0, why, sizeof why));
    assert_non_null(strstr(why, "Mars/Olympus"));
    s.tz = SV("../../etc/passwd");
    assert_false(schedule_check(&s, 0, why, sizeof why));
    s = (struct schedule){.kind = SV("cron"), .expr = SV("0 0 30 2 *"), .tz = SV("UTC")};
    assert_false(schedule_check(&s, 0, why, sizeof why));
    s = (struct schedule){.kind = SV("every"), .every_ms = 1};
    assert_false(schedule_check(&s, 0, why, sizeof why));
    s.kind = SV("sometimes");
    assert_false(schedule_check(&s, 0, why, sizeof why));
    s = (struct schedule){.kind = SV("every"), .every_ms = INT64_MAX};
    assert_false(schedule_check(&s, 0, why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_next), cmocka_unit_test(test_check)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    tz_free_all();
    return rc;
}
