/*
 * counter.c: counters, gauges and histograms of one process.
 * Runs in: every worker (writes), supervisor (reads).     Owns: where the numbers are.
 * Never: locks, allocates or makes a system call.
 * Tested in: tests/unit/common/test_counter.c
 */
#include "common/counter.h"

#include <string.h>

#include "common/attrs.h"

static struct counters at_home;
struct counters *counters_here = &at_home;

static const int64_t limits[HISTOGRAM_LIMITS] = HISTOGRAM_LIMITS_US;

void counters_move(struct counters *to)
{
    if (to != counters_here) {
        memcpy(to, counters_here, sizeof *to);
        counters_here = to;
    }
}

void histogram_add(enum histogram_id id, int64_t us)
{
    struct histogram *h = &counters_here->histograms[id];
    unsigned i = 0;
    us = us < 0 ? 0 : us;
    while (i < HISTOGRAM_LIMITS && us > limits[i]) {
        i++;
    }
    __atomic_store_n(&h->buckets[i], h->buckets[i] + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&h->sum_us, h->sum_us + (uint64_t)us, __ATOMIC_RELAXED);
}

const struct counter_row counter_rows[] = {
#define COUNTER(id, family, labels, worker, help) {CK_COUNTER, C_##id, #id, family, labels, worker, help},
#define TOTAL(id, family, labels, worker, help) {CK_TOTAL, C_##id, #id, family, labels, worker, help},
#define GAUGE(id, family, labels, worker, help) {CK_GAUGE, C_##id, #id, family, labels, worker, help},
#define AGE(id, family, labels, worker, help) {CK_AGE, C_##id, #id, family, labels, worker, help},
#define HISTOGRAM(id, family, labels, worker, help) {CK_HISTOGRAM, H_##id, #id, family, labels, worker, help},
#include "proto/counters.def"
#undef COUNTER
#undef TOTAL
#undef GAUGE
#undef AGE
#undef HISTOGRAM
};
const unsigned counter_rows_n = ARRAY_LEN(counter_rows);
