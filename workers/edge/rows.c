/*
 * rows.c: see rows.h.
 * Runs in: edge.     Owns: nothing.
 * Never: leaves out the key of a user row: UIs find their own message by it (gateway-ws.md section 14).
 * Tested in: tests/unit/edge/test_rows.c
 */
#include "workers/edge/rows.h"

#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "workers/edge/sesskey.h"

static void add(struct buf *b, const char *key, sv value)
{
    if (value.n > 0) {
        buf_printf(b, ",\"%s\":", key);
        buf_json_str(b, value);
    }
}

static void add_num(struct buf *b, const char *key, int64_t n)
{
    buf_printf(b, ",\"%s\":%" PRId64, key, n);
}

const char *row_kind(sv key)
{
    sv rest = sesskey_rest(key);
    return sv_find(rest, SV(":group:")) >= 0 || sv_find(rest, SV(":channel:")) >= 0 ? "group" : "direct";
}

static const char *classification(sv key)
{
    sv rest = sesskey_rest(key);
    if (sv_eqc(rest, "main")) {
        return "main";
    }
    if (sv_starts(rest, SV("cron:"))) {
        return "cron";
    }
    return strcmp(row_kind(key), "group") == 0 ? "group" : sv_chr(rest, ':') >= 0 ? "direct" : "custom";
}

static void add_flags(struct buf *b, const struct msg_session *s)
{
    buf_printf(b, ",\"archived\":%s,\"pinned\":%s,\"unread\":%s", s->archived_ms > 0 ? "true" : "false",
               s->pinned_ms > 0 ? "true" : "false", s->unread ? "true" : "false");
}

void row_session(struct buf *b, const struct msg_session *s, int64_t now_ms, unsigned extra)
{
    buf_str(b, "{\"key\":");
    buf_json_str(b, s->key);
    add(b, "kind", s->kind.n > 0 ? s->kind : sv_of(row_kind(s->key)));
    add(b, "classification", sv_of(classification(s->key)));
    add(b, "agentId", s->agent_id);
    add(b, "sessionId", s->session_id);
    add_num(b, "createdAt", s->created_ms);
    add_num(b, "updatedAt", s->updated_ms);
    add_num(b, "snapshotAt", now_ms);
    if (s->interacted_ms > 0) {
        add_num(b, "lastInteractionAt", s->interacted_ms);
    }
    add(b, "status", s->status);
    bool active = s->active_run.n > 0;
    buf_printf(b, ",\"hasActiveRun\":%s,\"activeRunIds\":[", active ? "true" : "false");
    if (active) {
        buf_json_str(b, s->active_run);
    }
    buf_ch(b, ']');
    sv want = s->model_want, provider = sv_chr(want, '/') > 0 ? sv_cut(&want, '/') : s->provider;
    add(b, "modelProvider", provider);
    add(b, "model", want.n > 0 ? want : s->model);
    add_flags(b, s);
    add(b, "category", s->category);
    add(b, "icon", s->icon);
    add(b, "color", s->color);
    add(b, "label", s->label);
    add(b, "displayName", s->label);
    add(b, "channel", s->channel);
    add_num(b, "inputTokens", (int64_t)s->in_tokens);
    add_num(b, "outputTokens", (int64_t)s->out_tokens);
    add_num(b, "totalTokens", (int64_t)(s->in_tokens + s->out_tokens));
    if (extra & ROW_TITLE) {
        add(b, "derivedTitle", s->title);
    }
    if (extra & ROW_PREVIEW) {
        add(b, "lastMessagePreview", s->preview);
    }
    buf_ch(b, '}');
}

void row_no_session(struct buf *b, sv key, const struct model_row *model, int64_t now_ms)
{
    buf_str(b, "{\"key\":");
    buf_json_str(b, key);
    add(b, "kind", sv_of(row_kind(key)));
    add(b, "classification", sv_of(classification(key)));
    add(b, "agentId", sesskey_agent(key));
    buf_str(b, ",\"updatedAt\":null");
    add_num(b, "snapshotAt", now_ms);
    buf_str(b, ",\"hasActiveRun\":false,\"activeRunIds\":[]");
    add(b, "modelProvider", sv_of(model->provider));
    add(b, "model", sv_of(model->model));
    static const struct msg_session none;
    add_flags(b, &none);
    buf_str(b, ",\"activeLeafEntryId\":null}");
}

