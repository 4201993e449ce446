/*
 * turn.c: one model call of a run: choice, request, stream, tries, fallbacks.
 * Runs in: agent.     Owns: the call under way (through struct run).
 * Never: falls back to anything that the configuration does not name; tries again once text was shown.
 * Tested in: tests/unit/agent/test_turn.c
 */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/context.h"
#include "agent/prompt.h"
#include "common/tz.h"
#include "common/clock.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/id.h"
#include "common/log.h"

#define PROMPT_MAX ((size_t)256 * 1024)

/* ---- request --------------------------------------------------------------------------------------- */

static struct prompt_facts facts_of(const struct run *r)
{
    char path[160];
    const struct conf *c = r->agent->conf;
    struct prompt_facts f = {
        .agent_id = r->g.agent_id,
        .session_key = r->g.session_key,
        .channel = r->g.channel,
        .lane = r->g.lane,
        .extra_system = r->g.extra_system,
        .provider = r->choice.provider->id,
        .model = r->choice.model,
        .zone = r->agent->zone,
        .now_ms = clock_real_ms(),
        .tools = !r->no_tools && !caller_forces(r),
        .hidden_tools = r->hidden_tools,
    };
    (void)snprintf(path, sizeof path, "agents.entries.%.*s.name", SV_ARG(r->g.agent_id));
    f.name = conf_str(c, path, NULL);
    (void)snprintf(path, sizeof path, "agents.entries.%.*s.systemPrompt", SV_ARG(r->g.agent_id));
    f.own_prompt = conf_str(c, path, NULL);
    return f;
}

static void on_text(void *ctx, sv delta);
static void on_done(void *ctx, struct reply *reply);

static void call_offline(struct run *r, const struct context *c)
{
    char date[40], time[12];
    struct agent *ag = r->agent;
    struct tz_time t;
    const struct tz *z = tz_get(sv_of(ag->zone));
    tz_local(z ? z : tz_get(SV("UTC")), clock_real_ms() / 1000, &t);
    (void)snprintf(date, sizeof date, "%s %04d-%02d-%02d", tz_weekday(t.weekday), t.year, t.month, t.day);
    (void)snprintf(time, sizeof time, "%02d:%02d:%02d", t.hour, t.minute, t.second);
    struct offline_req q = {
        .text = c->last_user,
        .date = date,
        .time = time,
        .zone = ag->zone,
        .session = r->g.session_key.p,
        .agent = r->g.agent_id.p,
        .hint = ag->models.hint,
        .spanish = ag->spanish,
    };
    r->call = model_call_offline(ag->loop, &q, on_text, on_done, r);
}

static void call_model(struct run *r)
{
    struct arena mem = ARENA_INIT;
    struct buf stable = BUF_INIT(PROMPT_MAX), vol = BUF_INIT(PROMPT_MAX);
    struct prompt_facts f = facts_of(r);
    struct chat_tool tools[RUN_TOOLS_MAX];
    size_t tool_chars = 0;
    size_t tools_n = r->no_tools ? 0 : caller_list_tools(r, tools, ARRAY_LEN(tools), &tool_chars);
    uint64_t max_tokens = r->choice.max_tokens;
    if (r->caller.max_tokens > 0 && (max_tokens == 0 || r->caller.max_tokens < max_tokens)) {
        max_tokens = r->caller.max_tokens;
    }
    prompt_stable(&f, &stable);
    prompt_volatile(&f, &vol);
    caller_prompt(r, &vol);
    struct context_req cq = {
        .rows = r->rows,
        .rows_n = r->rows_n,
        .run_id = r->g.run_id,
        .group_context = r->g.context,
        .group = prompt_is_group(r->g.session_key),
        .zone = r->agent->zone,
        .window = r->choice.window,
        .fixed_chars = stable.n + vol.n + tool_chars,
        .max_tokens = max_tokens,
    };
    struct context c;
    r->call_began_us = clock_mono_us();
    context_build(&cq, &mem, &c);
    if (r->choice.offline) {
        call_offline(r, &c);
    } else {
        struct chat_req q = {
            .model = r->choice.model,
            .system_stable = buf_view(&stable),
            .system_volatile = buf_view(&vol),
            .msgs = c.msgs,
            .msgs_n = c.n,
            .tools = tools,
            .tools_n = tools_n,
            .tool_choice = caller_forces(r) ? r->caller.choice : "",
            .sampling = r->caller.sampling,
            .max_tokens = max_tokens,
            .official_openai = sv_find(sv_of(r->choice.provider->base_url), SV("api.openai.com")) >= 0,
        };
        struct call_target t = models_target(&r->choice);
        r->call = model_call_start(r->agent->loop, r->agent->http, &t, &q, on_text, on_done, r);
    }
    buf_free(&stable);
    buf_free(&vol);
    arena_free(&mem);
}

/* ---- choice ---------------------------------------------------------------------------------------- */

static void say_model(struct run *r)
{
    stream_event(&r->out, "lifecycle",
                 json_pack("{s:s, s:s, s:s}", "phase", "model", "provider", r->choice.provider->id, "model", r->choice.model));
}

