/*
 * run_emit.c: runs as `chat`, `agent`, `sessions.changed` and `session.message` events (gateway-ws.md 12).
 * Runs in: edge.     Owns: nothing.
 * Never: changes the state of a run but for what has been sent of it.
 * Tested in: the scenarios
 */
#include "workers/edge/runs.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "workers/edge/connect_params.h"
#include "workers/edge/events.h"
#include "workers/edge/params.h"
#include "workers/edge/rows.h"
#include "workers/edge/sesskey.h"

#define EVENT_MAX (8u * 1024 * 1024)

/* ---- payload pieces -------------------------------------------------------------------------------- */

static void chat_head(struct buf *b, const struct run_live *r, const char *state)
{
    buf_str(b, "{\"runId\":");
    buf_json_str(b, sv_of(r->run_id));
    buf_str(b, ",\"sessionKey\":");
    buf_json_str(b, sv_of(r->key));
    buf_str(b, ",\"agentId\":");
    buf_json_str(b, sv_of(r->agent_id));
    buf_printf(b, ",\"seq\":%" PRIu64 ",\"state\":\"%s\"", r->seq, state);
}

static void add_message(struct buf *b, sv text, int64_t ts)
{
    buf_str(b, ",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":");
    buf_json_str(b, text);
    buf_printf(b, "}],\"timestamp\":%" PRId64 "}", ts);
}

/* Up to and including "data": */
static void agent_head(struct buf *b, const struct run_live *r, const char *stream, int64_t ts)
{
    buf_str(b, "{\"runId\":");
    buf_json_str(b, sv_of(r->run_id));
    buf_printf(b, ",\"seq\":%" PRIu64 ",\"stream\":\"%s\",\"ts\":%" PRId64 ",\"sessionKey\":", r->seq,
               stream, ts);
    buf_json_str(b, sv_of(r->key));
    buf_str(b, ",\"agentId\":");
    buf_json_str(b, sv_of(r->agent_id));
    if (r->session_id[0] != '\0') {
        buf_str(b, ",\"sessionId\":");
        buf_json_str(b, sv_of(r->session_id));
    }
    buf_str(b, ",\"data\":");
}

static void send_chat(const struct run_live *r, struct buf *b)
{
    buf_ch(b, '}');
    events_broadcast(r->e, EV_CHAT, buf_view(b), event_to_chat, r->key);
    buf_free(b);
}

static void send_agent(const struct run_live *r, struct buf *b)
{
    buf_ch(b, '}');
    events_broadcast(r->e, EV_AGENT, buf_view(b), event_to_chat, r->key);
    buf_free(b);
}

static bool anybody(const struct run_live *r)
{
    return events_wanted(r->e, EV_CHAT, event_to_chat, r->key);
}

/* ---- text ------------------------------------------------------------------------------------------ */

static void text_as_agent(struct run_live *r, int64_t now)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    sv item = delta_item(&r->text), fresh = delta_new(&r->text);
    agent_head(&b, r, "assistant", now);
    buf_str(&b, "{\"text\":");
    buf_json_str(&b, item);
    buf_str(&b, ",\"delta\":");
    /* The blank line between two items belongs to neither. */
    buf_json_str(&b, fresh.n > item.n ? item : fresh);
    if (r->text.replace) {
        buf_str(&b, ",\"replace\":true");
    }
    if (r->text.item[0] != '\0') {
        buf_str(&b, ",\"itemId\":");
        buf_json_str(&b, sv_of(r->text.item));
    }
    buf_ch(&b, '}');
    send_agent(r, &b);
}

static void text_as_chat(struct run_live *r, int64_t now)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    chat_head(&b, r, "delta");
    buf_str(&b, ",\"deltaText\":");
    buf_json_str(&b, delta_new(&r->text));
    if (r->text.replace) {
        buf_str(&b, ",\"replace\":true");
    }
    add_message(&b, delta_all(&r->text), now);
    send_chat(r, &b);
}

void emit_text(struct run_live *r, bool agent, bool chat)
{
    loop_timer_stop(&r->flush);
    if (!delta_pending(&r->text)) {
        return;
    }
    if (anybody(r)) {
        int64_t now = clock_real_ms();
        emit_start(r);
        if (agent) {
            text_as_agent(r, now);
        }
        if (chat) {
            text_as_chat(r, now);
        }
    }
    if (chat) {
        delta_sent(&r->text);
        r->flushed_ms = clock_mono_ms();
    }
}

