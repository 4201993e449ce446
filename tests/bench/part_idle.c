/*
 * part_idle.c: what a gateway costs that has nothing to do, and whether work leaves it larger than before.
 * Runs in: tenaza-bench.     Owns: one gateway and one fake model server.
 * Never: counts pages of files as growth: the kernel reads and drops them as it likes.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/gateway.h"
#include "tests/bench/ws.h"

#define IDLE_S 30
#define TURNS 10000
#define SESSIONS 16

static void measure_wakeups(const struct gateway *g)
{
    int threads;
    long before = gateway_wakeups(g, &threads);
    int64_t t0 = clock_mono_us();

    sleep(IDLE_S);
    double seconds = (double)(clock_mono_us() - t0) / 1e6;
    long n = gateway_wakeups(g, &threads) - before;
    printf("| idle for %d s, %d threads in all | %ld wake-ups | %.1f/s |\n", IDLE_S, threads, n, (double)n / seconds);
}

static void print_memory(const char *when, const struct memory *m)
{
    printf("| PSS %s, %d processes | %.1f MB: own %.1f, shared with each other %.1f, files %.1f | |\n", when, m->n,
           (double)m->pss / 1024, (double)m->anon / 1024, (double)m->shmem / 1024, (double)m->file / 1024);
}

static double growth(long before, long after)
{
    return ((double)after / (double)before - 1) * 100;
}

static void measure_growth(struct gateway *g)
{
    struct samples s = {0};
    struct ws w;

    if (!ws_connect(&w, g->port, g->token)) {
        die(1, "bench: connection refused");
    }
    run_turns(&w, SESSIONS, SESSIONS * 4, "warm", &s);
    sleep(12);
    struct memory before = gateway_memory(g);
    print_memory("after the first turns", &before);
    double rate = run_turns(&w, SESSIONS, TURNS, "work", &s);
    sleep(12);
    struct memory after = gateway_memory(g);
    print_memory("after 10,000 more", &after);
    printf("| growth of PSS over 10,000 turns | %+.1f %%; without pages of files %+.1f %% | %.0f turns/s |\n",
           growth(before.pss, after.pss), growth(before.anon + before.shmem, after.anon + after.shmem), rate);
    ws_close(&w);
    samples_free(&s);
}

void part_idle(const char *build)
{
    struct gateway g;

    gateway_prepare(&g, build);
    (void)gateway_start(&g, build);
    sleep(5);
    measure_wakeups(&g);
    measure_growth(&g);
    gateway_stop(&g);
}
