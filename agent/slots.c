/*
 * slots.c: what this agent takes on: WANT, GRANT, ABORT_RUN, drain, and what it tells others about itself.
 * Runs in: agent.     Owns: the set of runs, the timers of struct agent.
 * Never: works on a run twice; drops a grant that it has room for.
 * Tested in: tests/unit/agent/test_run.c
 */
#include <stdio.h>

#include "agent/agent.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tz.h"

#define RENEW_MS 20000       /* a lease lasts 60 s without a sign of life (architecture.md 6) */
#define RENEW_AGAIN_MS 2000
#define PUBLISH_MS 10000
#define STATUS_MS 500        /* the status line is for people: not once per step */
#define DRAIN_MARGIN_MS 500

/* ---- WANT ------------------------------------------------------------------------------------------ */

static void on_wanted(void *ctx, int err, uint16_t type, const void *body)
{
    struct agent *ag = ctx;
    (void)type;
    (void)body;
    if (err < 0) {
        log_warn("the store does not answer WANT: %s", err_name(err));
        loop_timer_start(&ag->renew, RENEW_AGAIN_MS);
    }
}

static void want(void *ctx)
{
    struct agent *ag = ctx;
    struct msg_run_ref held[AGENT_RUNS_MAX];
    struct msg_want m = {.slots = ag->draining ? 0 : AGENT_SLOTS, .held = held};
    LIST_EACH(e, &ag->run_list)
    {
        if (m.held_n < ARRAY_LEN(held)) {
            held[m.held_n++].run_id = CONTAINER_OF(e, struct run, link)->g.run_id;
        }
    }
    loop_timer_start(&ag->renew, RENEW_MS);
    store_call(ag->store, MSG_WANT, &m, RENEW_MS / 2, on_wanted, ag);
}

/* ---- GRANT, ABORT_RUN ------------------------------------------------------------------------------ */

void agent_grant(struct agent *ag, const struct msg_grant *g)
{
    struct run *old = map_get(&ag->runs, g->run_id);
    if (old && old->g.fence >= g->fence) {
        return; /* a repeat, or older than what we know */
    }
    if (old) {
        run_forget(old);
    }
    if (ag->runs_n == AGENT_RUNS_MAX) {
        log_warn("run %.*s is left: %d are in progress", SV_ARG(g->run_id), AGENT_RUNS_MAX);
        return; /* not named in WANT.held: the store grants it again */
    }
    struct run *r = run_new(ag, g);
    map_put(&ag->runs, r->g.run_id, r);
    list_add_tail(&ag->run_list, &r->link);
    ag->runs_n++;
    counter_add(C_agent_granted, 1);
    counter_set(C_agent_runs, ag->runs_n);
    agent_status(ag);
    run_begin(r);
}

static void on_grant(void *ctx, uint16_t type, const void *body)
{
    (void)type;
    agent_grant(ctx, body);
}

static void on_abort(void *ctx, uint16_t type, const void *body)
{
    struct agent *ag = ctx;
    const struct msg_abort_run *m = body;
    struct run *r = map_get(&ag->runs, m->run_id);
    (void)type;
    if (!r || m->fence < r->g.fence) {
        return;
    }
    if (m->fence > r->g.fence) {
        run_forget(r); /* somebody else has it by now */
    } else {
        run_abort(r, m->reason);
    }
}

/* ---- what others ask and see ----------------------------------------------------------------------- */

static void on_text_get(void *ctx, const struct bus_peer *from, uint16_t type, const void *body)
{
    struct agent *ag = ctx;
    const struct msg_run_text_get *m = body;
    struct run *r = map_get(&ag->runs, m->run_id);
    (void)type;
    if (!r) {
        struct msg_status gone = {.code = ERR_GONE, .text = SV("this agent does not work on that run")};
        bus_reply(ag->bus, from, MSG_STATUS, &gone);
        return;
    }
    stream_flush(&r->out);
    struct msg_run_text t = {.run_id = r->g.run_id, .seq = r->out.seq, .text = stream_all(&r->out)};
    bus_reply(ag->bus, from, MSG_RUN_TEXT, &t);
}

static void publish_model(void *ctx)
{
    struct agent *ag = ctx;
    struct model_choice c;
    struct buf why = BUF_INIT(1024);
    loop_timer_start(&ag->publish, PUBLISH_MS);
    int rc = models_pick(&ag->models, "main", SV_NULL, 0, &c, &why);
    if (rc == OK) {
        struct buf tools = BUF_INIT(8192);
        offer_list(ag->conf, &tools);
        struct msg_model m = {
            .provider = sv_of(c.provider->id),
            .model = sv_of(c.model),
            .api = sv_of(c.provider->dialect->api),
            .window = c.window,
            .why = sv_of(c.why),
            .tools = buf_view(&tools),
        };
        bus_publish(ag->bus, "model", MSG_MODEL, &m);
        buf_free(&tools);
    } else if (rc == ERR_UNAVAILABLE) {
        struct msg_model m = {.provider = SV("none"), .model = SV("none"), .why = sv_sub(buf_view(&why), 0, 256)};
        bus_publish(ag->bus, "model", MSG_MODEL, &m);
    }
    buf_free(&why);
}