void row_defaults(struct buf *b, const struct model_row *model)
{
    buf_str(b, "{\"modelProvider\":");
    buf_json_str(b, sv_of(model->provider));
    buf_str(b, ",\"model\":");
    buf_json_str(b, sv_of(model->model));
    if (model->window > 0) {
        buf_printf(b, ",\"contextTokens\":%" PRIu64 "}", model->window);
    } else {
        buf_str(b, ",\"contextTokens\":null}");
    }
}

sv row_cut(sv s, size_t n)
{
    if (n == 0 || s.n <= n) {
        return s;
    }
    size_t at = 0;
    for (size_t i = 0; i < n && at < s.n; i++) {
        uint32_t cp;
        size_t len = utf8_decode(sv_sub(s, at, s.n), &cp);
        at += len > 0 ? len : 1;
    }
    return sv_sub(s, 0, at);
}

static void add_blocks(struct buf *b, const struct msg_entry *e, sv text)
{
    bool first = true;
    buf_str(b, ",\"content\":[");
    if (text.n > 0 || e->calls_n == 0) {
        buf_str(b, "{\"type\":\"text\",\"text\":");
        buf_json_str(b, text);
        buf_ch(b, '}');
        first = false;
    }
    for (size_t i = 0; i < e->calls_n; i++) {
        buf_str(b, first ? "{\"type\":\"toolCall\"" : ",{\"type\":\"toolCall\"");
        add(b, "id", e->calls[i].id);
        add(b, "name", e->calls[i].name);
        buf_str(b, ",\"arguments\":");
        buf_sv(b, e->calls[i].args.n > 0 ? e->calls[i].args : SV("{}"));
        buf_ch(b, '}');
        first = false;
    }
    buf_ch(b, ']');
}

static void add_meta(struct buf *b, const struct msg_entry *e)
{
    buf_printf(b, ",\"__openclaw\":{\"seq\":%" PRIu64, e->n);
    add(b, "id", e->id);
    add(b, "kind", e->kind);
    add(b, "idempotencyKey", e->idem);
    add(b, "runId", e->run_id);
    add(b, "senderName", e->sender);
    add(b, "channel", e->channel);
    buf_str(b, "}}");
}

static void add_assistant(struct buf *b, const struct msg_entry *e)
{
    add(b, "api", e->api);
    add(b, "provider", e->provider);
    add(b, "model", e->model);
    buf_printf(b,
               ",\"usage\":{\"input\":%" PRIu64 ",\"output\":%" PRIu64 ",\"totalTokens\":%" PRIu64
               ",\"cacheRead\":0,\"cacheWrite\":0}",
               e->in_tokens, e->out_tokens, e->in_tokens + e->out_tokens);
    add(b, "stopReason", e->stop.n > 0 ? e->stop : SV("stop"));
}

void row_entry(struct buf *b, const struct msg_entry *e, size_t max_chars)
{
    sv text = row_cut(e->text, max_chars);
    buf_str(b, "{\"role\":");
    buf_json_str(b, e->role);
    if (sv_eqc(e->role, "user")) {
        buf_str(b, ",\"content\":");
        buf_json_str(b, text);
        add(b, "idempotencyKey", e->idem);
    } else if (sv_eqc(e->role, "toolResult")) {
        add(b, "toolCallId", e->tool_call_id);
        add(b, "toolName", e->tool_name);
        add_blocks(b, e, text);
        buf_printf(b, ",\"isError\":%s", e->is_error ? "true" : "false");
    } else {
        add_blocks(b, e, text);
        if (sv_eqc(e->role, "assistant")) {
            add_assistant(b, e);
        }
    }
    add_num(b, "timestamp", e->ts_ms);
    add_meta(b, e);
}
