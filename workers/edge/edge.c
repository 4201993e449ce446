/*
 * edge.c: the edge worker from start to stop: configuration, subscriptions, ticks, draining.
 * Runs in: edge.     Owns: struct edge.
 * Never: starts without authentication on anything but loopback.
 * Tested in: the scenarios
 */
#include "workers/edge/edge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log.h"
#include "common/tz.h"
#include "workers/edge/approvals.h"
#include "workers/edge/devices.h"
#include "workers/edge/events.h"
#include "workers/edge/health.h"
#include "workers/edge/listener.h"
#include "workers/edge/pings.h"
#include "workers/edge/presence.h"
#include "workers/edge/replay.h"
#include "workers/edge/rpc.h"
#include "workers/edge/runs.h"
#include "workers/edge/server.h"
#include "workers/edge/subs.h"

#define TICK_MS 30000       /* gateway-ws.md 13.1 */
#define READY_ANYWAY_MS 3000 /* below the start limit of the supervisor */
#define GOODBYE_MS 30       /* between the shutdown event and the close (3.4) */
#define FAREWELL_MS 50      /* handover: between two lots of goodbyes */
#define FAREWELL_SHARE 2    /* they take a second part of the time we have; the rest is for what is under way */
#define DEFAULT_CONNECTIONS 1024
#define DEFAULT_HEADER_MS 10000
#define DEFAULT_IDLE_MS 75000

int64_t edge_uptime_ms(const struct edge *e)
{
    return clock_mono_ms() - e->started_mono_ms;
}

bool edge_agent_known(const struct edge *e, sv agent)
{
    const struct conf *conf = worker_conf(e->w);
    char name[65];
    if (sv_eqc(agent, EDGE_DEFAULT_AGENT)) {
        return true;
    }
    for (size_t i = 0; conf_child(conf, "agents.entries", i, name, sizeof name); i++) {
        if (sv_eqc(agent, name)) {
            return true;
        }
    }
    return false;
}

/* ---- configuration --------------------------------------------------------------------------------- */

/* The strings belong to the section. */
static const char **read_list(const struct conf *conf, const char *path, size_t *n)
{
    *n = conf_count(conf, path);
    const char **list = xcalloc(*n + 1, sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        list[i] = conf_at(conf, path, i);
    }
    return list;
}

static bool read_auth(struct edge *e, const struct conf *conf)
{
    const char *mode = conf_str(conf, "edge.auth.mode", "token");
    const char *key = NULL;
    if (strcmp(mode, "token") == 0) {
        e->conf.auth = AUTH_TOKEN;
        key = "edge.auth.token";
    } else if (strcmp(mode, "password") == 0) {
        e->conf.auth = AUTH_PASSWORD;
        key = "edge.auth.password";
    } else if (strcmp(mode, "none") == 0) {
        e->conf.auth = AUTH_NONE;
        return true;
    } else {
        worker_fail(e->w, EXIT_CONFIG, "edge.auth.mode \"%s\" is not supported; use token, password or none",
                    mode);
        return false;
    }
    const char *value = conf_secret(conf, key, "");
    if (value[0] == '\0') {
        worker_fail(e->w, EXIT_CONFIG, "%s is empty: the gateway does not start without authentication", key);
        return false;
    }
    secret_set(&e->conf.secret, sv_of(value));
    return true;
}

/* What a running edge takes: the rows that say LIVE. */
static void read_live(struct edge *e, const struct conf *conf)
{
    e->conf.auto_approve_local = conf_bool(conf, "edge.pairing.autoApproveLocal", true);
    e->conf.ui = conf_bool(conf, "edge.ui.enabled", true);
    e->conf.origins = read_list(conf, "edge.allowedOrigins", &e->conf.origins_n);
    e->conf.hosts = read_list(conf, "edge.allowedHosts", &e->conf.hosts_n);
}

