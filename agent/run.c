/*
 * run.c: beginning and end of a run.
 * Runs in: agent.     Owns: struct run from run_new until the deferred free.
 * Never: frees a run inside a callback of it; ends a run silently: FINISH or a newer fence.
 * Tested in: tests/unit/agent/test_run.c
 */
#include <stdio.h>

#include "agent/agent.h"
#include "common/clock.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"

#define FINISH_WITHIN_MS 30000
#define FINISH_AGAIN_MS 1000
#define TAKEOVER_MIN_MS 60000 /* a run that is taken over gets at least this long */

/* ---- beginning ------------------------------------------------------------------------------------- */

static void copy_entry(struct arena *a, struct msg_entry *dst, const struct msg_entry *e)
{
    *dst = *e;
    sv *strings[] = {&dst->id,       &dst->role,  &dst->kind, &dst->text,         &dst->run_id,   &dst->idem, &dst->sender,
                     &dst->channel,  &dst->api,   &dst->provider, &dst->model,    &dst->stop,     &dst->tool_call_id,
                     &dst->tool_name};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        *strings[i] = arena_sv(a, *strings[i]);
    }
    if (e->calls_n > 0) {
        dst->calls = arena_alloc(a, e->calls_n * sizeof *dst->calls);
    }
    for (size_t i = 0; i < e->calls_n; i++) {
        dst->calls[i] = (struct msg_tool_call){arena_sv(a, e->calls[i].id), arena_sv(a, e->calls[i].name),
                                               arena_sv(a, e->calls[i].args)};
    }
}

struct msg_entry *run_add_row(struct run *r, const struct msg_entry *e)
{
    if (r->rows_n == r->rows_cap) {
        size_t cap = r->rows_cap ? r->rows_cap * 2 : 64;
        struct msg_entry *rows = arena_alloc(&r->mem, cap * sizeof *rows);
        if (r->rows_n > 0) {
            memcpy(rows, r->rows, r->rows_n * sizeof *rows);
        }
        r->rows = rows; /* the old block stays in the arena until the run ends */
        r->rows_cap = cap;
    }
    struct msg_entry *dst = &r->rows[r->rows_n++];
    copy_entry(&r->mem, dst, e);
    return dst;
}

static void copy_grant(struct run *r, const struct msg_grant *g)
{
    r->g = *g;
    r->g.rows = NULL;
    r->g.rows_n = 0;
    sv *strings[] = {&r->g.run_id,  &r->g.session_key, &r->g.session_id, &r->g.agent_id,     &r->g.lane,
                     &r->g.channel, &r->g.sender,      &r->g.context,    &r->g.extra_system, &r->g.model};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        *strings[i] = arena_sv(&r->mem, *strings[i]);
    }
    r->rows_cap = g->rows_n + 8;
    r->rows = arena_alloc(&r->mem, r->rows_cap * sizeof *r->rows);
    for (size_t i = 0; i < g->rows_n; i++) {
        run_add_row(r, &g->rows[i]);
    }
}

void run_enter(const struct run *r)
{
    context_run(r->g.run_id, &r->trace);
}

static void on_deadline(void *ctx)
{
    struct run *r = ctx;
    run_enter(r);
    struct buf text = BUF_INIT(1024);
    int64_t s = (clock_real_ms() - r->started_ms) / 1000;
    buf_printf(&text,
               r->agent->spanish ? "Se agotó el tiempo tras %lld s (%s). Lo hecho se conserva; escriba \"sigue\" para continuar."
                                 : "Timed out after %lld s while %s. Partial work is kept; say \"continue\" to resume.",
               (long long)s, run_phase(r));
    run_finish(r, "timeout", "timeout", buf_view(&text), "timeout");
    buf_free(&text);
}

static int64_t time_limit(const struct run *r)
{
    int64_t limit = (int64_t)r->g.timeout_ms;
    if (limit == 0) {
        limit = conf_int(r->agent->conf, "agents.defaults.timeoutSeconds", RUN_TIMEOUT_MS / 1000) * 1000;
    }
    if (limit > 0 && r->g.attempt > 1) {
        int64_t left = limit - (clock_real_ms() - r->started_ms);
        limit = left > TAKEOVER_MIN_MS || left > limit ? left : TAKEOVER_MIN_MS < limit ? TAKEOVER_MIN_MS : limit;
    }
    return limit; /* 0: unlimited */
}

static void retry_now(void *ctx)
{
    run_enter(ctx);
    turn_start(ctx);
}

/* agents.entries.<id>.workspace, else a folder of the agent's own in the state directory. */
static sv workspace_of(struct run *r)
{
    char path[160];
    (void)snprintf(path, sizeof path, "agents.entries.%.*s.workspace", SV_ARG(r->g.agent_id));
    const char *dir = conf_str(r->agent->conf, path, NULL);
    if (dir) {
        return sv_of(dir);
    }
    return arena_printf(&r->mem, "%s/workspace/%.*s", r->agent->state_dir, SV_ARG(r->g.agent_id));
}

