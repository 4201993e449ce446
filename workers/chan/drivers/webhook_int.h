/*
 * webhook_int.h: state of the webhook driver, and the throttle of failed authentication per client address.
 * Runs in: channel workers.     Owns: struct webhook, struct pending.
 * Never: grows with the number of clients: the throttle remembers the latest few.
 * Tested in: tests/unit/chan/test_throttle.c; scenario c2
 */
#ifndef TENAZA_WORKERS_CHAN_DRIVERS_WEBHOOK_INT_H
#define TENAZA_WORKERS_CHAN_DRIVERS_WEBHOOK_INT_H

#include "common/http.h"
#include "common/map.h"
#include "workers/chan/bucket.h"
#include "workers/chan/chan.h"
#include "workers/chan/drivers/webhook_req.h"

/* After this many failures in the window an address is refused until the window ends. */
#define THROTTLE_FAILURES 20
#define THROTTLE_WINDOW_MS 60000
#define THROTTLE_PEERS 64

struct throttle {
    struct {
        char peer[64];
        int64_t since_ms;
        unsigned failures;
    } row[THROTTLE_PEERS];
};

bool throttle_blocked(const struct throttle *t, sv peer, int64_t now_ms);
void throttle_failed(struct throttle *t, sv peer, int64_t now_ms);

struct webhook {
    struct chan *c;
    struct webhook_auth auth;
    const char *callback; /* NULL: none */
    bool allow_private;
    bool watching;        /* RUN pushes are on */
    char *path;
    struct http_client *http;
    struct bucket rate;
    struct throttle throttle;
    struct list pending;
    size_t pending_n;
};

/* A request whose response is still open. */
struct pending {
    struct list link;
    struct webhook *h;
    struct bus_peer from;
    char event_id[260];
    char run_id[136];
    int64_t wait_ms;  /* of ?wait=, 0: none */
    int64_t until_ms; /* monotonic */
    bool dup;
    struct loop_timer timer;
};

#endif
