/*
 * core.c: one account: its policy from the configuration, its health, its beginning and its end.
 * Runs in: channel workers.     Owns: struct chan.
 * Never: knows a platform; rows of channels.def do.
 * Tested in: by every scenario with a channel
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "workers/chan/chan_int.h"

#define STATE_EVERY_MS 10000 /* CHAN_STATE is repeated, because the bus may lose it */

#define CHANNEL(name, doc, cls, keying) extern const struct chan_driver chan_##name;
#include "workers/chan/channels.def"
#undef CHANNEL

static const struct chan_row rows[] = {
#define CHANNEL(name, doc, cls, keying) {#name, doc, cls, keying, &chan_##name},
#include "workers/chan/channels.def"
#undef CHANNEL
};

static const char *const health_names[] = {"starting",     "connected", "degraded",
                                           "reconnecting", "stopped",   "needs-operator"};

const struct chan_row *chan_row_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

struct worker *chan_worker(struct chan *c)
{
    return c->worker;
}

struct loop *chan_loop(struct chan *c)
{
    return worker_loop(c->worker);
}

const struct conf *chan_conf(struct chan *c)
{
    return worker_conf(c->worker);
}

const char *chan_account(struct chan *c)
{
    return c->account;
}

void *chan_ctx(const struct chan *c)
{
    return c->ctx;
}

void chan_set_ctx(struct chan *c, void *ctx)
{
    c->ctx = ctx;
}

/* ---- health ------------------------------------------------------------------------------------------ */

static void publish(struct chan *c)
{
    struct msg_chan_state m = {
        .channel = sv_of(c->row->name),
        .account = sv_of(c->account),
        .state = sv_of(health_names[c->health]),
        .detail = sv_of(c->why),
        .since_ms = c->since_ms,
        .last_in_ms = c->last_in_ms,
        .last_out_ms = c->last_out_ms,
        .reconnects = c->reconnects,
        .identity = sv_of(c->identity),
    };
    bus_publish(worker_bus(c->worker), "chan", MSG_CHAN_STATE, &m);
}

/* Somebody came who does not know us yet. */
static void on_ask(void *ctx, uint16_t type, const void *body, bool gap)
{
    UNUSED(body);
    UNUSED(gap);
    if (type == MSG_ASK_STATE) {
        publish(ctx);
    }
}

static void on_bus_up(void *ctx)
{
    publish(ctx);
}

static void on_beat(void *ctx)
{
    struct chan *c = (struct chan *)ctx;
    publish(c);
    loop_timer_start(&c->beat, STATE_EVERY_MS);
}

void chan_state(struct chan *c, enum chan_health health, const char *fmt, ...)
{
    char why[sizeof c->why];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    if (n < 0) {
        why[0] = '\0';
    }
    if (c->health == health && strcmp(c->why, why) == 0) {
        return;
    }
    bool turned = c->health != health;
    if (turned) {
        c->since_ms = clock_real_ms();
    }
    c->health = health;
    counter_set(C_chan_connected, health == CHAN_UP);
    memcpy(c->why, why, sizeof why);
    worker_status(c->worker, "%s", c->why[0] ? c->why : health_names[health]);
    if (health != CHAN_NEEDS_OPERATOR) { /* worker_fail follows and says it */
        log_info("%s", c->why[0] ? c->why : health_names[health]);
    }
    publish(c);
    if (turned && c->started) {
        outbound_want(c->out);
    }
}

enum chan_health chan_health_now(const struct chan *c)
{
    return c->health;
}

void chan_identity(struct chan *c, sv who)
{
    if (!sv_copy(c->identity, sizeof c->identity, who)) {
        log_debug("our name does not fit %zu bytes", sizeof c->identity);
    }
}

uint64_t chan_busy_ms(const struct chan *c)
{
    return c->busy_ms;
}

void chan_count_reconnect(struct chan *c)
{
    c->reconnects++;
    counter_add(C_chan_reconnects, 1);
}

/* ---- HTTP calls of the edge -------------------------------------------------------------------------- */