static bool knows_tools(struct run *r)
{
    return map_get(&r->agent->no_tools, arena_printf(&r->mem, "%s/%s", r->choice.provider->id, r->choice.model)) == NULL;
}

/* Adds one line to what the user is told when all candidates have failed. */
static void note_failure(struct run *r, sv line)
{
    r->failures = r->failures.n > 0 ? arena_printf(&r->mem, "%.*s\n%.*s", SV_ARG(r->failures), SV_ARG(line))
                                    : arena_sv(&r->mem, line);
}

void turn_start(struct run *r)
{
    struct buf why = BUF_INIT(2048);
    char agent_id[65];
    (void)sv_copy(agent_id, sizeof agent_id, r->g.agent_id);
    r->state = RUN_PREPARING;
    int rc;
    while ((rc = models_pick(&r->agent->models, agent_id, r->g.model, r->candidate, &r->choice, &why)) == ERR_UNAVAILABLE) {
        note_failure(r, buf_view(&why));
        buf_reset(&why);
        r->candidate++;
    }
    buf_free(&why);
    if (rc == ERR_BUSY) {
        return; /* turn_model_ready comes */
    }
    if (rc < 0) {
        run_finish(r, "error", r->failure_kind ? r->failure_kind : "unavailable", r->failures, "error");
        return;
    }
    r->no_tools = r->no_tools || r->calls_made + 1 >= RUN_MODEL_CALLS_MAX || !knows_tools(r);
    r->env.provider = r->choice.provider->id;
    r->env.model = r->choice.model;
    r->env.window = r->choice.window;
    r->state = RUN_MODEL;
    r->item_stored = false;
    r->work_ms = clock_real_ms();
    stream_item(&r->out);
    say_model(r);
    call_model(r);
}

void turn_model_ready(struct run *r)
{
    if (r->state == RUN_PREPARING && !r->call) {
        turn_start(r);
    }
}

void turn_cancel(struct run *r)
{
    model_call_cancel(r->call);
    r->call = NULL;
}

/* ---- answer ---------------------------------------------------------------------------------------- */

static void on_text(void *ctx, sv delta)
{
    struct run *r = ctx;
    if (!stream_text(&r->out, delta)) {
        run_finish(r, "ok", "", SV_NULL, "length"); /* the cap of a run's text */
    }
}

/* Some local models know no tools, and their server refuses the request that offers any: without them, then,
 * and from now on for this model. */
static bool goes_without_tools(struct run *r, const struct reply *reply)
{
    if (reply->fault != FAULT_NO_TOOLS || r->no_tools) {
        return false;
    }
    log_info("%s/%s cannot call tools: going on without", r->choice.provider->id, r->choice.model);
    (void)map_put(&r->agent->no_tools, arena_printf(&r->mem, "%s/%s", r->choice.provider->id, r->choice.model), r->agent);
    stream_item_drop(&r->out);
    turn_start(r);
    return true;
}

static void failed(struct run *r, const struct reply *reply)
{
    bool shown = stream_item_text(&r->out).n > 0;
    if (goes_without_tools(r, reply)) {
        return;
    }
    int64_t wait = shown ? -1 : fault_retry_ms(reply->fault, ++r->tries, reply->retry_after_ms);
    log_warn("run %.*s: %s/%s failed: %s, status %d%s", SV_ARG(r->g.run_id), r->choice.provider->id, r->choice.model,
             fault_name(reply->fault), reply->status, wait >= 0 ? ", trying again" : "");
    if (wait >= 0) {
        /* A model that fell silent after tools is asked for words only. */
        r->no_tools = r->no_tools || (reply->fault == FAULT_EMPTY && r->calls_made > 1);
        stream_item_drop(&r->out);
        r->state = RUN_RETRY;
        loop_timer_start(&r->retry, wait);
        return;
    }
    struct buf line = BUF_INIT(2048);
    struct fault_line l = {
        .fault = reply->fault,
        .provider = r->choice.provider->id,
        .model = r->choice.model,
        .base_url = r->choice.provider->base_url,
        .status = reply->status,
        .detail = reply->detail,
        .retry_after_ms = reply->retry_after_ms,
        .spanish = r->agent->spanish,
    };
    fault_print(&line, &l);
    note_failure(r, buf_view(&line));
    buf_free(&line);
    r->failure_kind = fault_kind(reply->fault);
    if (shown || reply->fault == FAULT_REFUSED || reply->fault == FAULT_CONTEXT) {
        run_finish(r, "error", r->failure_kind, r->failures, "error");
        return;
    }
    stream_item_drop(&r->out);
    r->fallback_from = arena_printf(&r->mem, "%s/%s: %s", r->choice.provider->id, r->choice.model, r->failure_kind);
    r->candidate++;
    r->tries = 0;
    stream_event(&r->out, "lifecycle",
                 json_pack("{s:s, s:s, s:s, s:s}", "phase", "fallback_step", "provider", r->choice.provider->id, "model",
                           r->choice.model, "reason", r->failure_kind));
    turn_start(r); /* the next configured candidate, or the end */
}

