/*
 * health.c: see health.h.
 * Runs in: edge.     Owns: nothing else.
 * Never: builds the snapshot per call: 20,000 calls a second are answered from it.
 * Tested in: the scenarios
 */
#include "workers/edge/health.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/edge/events.h"
#include "workers/edge/http.h"
#include "workers/edge/rpc.h"

#define REFRESH_MS 60000 /* gateway-ws.md 12.7 */
#define SILENT_MS 35000  /* a channel worker speaks every 10 s; after this it is not counted as connected */
#define CHANNELS_MAX 64
#define ASK_MS 500        /* a probe makes sure that store and bus answer, at most this often */

void rpc_health(struct rpc_call *call);
void route_healthz(struct http_req *r);
void route_readyz(struct http_req *r);

/* ---- channels and model ---------------------------------------------------------------------------- */

struct chan_row *health_channel(const struct edge *e, sv name)
{
    LIST_EACH(it, &e->channels)
    {
        struct chan_row *row = CONTAINER_OF(it, struct chan_row, all);
        if (sv_eqc(name, row->name)) {
            return row;
        }
    }
    return NULL;
}

static struct chan_row *add_channel(struct edge *e, sv name)
{
    struct chan_row *row = xcalloc(1, sizeof *row);
    row->name = xsvdup(name);
    sv rest = name;
    sv_copy(row->channel, sizeof row->channel, sv_cut(&rest, '/'));
    sv_copy(row->account, sizeof row->account, rest);
    sv_copy(row->state, sizeof row->state, SV("starting"));
    list_init(&row->calls);
    list_add_tail(&e->channels, &row->all);
    return row;
}

void health_on_chan(void *ctx, uint16_t type, const void *body, bool gap)
{
    struct edge *e = ctx;
    UNUSED(gap);
    if (type != MSG_CHAN_STATE) {
        return;
    }
    const struct msg_chan_state *s = body;
    char name[130];
    snprintf(name, sizeof name, "%.*s/%.*s", SV_ARG(s->channel), SV_ARG(s->account));
    struct chan_row *row = health_channel(e, sv_of(name));
    if (row == NULL) {
        log_debug("state of an account that is not configured: %s", name);
        return;
    }
    bool changed = !sv_eqc(s->state, row->state);
    /* The same state since another time: another process says so. */
    bool restarted = s->since_ms != row->since_ms && (!changed || sv_eqc(s->state, "starting"));
    sv_copy(row->state, sizeof row->state, s->state);
    sv_copy(row->detail, sizeof row->detail, sv_sub(s->detail, 0, sizeof row->detail - 1));
    sv_copy(row->identity, sizeof row->identity, sv_sub(s->identity, 0, sizeof row->identity - 1));
    row->since_ms = s->since_ms;
    row->last_in_ms = s->last_in_ms;
    row->last_out_ms = s->last_out_ms;
    row->reconnects = s->reconnects;
    row->heard_ms = clock_mono_ms();
    if (restarted) {
        webhook_restarted(row);
    }
    if (changed) {
        health_refresh(e, true);
    }
}

void health_on_model(void *ctx, uint16_t type, const void *body, bool gap)
{
    struct edge *e = ctx;
    UNUSED(gap);
    if (type != MSG_MODEL) {
        return;
    }
    const struct msg_model *m = body;
    sv_copy(e->model.provider, sizeof e->model.provider, m->provider);
    sv_copy(e->model.model, sizeof e->model.model, m->model);
    sv_copy(e->model.api, sizeof e->model.api, m->api);
    sv_copy(e->model.why, sizeof e->model.why, m->why);
    sv_copy(e->model.tools, sizeof e->model.tools, m->tools);
    e->model.window = m->window;
}

static bool is_connected(const struct chan_row *row)
{
    return sv_eqc(SV("connected"), row->state) && clock_mono_ms() - row->heard_ms < SILENT_MS;
}

/* Is this the first account of its channel? Rows of one channel stand together or not; both is fine. */
static bool first_of_channel(const struct edge *e, const struct chan_row *row)
{
    LIST_EACH(it, &e->channels)
    {
        const struct chan_row *r = CONTAINER_OF(it, struct chan_row, all);
        if (sv_eqc(sv_of(row->channel), r->channel)) {
            return r == row;
        }
    }
    return false;
}

void health_add_channels(const struct edge *e, struct buf *b)
{
    static const char *const heads[] = {"\"channelOrder\":[", "],\"channelLabels\":{",
                                        "},\"channels\":{"};
    for (size_t part = 0; part < ARRAY_LEN(heads); part++) {
        buf_str(b, heads[part]);
        bool first = true;
        LIST_EACH(it, &e->channels)
        {
            const struct chan_row *r = CONTAINER_OF(it, struct chan_row, all);
            if (!first_of_channel(e, r)) {
                continue;
            }
            buf_str(b, first ? "" : ",");
            first = false;
            buf_json_str(b, sv_of(r->channel));
            if (part == 1) {
                buf_ch(b, ':');
                buf_json_str(b, sv_of(r->channel));
            } else if (part == 2) {
                buf_printf(b, ":{\"configured\":true,\"running\":true,\"connected\":%s,\"state\":",
                           is_connected(r) ? "true" : "false");
                buf_json_str(b, sv_of(r->state));
                buf_ch(b, '}');
            }
        }
    }
    buf_ch(b, '}');
}

/* ---- the snapshot ---------------------------------------------------------------------------------- */