static void on_http(void *ctx, const struct bus_peer *from, uint16_t type, const void *body)
{
    struct chan *c = (struct chan *)ctx;
    UNUSED(type);
    if (c->driver->http && !c->draining) {
        c->driver->http(c, from, (const struct msg_http_in *)body);
        return;
    }
    struct msg_http_out out = {.status = c->draining ? 503 : 404, .type = SV("application/json")};
    out.retry_after_s = c->draining ? 5 : 0;
    out.body = c->draining ? SV("{\"ok\":false,\"error\":\"restarting, try again\"}")
                           : SV("{\"ok\":false,\"error\":\"this channel takes no HTTP requests\"}");
    bus_reply(worker_bus(c->worker), from, MSG_HTTP_OUT, &out);
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static struct gate_list list_of(const struct conf *conf, const char *path)
{
    const struct conf_item *it = conf_find(conf, path);
    if (!it || it->kind != CONF_LIST) {
        return (struct gate_list){NULL, 0};
    }
    return (struct gate_list){(const char *const *)it->list, it->list_n};
}

/* Who is heard: all of it can change while the worker runs. */
static void read_policy(struct chan *c)
{
    const struct conf *conf = chan_conf(c);
    c->policy = (struct gate_policy){
        .dm = gate_dm_policy(conf_str(conf, "dmPolicy", NULL)),
        .group = gate_group_policy(conf_str(conf, "groupPolicy", NULL)),
        .allow_from = list_of(conf, "allowFrom"),
        .group_allow_from = list_of(conf, "groupAllowFrom"),
        .groups = list_of(conf, "groups"),
        .require_mention = conf_bool(conf, "requireMention", true),
        .max_age_ms = c->driver->max_age_ms,
        .match_sender = c->driver->match_sender,
        .match_group = c->driver->match_group,
        .match_ctx = c,
    };
    c->policy.can_mention = c->driver->can_mention || mention_count(c->mentions) > 0;
}

static int load_policy(struct chan *c)
{
    const struct conf *conf = chan_conf(c);
    struct gate_list patterns = list_of(conf, "mentionPatterns");
    for (size_t i = 0; i < patterns.n; i++) {
        const char *why = NULL;
        if (mention_add(c->mentions, patterns.v[i], &why) != OK) {
            worker_fail(c->worker, EXIT_CONFIG, "channels.%s: mentionPatterns[%zu] \"%s\": %s", c->row->name,
                        i, patterns.v[i], why);
            return EXIT_CONFIG;
        }
    }
    read_policy(c);
    int64_t keep = conf_int(conf, "historyLimit", 50);
    history_init(&c->history, keep < 0 ? 0 : (size_t)keep);
    return 0;
}

struct chan *chan_new(struct worker *w, const struct chan_row *row)
{
    struct chan *c = (struct chan *)xcalloc(1, sizeof *c);
    c->worker = w;
    c->row = row;
    c->driver = row->driver;
    c->account = conf_str(worker_conf(w), "account", "default");
    c->mentions = mention_new();
    c->health = CHAN_STARTING;
    c->since_ms = clock_real_ms();
    history_init(&c->history, 0);
    loop_timer_init(&c->beat, worker_loop(w), on_beat, c);
    return c;
}

int chan_start(struct chan *c)
{
    int rc = load_policy(c);
    if (rc != 0) {
        return rc;
    }
    c->in = inbound_new(c);
    c->out = outbound_new(c);
    bus_serve(worker_bus(c->worker), MSG_HTTP_IN, on_http, c);
    bus_subscribe(worker_bus(c->worker), "ask", on_ask, c);
    bus_on_up(worker_bus(c->worker), on_bus_up, c);
    c->started = true;
    rc = c->driver->start(c);
    if (rc != 0) {
        c->started = false;
        return rc;
    }
    loop_timer_start(&c->beat, STATE_EVERY_MS);
    publish(c);
    return 0;
}

void chan_reconfigure(struct chan *c)
{
    read_policy(c);
}

void chan_drain(struct chan *c)
{
    /* Reading goes on: what arrives now is stored, and proofs of delivery come the same way. */
    c->draining = true;
    outbound_want(c->out);
    outbound_drain(c->out);
    chan_drain_check(c);
}

void chan_drain_check(struct chan *c)
{
    if (c->draining && inbound_idle(c->in) && outbound_idle(c->out)) {
        worker_drained(c->worker);
    }
}

void chan_free(struct chan *c)
{
    if (c->started) {
        c->health = CHAN_STOPPED;
        c->started = false;
        c->driver->stop(c);
    }
    loop_timer_stop(&c->beat);
    if (c->in) {
        inbound_free(c->in);
    }
    if (c->out) {
        outbound_free(c->out);
    }
    history_free(&c->history);
    mention_free(c->mentions);
    xfree(c);
}
