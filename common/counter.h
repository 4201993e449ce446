/*
 * counter.h: counters, gauges and histograms of one process, as the rows of proto/counters.def say.
 * Runs in: every worker (writes), supervisor (reads).     Owns: where the numbers are.
 * Never: locks, allocates or makes a system call: counting costs one store, asking costs the worker nothing.
 * Tested in: tests/unit/common/test_counter.c
 *
 * The numbers stand in the flight recorder's shared memory (recorder.h): one writer, the supervisor reads them
 * whenever somebody wants to know. Without a recorder they stand in this process.
 */
#ifndef TENAZA_COMMON_COUNTER_H
#define TENAZA_COMMON_COUNTER_H

#include <stdint.h>

/* Numbers of one cell each. */
enum counter_id {
#define COUNTER(id, family, labels, worker, help) C_##id,
#define TOTAL COUNTER
#define GAUGE COUNTER
#define AGE COUNTER
#define HISTOGRAM(id, family, labels, worker, help)
#include "proto/counters.def"
#undef COUNTER
#undef TOTAL
#undef GAUGE
#undef AGE
#undef HISTOGRAM
    COUNTER_N
};

enum histogram_id {
#define COUNTER(id, family, labels, worker, help)
#define TOTAL COUNTER
#define GAUGE COUNTER
#define AGE COUNTER
#define HISTOGRAM(id, family, labels, worker, help) H_##id,
#include "proto/counters.def"
#undef COUNTER
#undef TOTAL
#undef GAUGE
#undef AGE
#undef HISTOGRAM
    HISTOGRAM_N
};

/* Upper limits of the buckets in microseconds; one more bucket takes everything above. A factor of about three:
 * enough to tell a healthy disk from a sick one, few enough to be cheap everywhere. */
#define HISTOGRAM_LIMITS_US {100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 3000000, 10000000, 60000000}
#define HISTOGRAM_LIMITS 12

struct histogram {
    uint64_t buckets[HISTOGRAM_LIMITS + 1]; /* not cumulative */
    uint64_t sum_us;
};

struct counters {
    uint64_t cells[COUNTER_N];
    struct histogram histograms[HISTOGRAM_N];
};

/* From now on the numbers stand there; what was counted so far is carried over. */
void counters_move(struct counters *to);

extern struct counters *counters_here;

static inline void counter_add(enum counter_id id, uint64_t n)
{
    uint64_t *cell = &counters_here->cells[id];
    /* One writer: a plain addition; the atomic store only says that the reader never sees half a number. */
    __atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}

static inline void counter_set(enum counter_id id, uint64_t value)
{
    __atomic_store_n(&counters_here->cells[id], value, __ATOMIC_RELAXED);
}

/* Another duration; below zero counts as zero. */
void histogram_add(enum histogram_id id, int64_t us);

/* ---- the rows, for those who print them ---- */

enum counter_kind { CK_COUNTER, CK_TOTAL, CK_GAUGE, CK_AGE, CK_HISTOGRAM };

struct counter_row {
    enum counter_kind kind;
    unsigned at;         /* index of its cell or histogram */
    const char *name;    /* the id */
    const char *family;  /* Prometheus name without the prefix "tenaza_" */
    const char *labels;  /* key="value",... or "" */
    const char *worker;  /* the kind that has it, or "all" */
    const char *help;
};
extern const struct counter_row counter_rows[];
extern const unsigned counter_rows_n;

#endif
