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

/* `sessions` conversations at once over one connection until `turns` have ended; returns turns a second. */
static double run_turns(struct ws *w, int sessions, int turns, const char *tag, struct samples *out)
{
    int64_t began[BENCH_CLIENTS_MAX] = {0};
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
            sample(out, (long)(clock_mono_us() - began[slot % BENCH_CLIENTS_MAX]));
            ended++;
            if (sent < turns) {
                began[slot % BENCH_CLIENTS_MAX] = clock_mono_us();
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