struct run *run_new(struct agent *ag, const struct msg_grant *g)
{
    struct run *r = xcalloc(1, sizeof *r);
    r->agent = ag;
    copy_grant(r, g);
    caller_init(r, g);
    r->step = g->step;
    r->started_ms = g->started_ms > 0 ? g->started_ms : clock_real_ms();
    stream_init(&r->out, ag->loop, ag->bus);
    r->out.run_id = r->g.run_id;
    r->out.session_key = r->g.session_key;
    r->out.session_id = r->g.session_id;
    r->out.agent_id = r->g.agent_id;
    r->out.fence = g->fence;
    r->out.seq = g->attempt > 1 ? (g->attempt - 1) * DELTA_SEQ_STRIDE : 0;
    r->trace = context_trace();
    loop_timer_init(&r->deadline, ag->loop, on_deadline, r);
    loop_timer_init(&r->retry, ag->loop, retry_now, r);
    r->env = (struct tool_env){
        .loop = ag->loop,
        .session_key = r->g.session_key,
        .session_id = r->g.session_id,
        .agent_id = r->g.agent_id,
        .channel = r->g.channel,
        .run_id = r->g.run_id,
        .zone = ag->zone,
        .started_ms = r->started_ms,
        .workspace = workspace_of(r),
        .send = effect_send,
        .send_cancel = effect_send_cancel,
    };
    offer_tools(r);
    return r;
}

/* What earlier attempts said is part of the answer. */
static void restore_text(struct run *r)
{
    for (size_t i = 0; i < r->rows_n; i++) {
        const struct msg_entry *e = &r->rows[i];
        if (sv_eq(e->role, SV("assistant")) && sv_eq(e->run_id, r->g.run_id)) {
            stream_restore(&r->out, e->text);
        }
    }
}

void run_begin(struct run *r)
{
    restore_text(r);
    if (r->g.abort) {
        run_finish(r, "aborted", "", SV_NULL, "rpc");
        return;
    }
    int64_t limit = time_limit(r);
    if (limit > 0) {
        loop_timer_start(&r->deadline, limit);
    }
    stream_event(&r->out, "lifecycle", json_pack("{s:s, s:I}", "phase", "start", "startedAt", (json_int_t)r->started_ms));
    if (!step_resume(r)) {
        turn_start(r);
    }
}

uint64_t run_work_ms(const struct run *r)
{
    int64_t ms = r->work_ms > 0 ? clock_real_ms() - r->work_ms : 0;
    return ms > 0 ? (uint64_t)ms : 0;
}

const char *run_phase(const struct run *r)
{
    static const char *const names[] = {
        [RUN_PREPARING] = "preparing",         [RUN_MODEL] = "waiting for model", [RUN_RETRY] = "waiting to try again",
        [RUN_STORING] = "storing a step",      [RUN_TOOLS] = "running a tool",    [RUN_FINISHING] = "storing the answer",
        [RUN_DEAD] = "ended",
    };
    return names[r->state];
}

/* ---- end ------------------------------------------------------------------------------------------- */

static void run_free(void *ctx)
{
    struct run *r = ctx;
    stream_free(&r->out);
    arena_free(&r->mem);
    xfree(r);
}

static void stop_work(struct run *r)
{
    loop_timer_stop(&r->deadline);
    loop_timer_stop(&r->retry);
    turn_cancel(r);
    calls_cancel(r);
    store_forget(r->agent->store, r);
}

void run_forget(struct run *r)
{
    struct agent *ag = r->agent;
    if (r->state == RUN_DEAD) {
        return;
    }
    stop_work(r);
    loop_timer_stop(&r->out.timer); /* nothing of it is said any more */
    r->state = RUN_DEAD;
    if (map_get(&ag->runs, r->g.run_id) == r) {
        (void)map_del(&ag->runs, r->g.run_id);
    }
    list_del(&r->link);
    ag->runs_n--;
    counter_set(C_agent_runs, ag->runs_n);
    loop_defer(ag->loop, run_free, r);
    agent_status(ag);
    if (ag->draining && ag->runs_n == 0 && ag->worker) {
        worker_drained(ag->worker);
    }
}

static void send_finish(struct run *r);

/* FINISH was refused as malformed: our bug, but the user must not wait for ever. */
static bool finish_small(struct run *r)
{
    if (r->fin_small) {
        return false;
    }
    r->fin_small = true;
    r->fin.rows_n = 0;
    r->fin.reply = SV_NULL;
    r->fin.status = SV("error");
    r->fin.error_kind = SV("unknown");
    r->fin.error = SV("The answer could not be stored; the log of the agent worker says why.");
    send_finish(r);
    return true;
}

