/*
 * turns.c: drives conversations against the fake model server.
 * Runs in: tenaza-bench.     Owns: nothing.
 * Never: waits longer than 20 s for a frame.
 * Tested in: every bench run
 */
#include "common/clock.h"
#include "common/err.h"
#include "tests/bench/bench.h"
#include "tests/bench/ws.h"

double run_turns(struct ws *w, int sessions, int turns, const char *tag, struct samples *out)
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
