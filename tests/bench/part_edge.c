/*
 * part_edge.c: the edge with ten thousand authenticated connections that do nothing: what each costs in memory, how
 *              fast they are accepted, and what the active ones notice of them.
 * Runs in: tenaza-bench.     Owns: one gateway.
 * Never: shares it with another part; holds receive buffers of idle connections.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/gateway.h"
#include "tests/bench/ws.h"

#define IDLE 10000
#define ACTIVE 8
#define CALLS 20000
#define SPARE_FILES 64

/* As many idle connections as our own descriptor limit allows. */
static int room_for_idle(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0) {
        die(1, "bench: no descriptor limit");
    }
    lim.rlim_cur = lim.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &lim);
    int room = lim.rlim_cur > IDLE + SPARE_FILES ? IDLE : (int)lim.rlim_cur - SPARE_FILES;
    return room;
}

static double connect_idle(const struct gateway *g, struct ws *w, int n)
{
    int64_t t0 = clock_mono_us();
    for (int i = 0; i < n; i++) {
        if (!ws_connect(&w[i], g->port, g->token)) {
            die(1, "bench: connection %d was refused", i);
        }
        buf_free(&w[i].in);
    }
    return n / ((double)(clock_mono_us() - t0) / 1e6);
}

/* `health` on ACTIVE connections, one call in flight on each; answers are counted, not parsed. */
static double run_active(const struct gateway *g, struct samples *out)
{
    struct ws w[ACTIVE];
    struct pollfd p[ACTIVE];
    int64_t began[ACTIVE];
    for (int i = 0; i < ACTIVE; i++) {
        if (!ws_connect(&w[i], g->port, g->token)) {
            die(1, "bench: connection %d was refused", i);
        }
        p[i] = (struct pollfd){.fd = w[i].fd, .events = POLLIN};
        began[i] = clock_mono_us();
        ws_request(&w[i], "health", "{}");
    }
    int64_t t0 = clock_mono_us();
    int done = 0;
    while (done < CALLS) {
        if (poll(p, ACTIVE, 10000) <= 0) {
            die(1, "bench: no answer to health for 10 s");
        }
        for (int i = 0; i < ACTIVE; i++) {
            sv frame;
            while (p[i].revents && ws_take(&w[i], 0, &frame)) {
                if (!sv_starts(frame, SV("{\"type\":\"res\""))) {
                    continue;
                }
                sample(out, (long)(clock_mono_us() - began[i]));
                done++;
                began[i] = clock_mono_us();
                ws_request(&w[i], "health", "{}");
            }
        }
    }
    double rate = done / ((double)(clock_mono_us() - t0) / 1e6);
    for (int i = 0; i < ACTIVE; i++) {
        ws_close(&w[i]);
    }
    return rate;
}

static void measure_active(const struct gateway *g, int idle)
{
    struct samples s = {0};
    long cpu = gateway_cpu_us(g, "tenaza-edge");
    double rate = run_active(g, &s);
    cpu = gateway_cpu_us(g, "tenaza-edge") - cpu;
    printf("| health, %d connections, beside %d idle ones | p50 %.3f ms, p99 %.3f ms, %.0f us of the edge's processor each | "
           "%.0f calls/s |\n", ACTIVE, idle, percentile(&s, .5), percentile(&s, .99), (double)cpu / CALLS, rate);
    samples_free(&s);
}

void part_edge(const char *build)
{
    struct gateway g;
    int n = room_for_idle();
    gateway_prepare(&g, build);
    (void)gateway_start(&g, build);
    measure_active(&g, 0);
    long before = gateway_private_kib(&g, "tenaza-edge");
    struct ws *w = xcalloc((size_t)n, sizeof *w);
    double rate = connect_idle(&g, w, n);
    long after = gateway_private_kib(&g, "tenaza-edge");
    if (before <= 0 || after <= before) {
        die(1, "bench: no figure for the memory of the edge");
    }
    printf("| %d idle authenticated connections | %.1f KiB of the edge each | %.0f logins/s, one at a time |\n", n,
           (double)(after - before) / n, rate);
    measure_active(&g, n);
    for (int i = 0; i < n; i++) {
        ws_close(&w[i]);
    }
    xfree(w);
    gateway_stop(&g);
}