/* ---- other streams --------------------------------------------------------------------------------- */

struct tool_to {
    const char *key, *starter;
};

/* 12.3: tool frames go to the connection that started the run, if it can digest them. */
static bool to_starter(const struct conn *c, const void *ctx)
{
    const struct tool_to *to = ctx;
    return (c->caps & CAP_TOOL_EVENTS) && strcmp(c->conn_id, to->starter) == 0 &&
           event_to_chat(c, to->key);
}

static void emit_tool(struct run_live *r, struct buf *b)
{
    const struct tool_to to = {r->key, r->starter};
    buf_ch(b, '}');
    events_broadcast(r->e, EV_AGENT, buf_view(b), to_starter, &to);
    events_broadcast(r->e, EV_SESSION_TOOL, buf_view(b), event_to_subscribers, NULL);
    buf_free(b);
}

static void emit_status(struct run_live *r, const struct msg_run_event *ev)
{
    json_t *data = json_parse(ev->data, NULL, 0);
    sv phase = json_sv(data, "phase");
    if (one_of("preparing_workspace|naming_worktree|creating_worktree|running_setup|"
               "provisioning_environment|preparing_context|starting_model",
               phase)) {
        struct buf b = BUF_INIT(EVENT_MAX);
        chat_head(&b, r, "status");
        buf_str(&b, ",\"phase\":");
        buf_json_str(&b, phase);
        send_chat(r, &b);
    }
    json_free(&data);
}

/* The end is ours to say (the store decides it), whatever an agent claims. Marks the start as said. */
static bool is_ours(struct run_live *r, sv data)
{
    json_t *d = json_parse(data, NULL, 0);
    sv phase = json_sv(d, "phase");
    bool end = sv_eqc(phase, "end") || sv_eqc(phase, "error");
    bool again = sv_eqc(phase, "start") && r->said_start;
    if (sv_eqc(phase, "start")) {
        r->said_start = true;
        r->started_ms = json_i64(d, "startedAt", r->started_ms);
    }
    json_free(&d);
    return end || again;
}

void emit_stream(struct run_live *r, const struct msg_run_event *ev)
{
    char stream[33];
    if (!one_of("lifecycle|tool|item|usage|run_status|command_output", ev->stream) ||
        !sv_copy(stream, sizeof stream, ev->stream)) {
        return;
    }
    if (strcmp(stream, "lifecycle") == 0 && is_ours(r, ev->data)) {
        return;
    }
    /* Text before this event must stand before it. */
    emit_text(r, true, true);
    if (strcmp(stream, "run_status") == 0) {
        emit_status(r, ev);
    }
    struct buf b = BUF_INIT(EVENT_MAX);
    agent_head(&b, r, stream, ev->ts_ms ? ev->ts_ms : clock_real_ms());
    buf_sv(&b, ev->data.n > 0 ? ev->data : SV("{}"));
    if (strcmp(stream, "tool") == 0) {
        emit_tool(r, &b);
    } else {
        send_agent(r, &b);
    }
}

void emit_start(struct run_live *r)
{
    if (r->said_start) {
        return;
    }
    r->said_start = true;
    struct buf b = BUF_INIT(EVENT_MAX);
    int64_t now = clock_real_ms();
    r->started_ms = r->started_ms ? r->started_ms : now;
    agent_head(&b, r, "lifecycle", now);
    buf_printf(&b, "{\"phase\":\"start\",\"startedAt\":%" PRId64 "}", r->started_ms);
    send_agent(r, &b);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void lifecycle_end(struct run_live *r, const struct msg_run *m, sv text)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    int64_t end = m->ended_ms ? m->ended_ms : clock_real_ms();
    bool aborted = sv_eqc(m->state, "aborted");
    bool good = aborted || sv_eqc(m->state, "ok");
    agent_head(&b, r, "lifecycle", end);
    buf_printf(&b, "{\"phase\":\"%s\",\"startedAt\":%" PRId64 ",\"endedAt\":%" PRId64 ",\"aborted\":%s",
               good ? "end" : "error", r->started_ms ? r->started_ms : end, end,
               aborted ? "true" : "false");
    if (aborted) {
        buf_str(&b, ",\"status\":\"cancelled\"");
    }
    if (good) {
        buf_str(&b, ",\"stopReason\":");
        buf_json_str(&b, m->stop.n > 0 ? m->stop : aborted ? SV("rpc") : SV("stop"));
    } else {
        buf_str(&b, ",\"error\":");
        buf_json_str(&b, m->error.n > 0 ? m->error : SV("the run failed"));
    }
    if (!aborted && good && text.n > 0) {
        buf_str(&b, ",\"livenessState\":\"working\",\"terminalReply\":{\"disposition\":\"visible\",\"text\":");
        buf_json_str(&b, text);
        buf_ch(&b, '}');
    }
    buf_str(&b, ",\"executionSettled\":true}");
    send_agent(r, &b);
}

