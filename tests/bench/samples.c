/*
 * samples.c: collected times and their percentiles.
 * Runs in: tenaza-bench.     Owns: nothing.
 * Never: drops a sample.
 * Tested in: every bench run
 */
#include <stdlib.h>

#include "common/buf.h"
#include "tests/bench/bench.h"

void sample(struct samples *s, long us)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->us = xrealloc(s->us, s->cap * sizeof *s->us);
    }
    s->us[s->n++] = us;
}

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

double percentile(struct samples *s, double p)
{
    qsort(s->us, s->n, sizeof *s->us, by_value);
    return s->n ? (double)s->us[(size_t)(p * (double)(s->n - 1))] / 1000.0 : 0;
}

void samples_free(struct samples *s)
{
    xfree(s->us);
    *s = (struct samples){0};
}
