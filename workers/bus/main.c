/*
 * main.c: the bus process: lossy routing of deltas and live calls.
 * Runs in: bus.     Owns: the router on bus/sock and the line that `tenaza status` shows.
 * Never: keeps anything; losing it loses some deltas, and whoever waits has a deadline.
 * Tested in: tests/unit/bus/, and by the scenarios that kill it
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "workers/bus/bus.h"
#include "workers/runtime/slot.h"
#include "workers/runtime/worker.h"

/* The status line is renewed this often while messages flow, and while none do. */
enum { FIRST_STATUS_MS = 500, STATUS_MS = 5000, IDLE_STATUS_MS = 30000 };

struct bus {
    struct route *route;
    struct loop_timer timer;
    uint64_t seen;    /* messages at the last look */
    int64_t looked_ms;
};

static void on_status(void *ctx)
{
    struct worker *w = ctx;
    struct bus *b = worker_ctx(w);
    uint64_t total = route_messages(b->route), drops = route_drops(b->route);
    int64_t now = clock_mono_ms(), took = now - b->looked_ms;
    uint64_t rate = (total - b->seen) * 1000 / (uint64_t)(took > 0 ? took : 1);
    char lost[48] = "";
    if (drops > 0) {
        (void)snprintf(lost, sizeof lost, ", %" PRIu64 " dropped", drops);
    }
    worker_status(w, "%zu peers, %" PRIu64 " msg/s%s", route_peers(b->route), rate, lost);
    loop_timer_start(&b->timer, slot_wait_ms(rate > 0 ? STATUS_MS : IDLE_STATUS_MS));
    b->seen = total;
    b->looked_ms = now;
}

static int init(struct worker *w)
{
    char to[160];
    worker_endpoint(w, "bus/sock", to, sizeof to);
    struct bus *b = xcalloc(1, sizeof *b);
    worker_set_ctx(w, b);
    loop_timer_init(&b->timer, worker_loop(w), on_status, w);
    if (route_new(worker_loop(w), to, &b->route) != OK) {
        worker_fail(w, EXIT_TEMPFAIL, "cannot bind %s: %s", to, strerror(errno));
        return EXIT_TEMPFAIL;
    }
    b->looked_ms = clock_mono_ms();
    worker_ready(w);
    loop_timer_start(&b->timer, FIRST_STATUS_MS);
    return 0;
}

static void stop(struct worker *w)
{
    struct bus *b = worker_ctx(w);
    if (b) {
        loop_timer_stop(&b->timer);
        route_free(b->route);
        xfree(b);
    }
}

static void peer(struct worker *w, bool up, const char *name, uint64_t inc, int32_t pid)
{
    struct bus *b = worker_ctx(w);
    route_peer(b->route, up, name, inc, pid);
}

int main(int argc, char **argv)
{
    static const struct worker_ops ops = {
        .kind = "bus", .planes = PLANES_NONE, .init = init, .stop = stop, .peer = peer};
    return worker_main(argc, argv, &ops);
}
