/*
 * part_turns.c: cold starts, memory, and turns against a model server with no delay of its own.
 * Runs in: tenaza-bench.     Owns: one gateway and one fake model server.
 * Never: shares them with another part.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/gateway.h"
#include "tests/bench/ws.h"

static void measure_turns(struct ws *w, int sessions, int turns, const char *tag)
{
    struct samples warm = {0}, s = {0};
    char *warm_tag = xasprintf("%s-warm", tag);
    run_turns(w, sessions, sessions * 4, warm_tag, &warm);
    double rate = run_turns(w, sessions, turns, tag, &s);
    printf("| turn, %2d session%s | p50 %.2f ms, p99 %.2f ms | %.0f turns/s |\n", sessions, sessions == 1 ? " " : "s",
           percentile(&s, .5), percentile(&s, .99), rate);
    xfree(warm_tag);
    samples_free(&warm);
    samples_free(&s);
}

static void measure_starts(struct gateway *g, const char *build)
{
    struct samples starts = {0};

    for (int i = 0; i < 5; i++) {
        gateway_prepare(g, build);
        sample(&starts, gateway_start(g, build));
        if (i < 4) {
            gateway_stop(g);
        }
    }
    printf("| exec to first authenticated hello (5 cold starts) | median %.0f ms, worst %.0f ms | |\n",
           percentile(&starts, .5), percentile(&starts, 1));
    samples_free(&starts);
}

void part_turns(const char *build)
{
    struct gateway g;
    struct ws w;
    int n = 0;

    measure_starts(&g, build);
    sleep(2);
    long pss = gateway_pss_kib(&g, &n);
    printf("| PSS idle, %d processes | %.1f MB | |\n", n, (double)pss / 1024);
    if (!ws_connect(&w, g.port, g.token)) {
        die(1, "bench: connection refused");
    }
    measure_turns(&w, 1, 1000, "one");
    pss = gateway_pss_kib(&g, &n);
    printf("| PSS after 1,000 turns, %d processes | %.1f MB | |\n", n, (double)pss / 1024);
    measure_turns(&w, BENCH_CLIENTS_MAX, 3000, "many");
    ws_close(&w);
    gateway_stop(&g);
}
