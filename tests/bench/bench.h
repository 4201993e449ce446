/*
 * bench.h: what the parts of the bench share: samples and the rows of the printed table.
 * Runs in: tenaza-bench.     Owns: declarations.
 * Never: judges a figure.
 * Tested in: every bench run
 */
#ifndef TENAZA_BENCH_BENCH_H
#define TENAZA_BENCH_BENCH_H

#include <stddef.h>

/* Conversations or connections that one part drives at most at once. */
#define BENCH_CLIENTS_MAX 32

struct samples {
    long *us; /* microseconds */
    size_t n, cap;
};

void sample(struct samples *s, long us);
/* p from 0 to 1; in milliseconds. Sorts the samples. */
double percentile(struct samples *s, double p);
void samples_free(struct samples *s);

struct ws;
/* `sessions` conversations at once over one connection until `turns` have ended; returns turns a second. tag makes
 * keys and session names unique. */
double run_turns(struct ws *w, int sessions, int turns, const char *tag, struct samples *out);

/* part_<name>(build): build is the directory of the executables. Prints rows "| what | figure | rate |"; ends the
 * program with exit code 1 and a text when something cannot be measured. */
#define PART(name, by_default, doc) void part_##name(const char *build);
#include "tests/bench/parts.def"
#undef PART

#endif
