/*
 * test_id.c: shape, order and distribution of identifiers.
 * Runs in: unit tests.     Owns: nothing.
 * Never: fails by bad luck (every bound is far beyond chance).
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/map.h"

static void test_uuid(void **state)
{
    UNUSED(state);
    struct map seen = MAP_INIT;
    for (int k = 0; k < 1000; k++) {
        char u[ID_UUID_LEN];
        id_uuid(u);
        assert_int_equal(strlen(u), 36);
        for (size_t i = 0; i < 36; i++) {
            bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            assert_non_null(strchr(dash ? "-" : "0123456789abcdef", u[i]));
        }
        assert_int_equal(u[14], '4');
        assert_non_null(strchr("89ab", u[19]));
        assert_null(map_put(&seen, sv_of(u), &seen));
    }
    map_free(&seen);
}

static void test_sortable(void **state)
{
    UNUSED(state);
    char last[ID_SORT_LEN] = "";
    static const int64_t times[] = {0, 1, 31, 32, 33, 1000, INT64_C(1795197871123), INT64_C(281474976710655)};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        char s[ID_SORT_LEN];
        clock_test_set(0, times[i]);
        id_sortable(s);
        assert_int_equal(strlen(s), 26);
        assert_int_equal(strspn(s, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
        assert_true(strcmp(last, s) < 0);
        memcpy(last, s, sizeof(s));
    }
    assert_memory_equal(last, "7zzzzzzzzz", 10); /* 48 bits of ones, right-aligned in 50 */
    clock_test_set(0, 0);
    char a[ID_SORT_LEN];
    char b[ID_SORT_LEN];
    id_sortable(a);
    id_sortable(b);
    assert_memory_equal(a, "0000000000", 10);
    assert_string_not_equal(a, b); /* the same instant, still different */
    clock_test_set(-1, -1);
}

static void test_code(void **state)
{
    UNUSED(state);
    char c[3001];
    id_code(c, 0, "ab");
    assert_string_equal(c, "");
    id_code(c, 5, "x");
    assert_string_equal(c, "xxxxx");
    id_code(c, 3000, "abc");
    assert_int_equal(strlen(c), 3000);
    size_t hits[3] = {0};
    for (size_t i = 0; i < 3000; i++) {
        assert_in_range(c[i], 'a', 'c');
        hits[c[i] - 'a']++;
    }
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(hits[i], 800, 1200); /* 1000 expected, standard deviation 26 */
    }
}

static void test_random(void **state)
{
    UNUSED(state);
    unsigned char a[1000] = {0};
    id_random(a, 0);
    assert_int_equal(a[0], 0);
    id_random(a, sizeof(a));
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof(a); i++) {
        zeros += a[i] == 0;
    }
    assert_true(zeros < 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_sortable),
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
