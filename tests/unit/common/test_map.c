/*
 * test_map.c: the hash map against a plain array, walking with removal, the list.
 * Runs in: unit tests.     Owns: nothing.
 * Never: relies on an order of the map.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <stdio.h>

#include "common/map.h"

static void test_basics(void **state)
{
    UNUSED(state);
    struct map m = MAP_INIT;
    int one = 1;
    int two = 2;
    assert_null(map_get(&m, SV("a")));
    assert_null(map_del(&m, SV("a")));
    assert_null(map_put(&m, SV("a"), &one));
    assert_ptr_equal(map_get(&m, SV("a")), &one);
    assert_ptr_equal(map_put(&m, SV("a"), &two), &one);
    assert_ptr_equal(map_get(&m, SV("a")), &two);
    assert_null(map_put(&m, SV_NULL, &one)); /* the empty key is a key */
    assert_ptr_equal(map_get(&m, SV("")), &one);
    assert_null(map_put(&m, (sv){"a\0", 2}, &one));
    assert_int_equal(map_count(&m), 3);
    assert_ptr_equal(map_del(&m, SV("a")), &two);
    assert_null(map_del(&m, SV("a")));
    assert_int_equal(map_count(&m), 2);
    map_free(&m);
    assert_int_equal(map_count(&m), 0);
    assert_null(map_get(&m, SV("")));
}

static void test_key_is_copied(void **state)
{
    UNUSED(state);
    struct map m = MAP_INIT;
    char key[] = "abc";
    map_put(&m, sv_of(key), &m);
    memcpy(key, "xyz", 3);
    assert_ptr_equal(map_get(&m, SV("abc")), &m);
    assert_null(map_get(&m, SV("xyz")));
    map_free(&m);
}

/* Many rounds of random puts and removals, compared with an array indexed by the key's number. */
static void test_against_array(void **state)
{
    UNUSED(state);
    enum { KEYS = 500 };
    static int values[KEYS];
    bool in[KEYS] = {false};
    size_t live = 0;
    struct map m = MAP_INIT;
    uint32_t rnd = 12345;
    for (int round = 0; round < 50000; round++) {
        rnd = rnd * 1664525u + 1013904223u;
        size_t k = (rnd >> 8) % KEYS;
        char key[16];
        int n = snprintf(key, sizeof(key), "key-%zu", k);
        sv view = {key, (size_t)n};
        if ((rnd >> 30) < 2) {
            assert_ptr_equal(map_put(&m, view, &values[k]), in[k] ? &values[k] : NULL);
            live += !in[k];
            in[k] = true;
        } else {
            assert_ptr_equal(map_del(&m, view), in[k] ? &values[k] : NULL);
            live -= in[k];
            in[k] = false;
        }
        assert_int_equal(map_count(&m), live);
    }
    for (size_t k = 0; k < KEYS; k++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%zu", k);
        assert_ptr_equal(map_get(&m, sv_of(key)), in[k] ? &values[k] : NULL);
    }
    assert_true(m.cap <= 4096); /* removed entries do not make the table grow for ever */
    map_free(&m);
}

static void test_walk_and_delete(void **state)
{
    UNUSED(state);
    enum { KEYS = 200 };
    static char seen[KEYS];
    struct map m = MAP_INIT;
    for (size_t k = 0; k < KEYS; k++) {
        map_put(&m, sv_mem(&k, sizeof(k)), &seen[k]);
    }
    sv key;
    void *value;
    for (size_t it = 0; map_next(&m, &it, &key, &value);) {
        char *c = value;
        (*c)++;
        if ((c - seen) % 2 == 0) {
            assert_ptr_equal(map_del(&m, key), value); /* the key is the map's own copy */
        }
    }
    for (size_t k = 0; k < KEYS; k++) {
        assert_int_equal(seen[k], 1);
        assert_ptr_equal(map_get(&m, sv_mem(&k, sizeof(k))), k % 2 == 0 ? NULL : &seen[k]);
    }
    assert_int_equal(map_count(&m), KEYS / 2);
    map_free(&m);
    size_t it = 0;
    assert_false(map_next(&m, &it, &key, &value));
}

struct thing {
    int no;
    struct list link;
};

static void test_list(void **state)
{
    UNUSED(state);
    struct list head;
    struct thing t[5];
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 5; i++) {
        t[i].no = i;
        list_add_tail(&head, &t[i].link);
    }
    int want = 0;
    LIST_EACH(at, &head)
    {
        struct thing *x = CONTAINER_OF(at, struct thing, link);
        assert_int_equal(x->no, want++);
        if (x->no % 2 == 0) {
            list_del(at);
        }
    }
    assert_int_equal(want, 5);
    assert_ptr_equal(head.next, &t[1].link);
    assert_ptr_equal(head.prev, &t[3].link);
    list_del(&t[1].link);
    list_del(&t[1].link); /* twice is harmless */
    list_del(&t[3].link);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),        cmocka_unit_test(test_key_is_copied),
        cmocka_unit_test(test_against_array), cmocka_unit_test(test_walk_and_delete),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