void health_refresh(struct edge *e, bool broadcast)
{
    struct buf *b = &e->health;
    int64_t before = clock_mono_us();
    buf_reset(b);
    e->health_ms = clock_real_ms();
    buf_printf(b, "{\"ok\":true,\"ts\":%" PRId64 ",", e->health_ms);
    health_add_channels(e, b);
    buf_printf(b,
               ",\"heartbeatSeconds\":0,\"defaultAgentId\":\"main\",\"agents\":[{\"agentId\":\"main\","
               "\"isDefault\":true,\"heartbeat\":{\"enabled\":false,\"every\":\"disabled\","
               "\"everyMs\":null,\"prompt\":\"\",\"target\":\"last\",\"ackMaxChars\":300},"
               "\"sessions\":{\"path\":\"store\",\"count\":%" PRIu64 ",\"recent\":[]}}],"
               "\"sessions\":{\"path\":\"store\",\"count\":%" PRIu64 ",\"recent\":[]},",
               e->sessions_n, e->sessions_n);
    buf_printf(b, "\"durationMs\":%" PRId64 "}", (clock_mono_us() - before) / 1000);
    e->health_version++;
    if (broadcast && !e->draining) {
        events_broadcast(e, EV_HEALTH, buf_view(b), NULL, NULL);
    }
}

static void on_numbers(void *ctx, int err, uint16_t type, const void *body)
{
    struct edge *e = ctx;
    if (err == OK && type == MSG_STORE_INFO) {
        const struct msg_store_info *info = body;
        e->sessions_n = info->sessions;
    }
    health_refresh(e, true);
}

static void on_timer(void *ctx)
{
    struct edge *e = ctx;
    loop_timer_start(&e->health_timer, REFRESH_MS);
    const struct msg_store_stats ask = {.check = false};
    store_call(e->store, MSG_STORE_STATS, &ask, 10000, on_numbers, e);
}

static void add_configured(struct edge *e)
{
    const struct conf *conf = worker_conf(e->w);
    for (size_t i = 0; i < conf_count(conf, "channels.list") && i < CHANNELS_MAX; i++) {
        sv name = sv_of(conf_at(conf, "channels.list", i));
        if (health_channel(e, name) == NULL) {
            add_channel(e, name);
        }
    }
}

static void free_channel(struct chan_row *row)
{
    list_del(&row->all);
    xfree(row->name);
    xfree(row);
}

void health_reconfigure(struct edge *e)
{
    LIST_EACH(it, &e->channels)
    {
        struct chan_row *row = CONTAINER_OF(it, struct chan_row, all);
        if (!conf_list_has(worker_conf(e->w), "channels.list", sv_of(row->name))) {
            webhook_restarted(row); /* whoever waits for its answer is told */
            free_channel(row);
        }
    }
    add_configured(e);
    health_refresh(e, true);
}

void health_init(struct edge *e)
{
    e->health = BUF_INIT(1024 * 1024);
    list_init(&e->channels);
    add_configured(e);
    loop_timer_init(&e->health_timer, e->loop, on_timer, e);
    loop_timer_start(&e->health_timer, REFRESH_MS);
    health_refresh(e, false);
}

void health_free(struct edge *e)
{
    loop_timer_stop(&e->health_timer);
    LIST_EACH(it, &e->channels)
    {
        free_channel(CONTAINER_OF(it, struct chan_row, all));
    }
    buf_free(&e->health);
}

/* ---- who asks -------------------------------------------------------------------------------------- */

void rpc_health(struct rpc_call *call)
{
    struct buf b;
    if (rpc_bool(call, "probe", false)) {
        health_refresh(call->e, true);
    }
    rpc_begin(call, &b);
    buf_sv(&b, buf_view(&call->e->health));
    rpc_done(call, &b);
}

void route_healthz(struct http_req *r)
{
    http_answer(r, 200, "application/json", SV("{\"ok\":true,\"status\":\"live\"}"), NULL);
}

/* Others than local callers get the bare facts (http-surfaces.md 3.2). */
void route_readyz(struct http_req *r)
{
    struct edge *e = r->e;
    struct buf b = BUF_INIT(8192);
    const char *failing[3];
    size_t n = 0;
    if (clock_mono_ms() - e->asked_mono_ms > ASK_MS) {
        e->asked_mono_ms = clock_mono_ms();
        store_ask(e->store);
        bus_ask(e->bus);
    }
    if (!store_is_up(e->store)) {
        failing[n++] = "store";
    }
    if (!bus_is_up(e->bus)) {
        failing[n++] = "bus";
    }
    if (e->draining && !worker_hands_over(e->w)) {
        failing[n++] = "draining";
    }
    buf_printf(&b, "{\"ready\":%s,\"status\":\"%s\"", n == 0 ? "true" : "false", n == 0 ? "ok" : "failing");
    if (r->peer.loopback) {
        buf_str(&b, ",\"failing\":[");
        for (size_t i = 0; i < n; i++) {
            buf_printf(&b, "%s\"%s\"", i ? "," : "", failing[i]);
        }
        buf_str(&b, "],\"degraded\":[");
        bool first = true;
        LIST_EACH(it, &e->channels)
        {
            const struct chan_row *row = CONTAINER_OF(it, struct chan_row, all);
            if (!is_connected(row)) {
                buf_str(&b, first ? "\"channel:" : ",\"channel:");
                buf_str(&b, row->name);
                buf_ch(&b, '"');
                first = false;
            }
        }
        buf_printf(&b, "],\"uptimeMs\":%" PRId64, edge_uptime_ms(e));
    }
    buf_ch(&b, '}');
    http_answer(r, n == 0 ? 200 : 503, "application/json", buf_view(&b),
                n == 0 ? NULL : "Retry-After: 1\r\n");
    buf_free(&b);
}