/* Somebody came who does not know our model yet. */
static void on_ask(void *ctx, uint16_t type, const void *body, bool gap)
{
    (void)body;
    (void)gap;
    if (type == MSG_ASK_STATE) {
        publish_model(ctx);
    }
}

/* Idle: what the next run would use, also the line of the start screen. */
static void show_model(struct agent *ag)
{
    struct model_choice c;
    struct buf why = BUF_INIT(1024);
    if (models_pick(&ag->models, "main", SV_NULL, 0, &c, &why) == OK) {
        worker_status(ag->worker, "%s/%s (%s)", c.provider->id, c.model, c.why);
    } else {
        worker_status(ag->worker, "%s", buf_cstr(&why));
    }
    buf_free(&why);
}

static void on_model_change(void *ctx)
{
    struct agent *ag = ctx;
    struct model_choice c;
    struct buf why = BUF_INIT(1024);
    if (models_pick(&ag->models, "main", SV_NULL, 0, &c, &why) == OK) {
        log_info("model for new runs: %s/%s (%s)", c.provider->id, c.model, c.why);
    }
    buf_free(&why);
    publish_model(ag);
    if (ag->worker && ag->runs_n == 0) {
        show_model(ag);
    }
    LIST_EACH(e, &ag->run_list)
    {
        turn_model_ready(CONTAINER_OF(e, struct run, link));
    }
}

static void show_status(void *ctx)
{
    struct agent *ag = ctx;
    if (!ag->worker) {
        return;
    }
    if (ag->runs_n == 0) {
        show_model(ag);
        return;
    }
    const struct run *r = CONTAINER_OF(ag->run_list.next, struct run, link);
    worker_status(ag->worker, "%zu run%s: %.*s %s", ag->runs_n, ag->runs_n == 1 ? "" : "s", SV_ARG(r->g.session_key),
                  run_phase(r));
    loop_timer_start(&ag->status, 2 * (int64_t)STATUS_MS); /* phases change; look again while there is work */
}

void agent_status(struct agent *ag)
{
    if (!loop_timer_active(&ag->status)) {
        loop_timer_start(&ag->status, STATUS_MS);
    }
}

/* ---- life ------------------------------------------------------------------------------------------ */

void agent_start(struct agent *ag)
{
    const char *zone = conf_str(ag->conf, "agents.defaults.timezone", NULL);
    if (zone && tz_get(sv_of(zone))) {
        (void)sv_copy(ag->zone, sizeof ag->zone, sv_of(zone));
    } else {
        if (zone) {
            log_warn("agents.defaults.timezone: there is no zone \"%s\"; using the machine's", zone);
        }
        tz_system_name(ag->zone, sizeof ag->zone);
    }
    ag->spanish = strncmp(conf_str(ag->conf, "agents.defaults.locale", "en"), "es", 2) == 0;
    list_init(&ag->run_list);
    loop_timer_init(&ag->renew, ag->loop, want, ag);
    loop_timer_init(&ag->publish, ag->loop, publish_model, ag);
    loop_timer_init(&ag->status, ag->loop, show_status, ag);
    ag->http = http_client_new(ag->loop);
    models_init(&ag->models, ag->loop, ag->http, ag->conf, on_model_change, ag);
    store_on_push(ag->store, MSG_GRANT, on_grant, ag);
    store_on_push(ag->store, MSG_ABORT_RUN, on_abort, ag);
    store_on_up(ag->store, want, ag);
    bus_serve(ag->bus, MSG_RUN_TEXT_GET, on_text_get, ag);
    invoke_serve(ag);
    bus_subscribe(ag->bus, "ask", on_ask, ag);
    bus_on_up(ag->bus, publish_model, ag);
    publish_model(ag);
    agent_status(ag);
}

static void leave(void *ctx)
{
    struct agent *ag = ctx;
    log_warn("%zu runs are left to the store: it grants them to another agent", ag->runs_n);
    worker_drained(ag->worker);
}

void agent_drain(struct agent *ag, int64_t within_ms)
{
    ag->draining = true;
    if (ag->runs_n == 0) {
        worker_drained(ag->worker);
        return;
    }
    want(ag);
    loop_timer_init(&ag->drain, ag->loop, leave, ag);
    loop_timer_start(&ag->drain, within_ms > DRAIN_MARGIN_MS * 2LL ? within_ms - DRAIN_MARGIN_MS : within_ms / 2);
}

void agent_stop(struct agent *ag)
{
    store_forget(ag->store, ag);
    ag->draining = false; /* nothing is announced any more */
    invoke_stop(ag);
    LIST_EACH(e, &ag->run_list)
    {
        run_forget(CONTAINER_OF(e, struct run, link));
    }
    struct loop_timer *timers[] = {&ag->renew, &ag->publish, &ag->status, &ag->drain};
    for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
        if (timers[i]->loop) {
            loop_timer_stop(timers[i]);
        }
    }
    http_client_free(ag->http);
    models_free(&ag->models);
    map_free(&ag->runs);
    map_free(&ag->no_tools);
    tz_free_all();
}