static void chat_end(struct run_live *r, const struct msg_run *m, sv text)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    int64_t end = m->ended_ms ? m->ended_ms : clock_real_ms();
    if (sv_eqc(m->state, "ok")) {
        chat_head(&b, r, "final");
        buf_str(&b, ",\"stopReason\":");
        buf_json_str(&b, m->stop.n > 0 ? m->stop : SV("stop"));
    } else if (sv_eqc(m->state, "aborted")) {
        chat_head(&b, r, "aborted");
        buf_str(&b, ",\"stopReason\":");
        buf_json_str(&b, m->stop.n > 0 ? m->stop : SV("rpc"));
    } else {
        chat_head(&b, r, "error");
        buf_str(&b, ",\"errorMessage\":");
        buf_json_str(&b, m->error.n > 0 ? m->error : SV("the run failed"));
        /* The schema knows five kinds; the rest (auth, unavailable) is told in the message. */
        bool timeout = sv_eqc(m->state, "timeout");
        sv kind = timeout ? SV("timeout") : m->error_kind;
        buf_str(&b, ",\"errorKind\":");
        buf_json_str(&b, one_of("refusal|timeout|rate_limit|context_length", kind) ? kind : SV("unknown"));
    }
    if (text.n > 0 && b.n > 0 && !sv_eqc(m->state, "error") && !sv_eqc(m->state, "timeout")) {
        add_message(&b, text, end);
    }
    send_chat(r, &b);
}

/* Text said live must become the stored reply; trailing white space is no difference. */
static void settle_text(struct run_live *r, const struct msg_run *m)
{
    if (m->reply.n > 0 && sv_eqc(m->state, "ok") && !sv_eq(sv_trim(delta_all(&r->text)), m->reply)) {
        delta_set(&r->text, m->reply);
    }
}

void emit_end(struct run_live *r, const struct msg_run *m)
{
    loop_timer_stop(&r->flush);
    r->seq = (m->event_seq > r->seq ? m->event_seq : r->seq) + 1;
    if (!anybody(r)) {
        return;
    }
    bool aborted = sv_eqc(m->state, "aborted");
    settle_text(r, m);
    sv text = m->reply.n > 0 || !aborted ? m->reply : delta_all(&r->text);
    emit_start(r);
    /* Order of the captures: text for `agent`, lifecycle end, text for `chat`, chat end; an abort says the
     * chat end first (12.5, chat-abort). */
    if (aborted) {
        emit_text(r, true, true);
        chat_end(r, m, text);
        lifecycle_end(r, m, text);
    } else {
        emit_text(r, true, false);
        lifecycle_end(r, m, text);
        emit_text(r, false, true);
        chat_end(r, m, text);
    }
}

static void bare_final(struct edge *e, sv run_id, sv key, sv text)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    char session[SESSKEY_MAX + 1];
    if (!sv_copy(session, sizeof session, key)) {
        return;
    }
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, run_id);
    buf_str(&b, ",\"sessionKey\":");
    buf_json_str(&b, key);
    buf_str(&b, ",\"seq\":1,\"state\":\"final\"");
    if (text.n > 0) {
        add_message(&b, text, clock_real_ms());
    }
    buf_ch(&b, '}');
    events_broadcast(e, EV_CHAT, buf_view(&b), event_to_chat, session);
    buf_free(&b);
}

