/*
 * bench.c: one command that prints what Tenaza costs: start, memory, turns, calls.
 * Runs in: tenaza-bench BUILD_DIR.     Owns: one gateway and one fake model server with no delay.
 * Never: judges: it prints figures; ratios to a target are for the reader (README quotes them with the machine).
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/map.h"
#include "tests/bench/gateway.h"
#include "tests/bench/ws.h"

#define SESSIONS_MAX 32

struct samples {
    long *us;
    size_t n, cap;
};

static void sample(struct samples *s, long us)
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

static double percentile(struct samples *s, double p)
{
    qsort(s->us, s->n, sizeof *s->us, by_value);
    return s->n ? (double)s->us[(size_t)(p * (double)(s->n - 1))] / 1000.0 : 0;
}

/* `sessions` conversations at once over one connection until `turns` have ended; returns turns a second. */
static double run_turns(struct ws *w, int sessions, int turns, const char *tag, struct samples *out)
{
    int64_t began[SESSIONS_MAX] = {0};
    int sent = 0, ended = 0;
    int64_t t0 = clock_mono_us();
    for (; sent < sessions && sent < turns; sent++) {
        began[sent] = clock_mono_us();
        char *p = xasprintf("{\"sessionKey\":\"agent:main:bench-%s-%d\",\"message\":\"turn\",\"idempotencyKey\":\"%s/%d/%d\"}",
                            tag, sent, tag, sent, sent);
        ws_request(w, "chat.send", p);
        xfree(p);
    }
    while (ended < turns) {
        json_t *f = ws_next(w, 20000);
        if (!f) {
            die(1, "bench: no frame for 20 s after %d of %d turns", ended, turns);
        }
        sv state = json_sv(f, "payload.state"), run = json_sv(f, "payload.runId");
        if (sv_eqc(json_sv(f, "event"), "chat") && sv_starts(run, sv_of(tag)) && !sv_eqc(state, "delta") &&
            !sv_eqc(state, "status")) {
            if (!sv_eqc(state, "final")) {
                die(1, "bench: a turn ended as %.*s", SV_ARG(state));
            }
            uint64_t slot = 0;
            sv rest = run;
            sv_cut(&rest, '/');
            sv_u64(sv_cut(&rest, '/'), &slot);
            sample(out, (long)(clock_mono_us() - began[slot % SESSIONS_MAX]));
            ended++;
            if (sent < turns) {
                began[slot % SESSIONS_MAX] = clock_mono_us();
                char *p = xasprintf("{\"sessionKey\":\"agent:main:bench-%s-%d\",\"message\":\"turn\",\"idempotencyKey\":\"%s/%d/%d\"}",
                                    tag, (int)slot, tag, (int)slot, sent);
                ws_request(w, "chat.send", p);
                xfree(p);
                sent++;
            }
        }
        json_free(&f);
    }
    return turns / ((double)(clock_mono_us() - t0) / 1e6);
}

/* One `health` call in flight on each of n connections. */
static double run_health(const struct gateway *g, int n, int calls, struct samples *out)
{
    struct ws w[SESSIONS_MAX];
    struct pollfd p[SESSIONS_MAX];
    int64_t began[SESSIONS_MAX];
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

static void measure_turns(struct ws *w, int sessions, int turns, const char *tag)
{
    struct samples warm = {0}, s = {0};
    char *warm_tag = xasprintf("%s-warm", tag);
    run_turns(w, sessions, sessions * 4, warm_tag, &warm);
    double rate = run_turns(w, sessions, turns, tag, &s);
    printf("| turn, %2d session%s | p50 %.2f ms, p99 %.2f ms | %.0f turns/s |\n", sessions, sessions == 1 ? " " : "s",
           percentile(&s, .5), percentile(&s, .99), rate);
    xfree(warm_tag);
    xfree(warm.us);
    xfree(s.us);
}

static void measure_health(const struct gateway *g, int n, int calls)
{
    struct samples s = {0};
    double rate = run_health(g, n, calls, &s);
    printf("| health, %2d connection%s | p50 %.3f ms, p99 %.3f ms | %.0f calls/s |\n", n, n == 1 ? " " : "s",
           percentile(&s, .5), percentile(&s, .99), rate);
    xfree(s.us);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: tenaza-bench BUILD_DIR\n");
        return EXIT_USAGE;
    }
    struct gateway g;
    struct samples starts = {0};
    for (int i = 0; i < 5; i++) {
        gateway_prepare(&g, argv[1]);
        sample(&starts, gateway_start(&g, argv[1]));
        if (i < 4) {
            gateway_stop(&g);
        }
    }
    printf("| what | figure | rate |\n|---|---|---|\n");
    printf("| exec to first authenticated hello (5 cold starts) | median %.0f ms, worst %.0f ms | |\n",
           percentile(&starts, .5), percentile(&starts, 1));
    xfree(starts.us);
    sleep(2);
    int n = 0;
    long pss = gateway_pss_kib(&g, &n);
    printf("| PSS idle, %d processes | %.1f MB | |\n", n, (double)pss / 1024);
    struct ws w;
    if (!ws_connect(&w, g.port, g.token)) {
        die(1, "bench: connection refused");
    }
    measure_turns(&w, 1, 1000, "one");
    pss = gateway_pss_kib(&g, &n);
    printf("| PSS after 1,000 turns, %d processes | %.1f MB | |\n", n, (double)pss / 1024);
    measure_turns(&w, SESSIONS_MAX, 3000, "many");
    ws_close(&w);
    measure_health(&g, 1, 5000);
    measure_health(&g, SESSIONS_MAX, 40000);
    gateway_stop(&g);
    return 0;
}
