/*
 * calls.c: the tool calls of one model message, one after the other, and their results as steps.
 * Runs in: agent.     Owns: the tool call under way (through struct run).
 * Never: runs a call whose arguments do not fit its schema; begins a call that may not be replayed before all
 *        results in front of it are stored, or another one before its own result is.
 * Tested in: tests/unit/agent/test_turn.c, test_run.c
 *
 * So of all calls without a stored result only the first can have been begun by a dead predecessor, unless they
 * may all be replayed. Results of replayable calls are stored together, at the latest when the last call is done.
 */
#include <stdio.h>

#include "agent/agent.h"
#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "common/text.h"

static void go_on(struct run *r);

/* ---- events ---------------------------------------------------------------------------------------- */

static json_t *str(sv s)
{
    struct buf clean = BUF_INIT(16384);
    utf8_clean(&clean, sv_sub(s, 0, utf8_cut(s, 8000)));
    json_t *v = json_stringn(clean.p ? clean.p : "", clean.n);
    buf_free(&clean);
    return v;
}

static void say_item(struct run *r, const struct msg_tool_call *c, const char *phase, const char *status)
{
    char id[160];
    sv cut = sv_sub(c->id, 0, 140);
    (void)snprintf(id, sizeof id, "tool:%.*s", SV_ARG(cut));
    stream_event(&r->out, "item",
                 json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o}", "itemId", id, "kind", "tool", "phase", phase, "title",
                           str(c->name), "status", status, "toolCallId", str(c->id), "name", str(c->name)));
}

static void say_start(struct run *r, const struct msg_tool_call *c)
{
    json_t *args = json_parse(c->args, NULL, 0);
    say_item(r, c, "start", "running");
    stream_event(&r->out, "tool",
                 json_pack("{s:s, s:o, s:o, s:o}", "phase", "start", "name", str(c->name), "toolCallId", str(c->id), "args",
                           args ? args : json_object()));
}

static void say_result(struct run *r, const struct msg_tool_call *c, sv text, bool is_error)
{
    stream_event(&r->out, "tool",
                 json_pack("{s:s, s:o, s:o, s:b, s:{s:[{s:s, s:o}]}}", "phase", "result", "name", str(c->name), "toolCallId",
                           str(c->id), "isError", is_error, "result", "content", "type", "text", "text", str(text)));
    say_item(r, c, "end", is_error ? "failed" : "completed");
}

/* ---- results --------------------------------------------------------------------------------------- */

/* Counts the same call failing again and again. */
static void count_failure(struct run *r, const struct msg_tool_call *c, bool is_error)
{
    if (!is_error) {
        r->bad_times = 0;
        return;
    }
    uint64_t hash = sv_hash(c->name) * 31 + sv_hash(c->args);
    r->bad_times = r->bad_times > 0 && hash == r->bad_call ? r->bad_times + 1 : 1;
    r->bad_call = hash;
}

static void result(struct run *r, sv text, bool is_error)
{
    const struct msg_tool_call *c = &r->rows[r->turn_row].calls[r->next_call];
    const struct tool *t = tool_find(c->name);
    size_t max = t ? t->result_max : 4000;
    if (text.n > max) {
        text = arena_printf(&r->mem, "%.*s\n[... %zu bytes left out ...]", SV_ARG(sv_sub(text, 0, utf8_cut(text, max))),
                            text.n - max);
    }
    struct msg_entry e = {
        .role = SV("toolResult"),
        .text = text,
        .ts_ms = clock_real_ms(),
        .run_id = r->g.run_id,
        .tool_call_id = c->id,
        .tool_name = c->name,
        .is_error = is_error,
        .took_ms = run_work_ms(r),
    };
    counter_add(is_error ? C_tool_calls_error : C_tool_calls_ok, 1);
    say_result(r, c, text, is_error);
    count_failure(r, c, is_error);
    run_add_row(r, &e);
    r->next_call++;
}

static void on_tool_done(void *ctx, struct tool_run *t, sv text, bool is_error)
{
    struct run *r = ctx;
    (void)t;
    if (!r->tool_active) {
        return;
    }
    r->tool_active = false;
    result(r, text, is_error);
    json_free(&r->tool_args);
    crash_point("agent.after_tool"); /* done, and nobody knows */
    go_on(r);
}

/* ---- one call -------------------------------------------------------------------------------------- */

/* In a run that was taken over some results may be stored already. */
static bool has_result(const struct run *r, sv id)
{
    for (size_t i = r->turn_row + 1; i < r->rows_n; i++) {
        if (sv_eq(r->rows[i].tool_call_id, id)) {
            return true;
        }
    }
    return false;
}