static struct msg_entry assistant_row(struct run *r, const struct reply *reply, const char *stop)
{
    return (struct msg_entry){
        .role = SV("assistant"),
        .text = stream_item_text(&r->out),
        .ts_ms = clock_real_ms(),
        .run_id = r->g.run_id,
        .api = sv_of(r->choice.provider->dialect->api),
        .provider = sv_of(r->choice.provider->id),
        .model = sv_of(r->choice.model),
        .stop = sv_of(stop),
        .in_tokens = reply->in_tokens,
        .out_tokens = reply->out_tokens,
        .took_ms = run_work_ms(r),
    };
}

static void start_calls(struct run *r)
{
    calls_run(r, r->turn_row, false);
}

static void store_calls(struct run *r, struct reply *reply)
{
    struct msg_tool_call calls[REPLY_CALLS_MAX];
    char prefix[80];
    (void)snprintf(prefix, sizeof prefix, "%.60s_%u", r->g.run_id.p, r->calls_made);
    reply_settle(reply, prefix);
    struct msg_entry e = assistant_row(r, reply, "toolUse");
    char id[ID_UUID_LEN];
    id_uuid(id);
    e.id = sv_of(id); /* ours, because the keys of the calls come from it */
    for (size_t i = 0; i < reply->calls_n; i++) {
        const struct reply_call *c = &reply->calls[i];
        json_t *args = json_parse(buf_view(&c->args), NULL, 0);
        /* What is not JSON cannot be stored as JSON; a string of it keeps the evidence and fails the check. */
        calls[i] = (struct msg_tool_call){sv_of(c->id), sv_of(c->name), args ? buf_view(&c->args) : SV("\"(not valid JSON)\"")};
        json_free(&args);
    }
    e.calls = calls;
    e.calls_n = reply->calls_n;
    r->turn_row = r->rows_n;
    r->item_stored = true;
    run_add_row(r, &e);
    step_store(r, r->turn_row, start_calls);
}

static void note_fallback(struct run *r)
{
    if (r->fallback_from.n == 0) {
        return;
    }
    sv note = arena_printf(&r->mem, r->agent->spanish ? "\n\n(Responde %s/%s; falló %.*s)" : "\n\n(Answered by %s/%s; failed: %.*s)",
                           r->choice.provider->id, r->choice.model, SV_ARG(r->fallback_from));
    (void)stream_text(&r->out, note);
}

static void answered(struct run *r, const struct reply *reply, bool silent)
{
    struct prompt_facts f = {.lane = r->g.lane};
    bool empty = stream_item_text(&r->out).n == 0;
    if (!r->no_tools && caller_insists(r)) {
        return;
    }
    if (silent && prompt_may_be_silent(&f)) {
        run_finish(r, "ok", "", SV_NULL, "stop");
        return;
    }
    if (empty && r->calls_made > 1 && !r->composed) {
        r->composed = r->no_tools = true; /* tools were called, words are due */
        turn_start(r);
        return;
    }
    if (empty) {
        (void)stream_text(&r->out, r->agent->spanish ? SV("(no hubo respuesta)") : SV("(no answer was produced)"));
    }
    note_fallback(r);
    run_finish(r, "ok", "", SV_NULL, reply->stop == STOP_LENGTH ? "length" : "stop");
}

static void count_call(const struct run *r, const struct reply *reply)
{
    counter_add(reply->fault == FAULT_NONE ? C_model_calls_ok : C_model_calls_error, 1);
    histogram_add(H_model_call, clock_mono_us() - r->call_began_us);
    counter_add(C_tokens_in, reply->in_tokens);
    counter_add(C_tokens_out, reply->out_tokens);
}

static void on_done(void *ctx, struct reply *reply)
{
    struct run *r = ctx;
    r->call = NULL; /* it frees itself when we return */
    run_enter(r);
    if (r->state != RUN_MODEL) {
        return;
    }
    count_call(r, reply);
    r->in_tokens += reply->in_tokens;
    r->out_tokens += reply->out_tokens;
    r->calls_made++;
    if (reply->fault != FAULT_NONE) {
        failed(r, reply);
        return;
    }
    r->tries = 0;
    r->env.in_tokens = r->in_tokens;
    r->env.out_tokens = r->out_tokens;
    r->env.rows = r->rows_n;
    bool silent = stream_item_end(&r->out);
    if (reply->has_usage) {
        stream_event(&r->out, "usage", json_pack("{s:I, s:I}", "inputTokens", (json_int_t)r->in_tokens, "outputTokens",
                                                 (json_int_t)r->out_tokens));
    }
    if (reply->calls_n > 0 && !r->no_tools) {
        store_calls(r, reply);
    } else if (reply->stop == STOP_PAUSE && r->calls_made < RUN_MODEL_CALLS_MAX && stream_item_text(&r->out).n > 0) {
        struct msg_entry e = assistant_row(r, reply, "stop");
        r->item_stored = true;
        run_add_row(r, &e);
        step_store(r, r->rows_n - 1, turn_start);
    } else {
        answered(r, reply, silent);
    }
}
