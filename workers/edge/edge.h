/*
 * edge.h: the edge worker's own state, shared by the files of this folder.
 * Runs in: edge.     Owns: see the members.
 * Never: included outside this folder.
 * Tested in: the scenarios; the pure parts have tests of their own
 */
#ifndef TENAZA_EDGE_EDGE_H
#define TENAZA_EDGE_EDGE_H

#include "common/crypto.h"
#include "common/err.h"
#include "common/map.h"
#include "workers/edge/ratelimit.h"
#include "workers/edge/throttle.h"
#include "workers/runtime/worker.h"

enum auth_mode { AUTH_TOKEN, AUTH_PASSWORD, AUTH_NONE };

struct server;
struct listener;
struct runs;
struct rpc_table;

struct edge_conf {
    enum auth_mode auth;
    struct secret secret;         /* token or password */
    bool auto_approve_local;      /* devices of this host are paired without asking */
    bool loopback_only;           /* every listening socket is bound to loopback */
    const char **origins;         /* edge.allowedOrigins; strings belong to the section */
    size_t origins_n;
    const char **hosts;           /* edge.allowedHosts, as above */
    size_t hosts_n;
    size_t max_connections;
    int64_t header_ms, idle_ms;   /* HTTP: deadline of headers, keep-alive */
    int64_t ping_ms;
    bool tls;
    const char *tls_certificate, *tls_key; /* PEM; belong to the section */
    bool ui;                      /* serve the web page */
    const char *version;          /* gateway.version */
};

/* One account of one channel, as its worker last said on topic `chan`. */
struct chan_row {
    struct list all;
    char *name; /* "irc/default" */
    char channel[65], account[65];
    char state[17], detail[256], identity[256];
    int64_t since_ms, last_in_ms, last_out_ms, heard_ms;
    uint64_t reconnects;
    struct list calls; /* struct http_req.of_account: webhooks waiting for this worker's answer */
};

/* The model in use, as the agents last said on topic `model`. */
struct model_row {
    char provider[65], model[129], api[65], why[257];
    uint64_t window;
    char tools[8193]; /* "name\tdescription\n"... */
};

struct edge {
    struct worker *w;
    struct loop *loop;
    struct plane_store *store;
    struct plane_bus *bus;
    struct edge_conf conf;
    struct server *server;
    struct listener *listener;
    struct throttle throttle;
    struct throttle http_throttle; /* failed bearer credentials; locks loopback too (http-surfaces.md 3.1) */
    struct ratelimit writes; /* control-plane writes (13.4) */
    struct runs *runs;
    struct rpc_table *rpc;

    struct list replays; /* struct replay.all: clients that may come back (replay.c) */
    size_t replays_n;
    struct list conns; /* struct conn.all */
    struct list approval_calls; /* struct rpc_call.of_run: calls that wait for a decision */
    struct list pings;   /* struct conn.of_pings, first due first */
    struct list tracked; /* struct conn.of_tracked */
    size_t conns_n, ready_n;
    struct map waiting; /* address -> (void *) number of sockets that have not logged in yet */

    char boot_id[37];
    int64_t started_mono_ms, started_ms;
    bool draining;
    int64_t farewell_end_ms; /* handover: by then everybody has been sent away */
    uint64_t presence_version, health_version;

    struct list channels; /* struct chan_row.all */
    struct model_row model;
    struct buf health;    /* last health result, JSON */
    int64_t health_ms;
    int64_t asked_mono_ms; /* /readyz last made sure that store and bus answer */
    uint64_t sessions_n;  /* from the store's numbers */

    unsigned row_watchers; /* connections that want stored rows (session.message) */
    struct list metrics_waiting; /* struct http_req.of_account: who asked for /metrics */
    struct loop_timer metrics_timer;
    struct loop_timer ping_timer, tick, health_timer, presence_timer, drain_timer, ready_timer;
};

int edge_init(struct worker *w);
void edge_drain(struct worker *w, int64_t within_ms);
void edge_stop(struct worker *w);
void edge_reconfigure(struct worker *w);
/* metrics.c */
void metrics_init(struct edge *e);
void edge_metrics(struct worker *w, int fd);
/* Drain only: says so when the last connection is gone. */
void edge_check_drained(struct edge *e);
int64_t edge_uptime_ms(const struct edge *e);

/* Agents that a client may name. */
bool edge_agent_known(const struct edge *e, sv agent);
#define EDGE_DEFAULT_AGENT "main"

#endif
