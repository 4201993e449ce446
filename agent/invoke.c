/*
 * invoke.c: one tool call without a run and without a model (HTTP: /tools/invoke), asked for over the bus.
 * Runs in: agent.     Owns: the calls under way.
 * Never: calls a tool whose repetition would do harm: nothing stores that it was called.
 * Tested in: tests/scn/h5-routes.test.mjs
 */
#include "agent/agent.h"
#include "common/clock.h"
#include "common/err.h"

#define INVOKES_MAX 16

struct invoke {
    struct list link;
    struct agent *agent;
    struct bus_peer from;
    struct arena mem;
    struct tool_env env;
    struct tool_run tool;
    json_t *args;
};

static void done(struct invoke *v)
{
    list_del(&v->link);
    v->agent->invokes_n--;
    json_free(&v->args);
    arena_free(&v->mem);
    xfree(v);
}

static void refuse(struct agent *ag, const struct bus_peer *from, int code, const char *text)
{
    struct msg_status st = {.code = code, .text = sv_of(text)};
    bus_reply(ag->bus, from, MSG_STATUS, &st);
}

static void free_later(void *ctx)
{
    done(ctx);
}

static void on_done(void *ctx, struct tool_run *t, sv text, bool is_error)
{
    struct invoke *v = ctx;
    (void)t;
    sv cut = sv_sub(text, 0, text.n < v->tool.tool->result_max ? text.n : v->tool.tool->result_max);
    struct msg_tool_result m = {.text = cut, .is_error = is_error};
    bus_reply(v->agent->bus, &v->from, MSG_TOOL_RESULT, &m);
    loop_defer(v->agent->loop, free_later, v); /* the tool still stands on it */
}

/* Facts of a conversation; nothing can be sent from here. */
static void take_env(struct invoke *v, const struct msg_tool_invoke *m)
{
    v->env = (struct tool_env){
        .loop = v->agent->loop,
        .session_key = arena_sv(&v->mem, m->session_key),
        .session_id = SV(""),
        .agent_id = arena_sv(&v->mem, m->agent_id),
        .channel = SV("http"),
        .run_id = SV(""),
        .provider = "",
        .model = "",
        .zone = v->agent->zone,
        .started_ms = clock_real_ms(),
    };
}

static void on_invoke(void *ctx, const struct bus_peer *from, uint16_t type, const void *body)
{
    struct agent *ag = ctx;
    const struct msg_tool_invoke *m = body;
    const struct tool *t = tool_find(m->tool);
    char err[512];
    (void)type;
    if (!t || t->group != GROUP_SESSION || t->replay != REPLAY_YES || offer_denied(ag->conf, t)) {
        refuse(ag, from, ERR_GONE, "there is no such tool on this interface");
        return;
    }
    if (ag->invokes_n >= INVOKES_MAX) {
        refuse(ag, from, ERR_BUSY, "too many tool calls at once");
        return;
    }
    struct invoke *v = xcalloc(1, sizeof *v);
    v->agent = ag;
    v->from = *from;
    list_add_tail(&ag->invokes, &v->link);
    ag->invokes_n++;
    if (tool_args(t, m->args.n > 0 ? m->args : SV("{}"), &v->args, err, sizeof err) < 0) {
        refuse(ag, from, ERR_BAD, err);
        done(v);
        return;
    }
    take_env(v, m);
    v->tool = (struct tool_run){.tool = t, .env = &v->env, .args = v->args, .done = on_done, .ctx = v};
    t->ops->start(&v->tool);
}

void invoke_serve(struct agent *ag)
{
    list_init(&ag->invokes);
    bus_serve(ag->bus, MSG_TOOL_INVOKE, on_invoke, ag);
}

void invoke_stop(struct agent *ag)
{
    if (ag->invokes.next == NULL) {
        return; /* it never started */
    }
    LIST_EACH(it, &ag->invokes)
    {
        struct invoke *v = CONTAINER_OF(it, struct invoke, link);
        loop_defer_cancel(ag->loop, free_later, v);
        if (v->tool.tool && v->tool.tool->ops->cancel) {
            v->tool.tool->ops->cancel(&v->tool);
        }
        done(v);
    }
}