/* The same in every attempt: the row that holds the intent, and the place of the call in it. */
static sv key_of_call(struct run *r)
{
    const struct msg_entry *intent = &r->rows[r->turn_row];
    return arena_printf(&r->mem, "%.*s:%zu", SV_ARG(sv_empty(intent->id) ? r->g.run_id : intent->id), r->next_call);
}

static void begin(struct run *r, const struct tool *t, bool resumed)
{
    const struct msg_tool_call *c = &r->rows[r->turn_row].calls[r->next_call];
    char err[512];
    if (resumed && t->replay == REPLAY_NO) {
        log_info("run %.*s: outcome of call %.*s (%s) is unknown", SV_ARG(r->g.run_id), SV_ARG(c->id), t->name);
        result(r, SV("Outcome unknown: the gateway was interrupted while this call was running. It may or may not have "
                     "happened; verify before repeating it."), true);
        return;
    }
    if (tool_args(t, c->args, &r->tool_args, err, sizeof err) < 0) {
        result(r, sv_of(err), true);
        return;
    }
    r->tool = (struct tool_run){.tool = t, .env = &r->env, .args = r->tool_args, .key = key_of_call(r),
                                .done = on_tool_done, .ctx = r};
    r->tool_active = true;
    crash_point("agent.before_tool");
    t->ops->start(&r->tool);
}

static void start_call(struct run *r)
{
    const struct msg_tool_call *c = &r->rows[r->turn_row].calls[r->next_call];
    char err[512];
    if (has_result(r, c->id)) {
        r->next_call++;
        return;
    }
    if (caller_has(r, c->name)) {
        caller_hand_out(r, c);
        r->next_call++;
        return;
    }
    bool resumed = r->resumed;
    r->resumed = false;
    r->work_ms = clock_real_ms();
    say_start(r, c);
    const struct tool *t = tool_find(c->name);
    if (t && offer_has(r, t)) {
        begin(r, t, resumed);
        return;
    }
    tool_unknown(c->name, err, sizeof err);
    result(r, sv_of(err), true);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static void after_results(struct run *r)
{
    if (r->handed_n > 0) {
        run_finish(r, "ok", "", SV_NULL, "tool_calls"); /* with what was handed out */
        return;
    }
    if (r->bad_times < RUN_SAME_FAILURES_MAX) {
        turn_start(r);
        return;
    }
    const struct msg_entry *last = &r->rows[r->rows_n - 1];
    sv text = arena_printf(&r->mem,
                           r->agent->spanish ? "Me detuve: la misma llamada a la herramienta %.*s falló %u veces seguidas (%.*s)."
                                             : "Stopped: the same call of the tool %.*s failed %u times in a row (%.*s).",
                           SV_ARG(last->tool_name), r->bad_times, SV_ARG(sv_sub(last->text, 0, utf8_cut(last->text, 200))));
    run_finish(r, "error", "unknown", text, "error");
}

static void results_stored(struct run *r)
{
    r->results_from = r->rows_n;
    r->state = RUN_TOOLS;
    go_on(r);
}

/* The call's result, or its beginning, must not share a step with others. */
static bool stands_alone(const struct run *r, size_t call)
{
    const struct msg_entry *intent = &r->rows[r->turn_row];
    const struct tool *t = call < intent->calls_n ? tool_find(intent->calls[call].name) : NULL;
    return t && t->replay == REPLAY_NO && !caller_has(r, sv_of(t->name));
}

/* There are results that must be stored before the next call begins. */
static bool must_store(const struct run *r)
{
    bool fresh = r->rows_n > r->results_from;
    return fresh && (stands_alone(r, r->next_call) || (r->next_call > 0 && stands_alone(r, r->next_call - 1)));
}

static void go_on(struct run *r)
{
    if (r->in_calls) {
        return; /* a tool finished at once: the loop below goes on */
    }
    r->in_calls = true;
    size_t n = r->rows[r->turn_row].calls_n;
    while (r->state == RUN_TOOLS && !r->tool_active && r->next_call < n && !must_store(r)) {
        start_call(r);
    }
    r->in_calls = false;
    if (r->state != RUN_TOOLS || r->tool_active) {
        return;
    }
    if (r->next_call < n) {
        step_store(r, r->results_from, results_stored);
    } else if (r->rows_n > r->results_from) {
        step_store(r, r->results_from, after_results);
    } else {
        after_results(r);
    }
}

void calls_run(struct run *r, size_t row, bool resumed)
{
    r->state = RUN_TOOLS;
    r->turn_row = row;
    r->next_call = 0;
    r->results_from = r->rows_n;
    r->resumed = resumed;
    r->handed_n = 0;
    go_on(r);
}

void calls_cancel(struct run *r)
{
    if (r->tool_active) {
        r->tool_active = false;
        if (r->tool.tool->ops->cancel) {
            r->tool.tool->ops->cancel(&r->tool);
        }
    }
    json_free(&r->tool_args);
}