static void send_again(void *ctx)
{
    send_finish(ctx);
}

static void on_finished(void *ctx, int err, uint16_t type, const void *body)
{
    struct run *r = ctx;
    (void)type;
    if (err == OK || err == ERR_FENCED || err == ERR_GONE) {
        crash_point("agent.after_finish");
        run_forget(r);
        return;
    }
    const struct msg_status *st = body;
    if (err == ERR_BAD || err == ERR_TOOBIG || err == ERR_CONFLICT || err == ERR_PARSE) {
        sv field = st ? st->field : SV_NULL, text = st ? st->text : SV_NULL;
        log_error("run %.*s: FINISH refused: %s: %.*s %.*s", SV_ARG(r->g.run_id), err_name(err), SV_ARG(field), SV_ARG(text));
        if (!finish_small(r)) {
            run_forget(r);
        }
        return;
    }
    /* No answer, or the store is in trouble: an answer that exists is kept until it is stored or fenced. */
    log_warn("run %.*s: FINISH not stored yet: %s", SV_ARG(r->g.run_id), err_name(err));
    loop_timer_init(&r->retry, r->agent->loop, send_again, r);
    loop_timer_start(&r->retry, FINISH_AGAIN_MS);
}

static void send_finish(struct run *r)
{
    r->fin.event_seq = r->out.seq;
    crash_point("agent.before_finish");
    store_call(r->agent->store, MSG_FINISH, &r->fin, FINISH_WITHIN_MS, on_finished, r);
}

/* The last assistant row: the answer, or what there is of it. */
static void final_row(struct run *r, const char *stop)
{
    sv text = stream_item_text(&r->out);
    if (text.n == 0 || r->item_stored) {
        return;
    }
    r->fin_row = (struct msg_entry){
        .role = SV("assistant"),
        .text = arena_sv(&r->mem, text),
        .ts_ms = clock_real_ms(),
        .run_id = r->g.run_id,
        .api = sv_of(r->choice.provider ? r->choice.provider->dialect->api : "offline"),
        .provider = sv_of(r->choice.provider ? r->choice.provider->id : NULL),
        .model = sv_of(r->choice.model),
        .stop = sv_of(stop),
        .in_tokens = r->in_tokens,
        .out_tokens = r->out_tokens,
        .took_ms = run_work_ms(r),
    };
    r->fin.rows = &r->fin_row;
    r->fin.rows_n = 1;
}

static void say_finishing(struct run *r, const char *stop, bool aborted)
{
    stream_event(&r->out, "lifecycle",
                 json_pack("{s:s, s:s, s:b, s:s, s:I}", "phase", "finishing", "stopReason", stop, "aborted", aborted,
                           "livenessState", "working", "endedAt", (json_int_t)clock_real_ms()));
}

void run_finish(struct run *r, const char *status, const char *kind, sv text, const char *stop)
{
    if (r->state == RUN_FINISHING || r->state == RUN_DEAD) {
        return;
    }
    bool ok = strcmp(status, "ok") == 0;
    bool aborted = strcmp(status, "aborted") == 0;
    sv error = arena_sv(&r->mem, sv_sub(text, 0, utf8_cut(text, 4000)));
    stop_work(r);
    stream_flush(&r->out);
    r->state = RUN_FINISHING;
    r->fin = (struct msg_finish){
        .run_id = r->g.run_id,
        .fence = r->g.fence,
        .status = sv_of(status),
        .error_kind = sv_of(kind[0] ? kind : NULL),
        .error = error,
        .provider = sv_of(r->choice.provider ? r->choice.provider->id : NULL),
        .model = sv_of(r->choice.model[0] ? r->choice.model : NULL),
        .stop = arena_sv(&r->mem, sv_of(stop)),
        .in_tokens = r->in_tokens,
        .out_tokens = r->out_tokens,
        .calls = ok ? r->handed : NULL,
        .calls_n = ok ? r->handed_n : 0,
    };
    /* Whoever says stop wants no more words; what was said stays in the transcript. */
    r->fin.reply = aborted ? SV_NULL : sv_trim(stream_all(&r->out));
    final_row(r, ok ? (strcmp(stop, "length") == 0 ? "length" : "stop") : aborted ? "aborted" : "error");
    say_finishing(r, stop, aborted);
    if (!ok && !aborted) {
        log_warn("run %.*s ends: %s: %.*s", SV_ARG(r->g.run_id), status, SV_ARG(error));
    }
    send_finish(r);
}

void run_abort(struct run *r, sv reason)
{
    if (sv_eq(reason, SV("timeout"))) {
        on_deadline(r);
        return;
    }
    char stop[33];
    if (reason.n == 0 || !sv_copy(stop, sizeof stop, reason)) {
        (void)sv_copy(stop, sizeof stop, SV("rpc"));
    }
    run_finish(r, "aborted", "", SV_NULL, stop);
}