static bool read_conf(struct edge *e)
{
    const struct conf *conf = worker_conf(e->w);
    e->conf.max_connections = (size_t)conf_int(conf, "edge.maxConnections", DEFAULT_CONNECTIONS);
    e->conf.header_ms = conf_int(conf, "edge.headerTimeout", DEFAULT_HEADER_MS);
    e->conf.tls = conf_bool(conf, "edge.tls.enabled", false);
    e->conf.tls_certificate = conf_secret(conf, "edge.tls.certificate", "");
    e->conf.tls_key = conf_secret(conf, "edge.tls.key", "");
    e->conf.ping_ms = conf_int(conf, "edge.pingInterval", PING_MS);
    e->conf.idle_ms = conf_int(conf, "edge.idleTimeout", DEFAULT_IDLE_MS);
    e->conf.version = conf_str(conf, "gateway.version", TENAZA_VERSION);
    e->throttle.lock_failures = conf_int(conf, "edge.auth.rateLimit.failures", e->throttle.lock_failures);
    e->throttle.lock_within_ms = conf_int(conf, "edge.auth.rateLimit.within", e->throttle.lock_within_ms);
    e->throttle.lock_ms = conf_int(conf, "edge.auth.rateLimit.block", e->throttle.lock_ms);
    read_live(e, conf);
    return read_auth(e, conf);
}

/* ---- ticks and planes ------------------------------------------------------------------------------ */

static void on_tick(void *ctx)
{
    struct edge *e = ctx;
    char payload[48];
    loop_timer_start(&e->tick, TICK_MS);
    snprintf(payload, sizeof payload, "{\"ts\":%" PRId64 "}", clock_real_ms());
    events_broadcast(e, EV_TICK, sv_of(payload), NULL, NULL);
    runs_recheck(e, false);
    worker_status(e->w, "%zu connections, %zu clients", server_sockets(e->server), e->ready_n);
}

/* Ready means that clients get answers, so it waits for the store; but an edge that can only say "starting" is
 * better than one that is restarted for it. */
static void on_ready(void *ctx)
{
    struct edge *e = ctx;
    loop_timer_stop(&e->ready_timer);
    worker_ready(e->w);
}

static void on_store_up(void *ctx)
{
    struct edge *e = ctx;
    on_ready(e);
    subs_watch(e);
    /* A run may have ended while the store could not tell us. */
    runs_recheck(e, true);
}

static void on_bus_up(void *ctx)
{
    struct edge *e = ctx;
    struct msg_ask_state ask = {0};
    bus_publish(e->bus, "ask", MSG_ASK_STATE, &ask);
}

void edge_reconfigure(struct worker *w)
{
    struct edge *e = worker_ctx(w);
    xfree(e->conf.origins);
    xfree(e->conf.hosts);
    read_live(e, worker_conf(w));
    health_reconfigure(e);
    on_bus_up(e); /* a new account may have said its state before we knew of it */
}

static void connect_planes(struct edge *e)
{
    store_on_push(e->store, MSG_RUN, runs_on_push, e);
    store_on_push(e->store, MSG_ROW, runs_on_row, e);
    store_on_push(e->store, MSG_DEVICE_NEWS, devices_on_news, e);
    store_on_push(e->store, MSG_CRON_NEWS, events_on_cron, e);
    store_on_push(e->store, MSG_APPROVALS, approvals_on_news, e);
    store_on_push(e->store, MSG_APPROVAL_ENDED, approvals_on_news, e);
    store_on_up(e->store, on_store_up, e);
    bus_subscribe(e->bus, "run", runs_on_event, e);
    bus_subscribe(e->bus, "chan", health_on_chan, e);
    bus_subscribe(e->bus, "model", health_on_model, e);
    bus_on_up(e->bus, on_bus_up, e);
}

void edge_check_drained(struct edge *e)
{
    if (e->draining && server_sockets(e->server) == 0) {
        worker_drained(e->w);
    }
}

/* A successor serves already: clients are sent to it a few at a time, so that they do not all come back at once. */
static void say_some_goodbyes(struct edge *e)
{
    int64_t left = e->farewell_end_ms - clock_mono_ms();
    int64_t lots = left > FAREWELL_MS ? left / FAREWELL_MS : 1;
    size_t n = (e->conns_n + (size_t)lots - 1) / (size_t)lots;
    LIST_EACH(it, &e->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, all);
        if (n > 0 && c->state != CONN_CLOSING) {
            conn_close(c, 1012, SV("service restart"));
            n--;
        }
    }
    server_close_idle(e->server, left <= 0);
    loop_timer_start(&e->drain_timer, FAREWELL_MS);
}

static void say_goodbye(void *ctx)
{
    struct edge *e = ctx;
    if (worker_hands_over(e->w)) {
        say_some_goodbyes(e);
        edge_check_drained(e);
        return;
    }
    LIST_EACH(it, &e->conns)
    {
        conn_close(CONTAINER_OF(it, struct conn, all), 1012, SV("service restart"));
    }
    server_close_idle(e->server, true);
    edge_check_drained(e);
}

