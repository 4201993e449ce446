/*
 * test_counter.c: counting, histograms, and the rows of proto/counters.def.
 * Runs in: unit tests.     Owns: the counters of this process.
 * Never: depends on which rows there are.
 * Tested in: itself.
 */
#include "tests/unit/common/tests.h"

#include <ctype.h>

#include "common/attrs.h"
#include "common/counter.h"

static void test_count(void **state)
{
    UNUSED(state);
    static struct counters elsewhere;
    counter_add(C_bus_messages, 2);
    counter_add(C_bus_messages, 3);
    counter_set(C_bus_peers, 7);
    counter_set(C_bus_peers, 4);
    counters_move(&elsewhere); /* what was counted so far comes along */
    counter_add(C_bus_messages, 1);
    assert_int_equal(elsewhere.cells[C_bus_messages], 6);
    assert_int_equal(elsewhere.cells[C_bus_peers], 4);
}

static void test_histogram(void **state)
{
    UNUSED(state);
    const struct histogram *h = &counters_here->histograms[H_commit];
    histogram_add(H_commit, -5);
    histogram_add(H_commit, 100);      /* a limit belongs to its bucket */
    histogram_add(H_commit, 101);
    histogram_add(H_commit, 60000000);
    histogram_add(H_commit, 60000001); /* above all */
    assert_int_equal(h->buckets[0], 2);
    assert_int_equal(h->buckets[1], 1);
    assert_int_equal(h->buckets[HISTOGRAM_LIMITS - 1], 1);
    assert_int_equal(h->buckets[HISTOGRAM_LIMITS], 1);
    assert_int_equal(h->sum_us, 0 + 100 + 101 + 60000000 + 60000001);
}

static bool ends_with(const char *s, const char *end)
{
    return sv_ends(sv_of(s), sv_of(end));
}

/* What Prometheus wants of names, and what metrics.c relies on. */
static void test_rows(void **state)
{
    UNUSED(state);
    for (unsigned i = 0; i < counter_rows_n; i++) {
        const struct counter_row *r = &counter_rows[i];
        bool first = i == 0 || strcmp(counter_rows[i - 1].family, r->family) != 0;
        bool total = ends_with(r->family, "_total"), seconds = ends_with(r->family, "_seconds");
        for (const char *p = r->family; *p; p++) {
            assert_true(islower((unsigned char)*p) || *p == '_');
        }
        assert_int_equal(first, r->help[0] != '\0'); /* the first row of a family explains it, and only that */
        assert_int_equal(total, r->kind == CK_COUNTER || r->kind == CK_TOTAL);
        assert_true(seconds || (r->kind != CK_HISTOGRAM && r->kind != CK_AGE));
        for (unsigned j = i + 1; j < counter_rows_n; j++) {
            assert_false(strcmp(r->family, counter_rows[j].family) == 0 && strcmp(r->labels, counter_rows[j].labels) == 0);
            /* rows of one family stand together */
            assert_false(strcmp(r->family, counter_rows[j].family) == 0 && strcmp(r->family, counter_rows[j - 1].family) != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
