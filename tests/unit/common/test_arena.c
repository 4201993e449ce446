/*
 * test_arena.c: alignment, zeroing, large allocations, reset.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs files or processes.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include "common/arena.h"

static void test_alignment_and_zero(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    char *last = NULL;
    for (size_t n = 0; n < 300; n++) {
        char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_ptr_not_equal(p, last); /* even for nothing: distinct objects */
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(p[i], 0);
        }
        memset(p, 0xee, n);
        last = p;
    }
    arena_reset(&a);
    char *again = arena_alloc(&a, 4000);
    for (size_t i = 0; i < 4000; i++) {
        assert_int_equal(again[i], 0); /* zeroed when a block is used a second time too */
    }
    arena_free(&a);
    assert_null(a.head);
}

static void test_large_keeps_head(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    char *big = arena_alloc(&a, 1000000); /* the first block may be a large one */
    char *small = arena_alloc(&a, 16);
    char *big2 = arena_alloc(&a, 500000);
    char *small2 = arena_alloc(&a, 16);
    memset(big, 1, 1000000);
    memset(big2, 2, 500000);
    assert_ptr_equal(small + 16, small2); /* the ordinary block goes on being filled */
    assert_int_equal(small2[0], 0);
    arena_reset(&a);
    assert_non_null(a.head);
    arena_free(&a);
    arena_free(&a);
}

static void test_reset_frees_large_only_arena(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    arena_alloc(&a, 1000000);
    arena_reset(&a);
    assert_null(a.head);
    arena_reset(&a);
    assert_sv(arena_sv(&a, SV("still usable")), "still usable");
    arena_free(&a);
}

static void test_strings(void **state)
{
    UNUSED(state);
    struct arena a = ARENA_INIT;
    sv s = arena_sv(&a, (sv){"a\0b", 3});
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 4);
    assert_null(arena_sv(&a, SV_NULL).p);
    assert_non_null(arena_sv(&a, SV("")).p);
    assert_string_equal(arena_strndup(&a, "abcdef", 2), "ab");
    assert_string_equal(arena_strndup(&a, "ab", 99), "ab");
    sv f = arena_printf(&a, "%0*d", 9000, 5);
    assert_int_equal(f.n, 9000);
    assert_int_equal(f.p[8999], '5');
    assert_int_equal(f.p[9000], 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_zero),
        cmocka_unit_test(test_large_keeps_head),
        cmocka_unit_test(test_reset_frees_large_only_arena),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