void emit_merged(struct edge *e, sv run_id, sv key)
{
    bare_final(e, run_id, key, SV_NULL);
}

void emit_command(struct edge *e, sv run_id, sv key, sv text)
{
    bare_final(e, run_id, key, text);
}

/* ---- sessions -------------------------------------------------------------------------------------- */

void emit_session_changed(struct edge *e, sv key, sv session_id, sv run_id, const char *reason,
                          const char *phase, const char *status, bool active)
{
    if (!events_wanted(e, EV_SESSIONS_CHANGED, event_to_subscribers, NULL)) {
        return;
    }
    struct buf b = BUF_INIT(EVENT_MAX);
    int64_t now = clock_real_ms();
    buf_str(&b, "{\"sessionKey\":");
    buf_json_str(&b, key);
    buf_str(&b, ",\"agentId\":");
    buf_json_str(&b, sesskey_agent(key).n > 0 ? sesskey_agent(key) : SV(EDGE_DEFAULT_AGENT));
    if (session_id.n > 0) {
        buf_str(&b, ",\"sessionId\":");
        buf_json_str(&b, session_id);
    }
    if (run_id.n > 0) {
        buf_str(&b, ",\"runId\":");
        buf_json_str(&b, run_id);
    }
    buf_printf(&b, ",\"%s\":\"%s\",\"ts\":%" PRId64 ",\"session\":{\"key\":", reason ? "reason" : "phase",
               reason ? reason : phase, now);
    buf_json_str(&b, key);
    if (session_id.n > 0) {
        buf_str(&b, ",\"sessionId\":");
        buf_json_str(&b, session_id);
    }
    buf_printf(&b,
               ",\"kind\":\"%s\",\"updatedAt\":%" PRId64 ",\"hasActiveRun\":%s,\"status\":\"%s\","
               "\"snapshotAt\":%" PRId64 "}}",
               row_kind(key), now, active ? "true" : "false", status, now);
    events_broadcast(e, EV_SESSIONS_CHANGED, buf_view(&b), event_to_subscribers, NULL);
    buf_free(&b);
}

void emit_session_deleted(struct edge *e, sv key, sv session_id)
{
    struct buf b = BUF_INIT(EVENT_MAX);
    buf_str(&b, "{\"sessionKey\":");
    buf_json_str(&b, key);
    buf_str(&b, ",\"sessionId\":");
    buf_json_str(&b, session_id);
    buf_str(&b, ",\"agentId\":");
    buf_json_str(&b, sesskey_agent(key));
    buf_printf(&b, ",\"reason\":\"delete\",\"ts\":%" PRId64 "}", clock_real_ms());
    events_broadcast(e, EV_SESSIONS_CHANGED, buf_view(&b), event_to_subscribers, NULL);
    buf_free(&b);
}

void emit_row(struct edge *e, const struct msg_row *row)
{
    char key[SESSKEY_MAX + 1];
    if (row->row_n == 0 || !sv_copy(key, sizeof key, row->session_key) ||
        !events_wanted(e, EV_SESSION_MESSAGE, event_to_row_watchers, key)) {
        return;
    }
    struct buf b = BUF_INIT(EVENT_MAX);
    const struct msg_entry *entry = &row->row[0];
    buf_str(&b, "{\"sessionKey\":");
    buf_json_str(&b, row->session_key);
    if (row->session_id.n > 0) {
        buf_str(&b, ",\"sessionId\":");
        buf_json_str(&b, row->session_id);
    }
    buf_str(&b, ",\"agentId\":");
    sv agent = sesskey_agent(row->session_key);
    buf_json_str(&b, agent.n > 0 ? agent : SV(EDGE_DEFAULT_AGENT));
    if (entry->run_id.n > 0) {
        buf_str(&b, ",\"runId\":");
        buf_json_str(&b, entry->run_id);
    }
    buf_str(&b, ",\"message\":");
    row_entry(&b, entry, 0);
    buf_str(&b, ",\"messageId\":");
    buf_json_str(&b, entry->id);
    buf_printf(&b, ",\"messageSeq\":%" PRIu64 "}", entry->n);
    events_broadcast(e, EV_SESSION_MESSAGE, buf_view(&b), event_to_row_watchers, key);
    buf_free(&b);
}
