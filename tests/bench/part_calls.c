/*
 * part_calls.c: how fast the edge answers `health` over the client protocol.
 * Runs in: tenaza-bench.     Owns: one gateway.
 * Never: shares it with another part.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/gateway.h"
#include "tests/bench/ws.h"

/* One `health` call in flight on each of n connections. */
static double run_health(const struct gateway *g, int n, int calls, struct samples *out)
{
    struct ws w[BENCH_CLIENTS_MAX];
    struct pollfd p[BENCH_CLIENTS_MAX];
    int64_t began[BENCH_CLIENTS_MAX];
    for (int i = 0; i < n; i++) {
        if (!ws_connect(&w[i], g->port, g->token)) {
            die(1, "bench: connection %d was refused", i);
        }
        p[i] = (struct pollfd){.fd = w[i].fd, .events = POLLIN};
    }
    int64_t t0 = clock_mono_us();
    int done = 0;
    for (int i = 0; i < n; i++) {
        began[i] = clock_mono_us();
        ws_request(&w[i], "health", "{}");
    }
    while (done < calls) {
        if (poll(p, (nfds_t)n, 10000) <= 0) {
            die(1, "bench: no answer to health for 10 s");
        }
        for (int i = 0; i < n; i++) {
            json_t *f = p[i].revents ? ws_next(&w[i], 0) : NULL;
            for (; f; f = ws_next(&w[i], 0)) {
                if (sv_eqc(json_sv(f, "type"), "res")) {
                    sample(out, (long)(clock_mono_us() - began[i]));
                    done++;
                    began[i] = clock_mono_us();
                    ws_request(&w[i], "health", "{}");
                }
                json_free(&f);
            }
        }
    }
    double rate = done / ((double)(clock_mono_us() - t0) / 1e6);
    for (int i = 0; i < n; i++) {
        ws_close(&w[i]);
    }
    return rate;
}

static void measure_health(const struct gateway *g, int n, int calls)
{
    struct samples s = {0};
    double rate = run_health(g, n, calls, &s);
    printf("| health, %2d connection%s | p50 %.3f ms, p99 %.3f ms | %.0f calls/s |\n", n, n == 1 ? " " : "s",
           percentile(&s, .5), percentile(&s, .99), rate);
    samples_free(&s);
}

void part_calls(const char *build)
{
    struct gateway g;

    gateway_prepare(&g, build);
    (void)gateway_start(&g, build);
    measure_health(&g, 1, 5000);
    measure_health(&g, BENCH_CLIENTS_MAX, 40000);
    gateway_stop(&g);
}