/* ---- start ----------------------------------------------------------------------------------------- */

static struct edge *edge_new(struct worker *w)
{
    struct edge *e = xcalloc(1, sizeof *e);
    e->w = w;
    e->loop = worker_loop(w);
    e->store = worker_store(w);
    e->bus = worker_bus(w);
    e->started_mono_ms = clock_mono_ms();
    e->started_ms = clock_real_ms();
    e->presence_version = 1;
    list_init(&e->conns);
    list_init(&e->approval_calls);
    list_init(&e->replays);
    list_init(&e->channels);
    list_init(&e->tracked);
    pings_init(e);
    id_uuid(e->boot_id);
    metrics_init(e);
    throttle_init(&e->throttle);
    throttle_init(&e->http_throttle);
    e->http_throttle.lock_failures = 20;
    e->http_throttle.lock_ms = 60000;
    loop_timer_init(&e->tick, e->loop, on_tick, e);
    loop_timer_init(&e->ready_timer, e->loop, on_ready, e);
    loop_timer_init(&e->drain_timer, e->loop, say_goodbye, e);
    worker_set_ctx(w, e);
    return e;
}

int edge_init(struct worker *w)
{
    struct edge *e = edge_new(w);
    crypto_init();
    presence_init(e);
    health_init(e);
    e->rpc = rpc_new();
    e->runs = runs_new(e);
    if (!read_conf(e)) {
        return EXIT_CONFIG;
    }
    size_t count = (size_t)conf_int(worker_conf(w), "listen.count", 0);
    e->listener = listener_new(e, count, &e->conf.loopback_only);
    if (e->listener == NULL || count == 0) {
        worker_fail(w, EXIT_INTERNAL, "no listening socket was handed over");
        return EXIT_INTERNAL;
    }
    if (e->conf.auth == AUTH_NONE && !e->conf.loopback_only) {
        worker_fail(w, EXIT_CONFIG,
                    "edge.auth.mode = \"none\" is allowed on loopback only; set a token, or bind to loopback");
        return EXIT_CONFIG;
    }
    e->server = server_new(e);
    if (e->server == NULL) {
        int code = e->conf.tls ? EXIT_CONFIG : EXIT_INTERNAL;
        worker_fail(w, code, e->conf.tls ? "TLS cannot start: see edge.tls in the log" : "the HTTP library cannot start (see the log)");
        return code;
    }
    connect_planes(e);
    listener_start(e->listener);
    loop_timer_start(&e->tick, TICK_MS);
    loop_timer_start(&e->ready_timer, READY_ANYWAY_MS);
    return 0;
}

/* ---- end ------------------------------------------------------------------------------------------- */

void edge_drain(struct worker *w, int64_t within_ms)
{
    struct edge *e = worker_ctx(w);
    if (e == NULL || e->draining) {
        return;
    }
    e->draining = true;
    listener_stop(e->listener);
    if (worker_hands_over(w)) {
        e->farewell_end_ms = clock_mono_ms() + within_ms / FAREWELL_SHARE;
        loop_timer_start(&e->drain_timer, 0);
        return;
    }
    events_broadcast(e, EV_SHUTDOWN, SV("{\"reason\":\"gateway stopping\"}"), NULL, NULL);
    loop_timer_start(&e->drain_timer, GOODBYE_MS);
}

void edge_stop(struct worker *w)
{
    struct edge *e = worker_ctx(w);
    if (e == NULL) {
        return;
    }
    e->draining = true;
    listener_free(e->listener);
    server_free(e->server);
    loop_timer_stop(&e->tick);
    loop_timer_stop(&e->metrics_timer);
    pings_stop(e);
    loop_timer_stop(&e->presence_timer);
    loop_timer_stop(&e->ready_timer);
    loop_timer_stop(&e->drain_timer);
    replay_free_all(e);
    runs_free(e->runs);
    rpc_free(e->rpc);
    health_free(e);
    throttle_free(&e->throttle);
    throttle_free(&e->http_throttle);
    ratelimit_free(&e->writes);
    tz_free_all();
    map_free(&e->waiting);
    secret_free(&e->conf.secret);
    xfree(e->conf.origins);
    xfree(e->conf.hosts);
    xfree(e);
    worker_set_ctx(w, NULL);
}
