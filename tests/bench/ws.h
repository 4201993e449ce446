/*
 * ws.h: the smallest WebSocket client that measures something: loopback, text frames, no TLS, no extensions.
 * Runs in: tenaza-bench.     Owns: its sockets.
 * Never: is used outside benchmarks (it trusts the server).
 * Tested in: every bench run
 */
#ifndef TENAZA_BENCH_WS_H
#define TENAZA_BENCH_WS_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/json.h"

struct ws {
    int fd;
    struct buf in;
    size_t taken; /* bytes of `in` that ws_take has given out */
    unsigned next_id;
};

/* Upgrades and says hello with this token. false: not yet (refused, starting); the socket is closed. */
bool ws_connect(struct ws *w, int port, const char *token);
void ws_close(struct ws *w);
/* Sends a request; params is JSON text. Returns its id. */
unsigned ws_request(struct ws *w, const char *method, const char *params);
/* Next text frame as it is; the view dies with the next call. False on timeout or end. */
bool ws_take(struct ws *w, int timeout_ms, sv *frame);
/* Next frame as JSON, waiting at most timeout_ms; NULL on timeout or end. The caller frees it. */
json_t *ws_next(struct ws *w, int timeout_ms);

#endif
