/*
 * test_clock.c: the clocks, ISO times, durations and sizes.
 * Runs in: unit tests.     Owns: the frozen clock, thawed at the end of each test.
 * Never: waits.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <time.h>

#include "common/clock.h"

static void test_clocks(void **state)
{
    UNUSED(state);
    int64_t a = clock_mono_us();
    int64_t b = clock_mono_us();
    assert_true(b >= a && a > 0);
    assert_true(clock_mono_ms() >= a / 1000);
    assert_true(clock_real_ms() > INT64_C(1700000000000));
    clock_test_set(5, 7);
    assert_int_equal(clock_mono_ms(), 5);
    assert_int_equal(clock_mono_us(), 5000);
    assert_int_equal(clock_real_ms(), 7);
    clock_test_set(-1, -1);
    assert_true(clock_mono_us() >= b);
}

static void test_iso(void **state)
{
    UNUSED(state);
    char t[CLOCK_ISO_LEN];
    clock_iso(0, t);
    assert_string_equal(t, "1970-01-01T00:00:00.000Z");
    clock_iso(-1, t);
    assert_string_equal(t, "1969-12-31T23:59:59.999Z");
    clock_iso(INT64_C(951827696789), t);
    assert_string_equal(t, "2000-02-29T12:34:56.789Z");
    clock_iso(INT64_MAX, t);
    assert_string_equal(t, "9999-12-31T23:59:59.999Z");
    clock_iso(INT64_MIN, t);
    assert_string_equal(t, "0000-01-01T00:00:00.000Z");
}

/* Our calendar against the C library's, over four thousand years in uneven steps. */
static void test_iso_against_libc(void **state)
{
    UNUSED(state);
    for (int64_t s = INT64_C(-60000000000); s < INT64_C(60000000000); s += 123456789) {
        char want[64];
        char have[CLOCK_ISO_LEN];
        struct tm tm;
        time_t t = (time_t)s;
        assert_non_null(gmtime_r(&t, &tm));
        clock_iso(s * 1000 + 5, have);
        size_t n = strftime(want, sizeof(want), "-%m-%dT%H:%M:%S.005Z", &tm);
        assert_int_equal(n, CLOCK_ISO_LEN - 5);
        assert_string_equal(have + 4, want);
        int64_t back = 0;
        assert_true(clock_iso_parse(sv_of(have), &back));
        assert_true(back == s * 1000 + 5);
    }
}

static void test_iso_parse(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01 00:00:01.5Z", 1500},
        {"1970-01-01T00:00:00.0019999999999999999999999Z", 1},
        {"1970-01-01T01:30:00+01:30", 0},
        {"1969-12-31T23:00:00-01:00", 0},
        {"2024-02-29T00:00:00Z", INT64_C(1709164800000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t v = -1;
        assert_true(clock_iso_parse(sv_of(good[i].text), &v));
        assert_true(v == good[i].want);
    }
    static const char *const bad[] = {
        "", "1970", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00Z", "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z", "1970-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00Zx", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+0100",
        "+970-01-01T00:00:00Z", "1970-1-01T00:00:00Z", " 1970-01-01T00:00:00Z", "1970-01-01T00:00:00+1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t v = -1;
        assert_false(clock_iso_parse(sv_of(bad[i]), &v));
        assert_int_equal(v, -1);
    }
}

static void test_duration_parse(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        {"90s", 90000},     {"30m", 1800000}, {"1h30m", 5400000}, {"7d", 604800000}, {"250ms", 250}, {"0", 0},
        {"0h", 0},          {"1d1h1m1s1ms", 90061001},            {"1m500ms", 60500},
        {"9223372036854775807ms", INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t v = -1;
        assert_true(duration_parse(sv_of(good[i].text), &v));
        assert_true(v == good[i].want);
    }
    static const char *const bad[] = {"", "5", "00", "s", "-1s", "+1s", "1.5h", "1 s", " 1s", "1s ", "1S", "30m1h",
                                      "1s1s", "1h30", "5w", "9223372036854775808ms", "106751991168d",
                                      "106751991167d9223372036854775807ms", "1sm"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t v = -1;
        assert_false(duration_parse(sv_of(bad[i]), &v));
        assert_int_equal(v, -1);
    }
}

static void test_size_parse(void **state)
{
    UNUSED(state);
    int64_t v = -1;
    assert_true(size_parse(SV("64MiB"), &v));
    assert_int_equal(v, 67108864);
    assert_true(size_parse(SV("16GiB"), &v));
    assert_true(v == INT64_C(17179869184));
    assert_true(size_parse(SV("512KiB"), &v) && v == 524288);
    assert_true(size_parse(SV("100B"), &v) && v == 100);
    assert_true(size_parse(SV("1TiB"), &v) && v == INT64_C(1) << 40);
    assert_true(size_parse(SV("0"), &v) && v == 0);
    static const char *const bad[] = {"", "1", "64MB", "64M", "64mib", "-1B", "1MiB1KiB", "1.5GiB", "1 KiB",
                                      "8388608TiB", "B", "9223372036854775808B"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        v = -1;
        assert_false(size_parse(sv_of(bad[i]), &v));
        assert_int_equal(v, -1);
    }
}

static void test_duration_print(void **state)
{
    UNUSED(state);
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {180, "180 ms"},         {-5, "0 ms"},            {41999, "41 s"},        {60000, "1 min 00 s"},
        {3599999, "59 min 59 s"}, {3600000, "1 h 00 min"}, {86399999, "23 h 59 min"}, {274320000, "3 d 04:12"},
    };
    char dst[40];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        duration_print(rows[i].ms, dst, sizeof(dst));
        assert_string_equal(dst, rows[i].want);
    }
    duration_print(INT64_MAX, dst, sizeof(dst));
    duration_print(274320000, dst, 4);
    assert_string_equal(dst, "3 d");
    dst[0] = 'x';
    duration_print(1, dst, 0);
    assert_int_equal(dst[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),         cmocka_unit_test(test_iso),
        cmocka_unit_test(test_iso_against_libc), cmocka_unit_test(test_iso_parse),
        cmocka_unit_test(test_duration_parse), cmocka_unit_test(test_size_parse),
        cmocka_unit_test(test_duration_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
