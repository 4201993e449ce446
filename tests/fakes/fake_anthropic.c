/*
 * fake_anthropic.c: Anthropic Messages as the fake model speaks it.
 * Runs in: fake_llm.     Owns: nothing.
 * Never: accepts a request that the real service refuses for its shape.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#include "tests/fakes/fake_dialect.h"

static bool has_result(const json_t *message, sv id)
{
    const json_t *content = json_at(message, "content");
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block)
    {
        if (sv_eqc(json_sv(block, "type"), "tool_result") && sv_eq(json_sv(block, "tool_use_id"), id)) {
            return true;
        }
    }
    return false;
}

static bool has_use(const json_t *message, sv id)
{
    const json_t *content = json_at(message, "content");
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block)
    {
        if (sv_eqc(json_sv(block, "type"), "tool_use") && sv_eq(json_sv(block, "id"), id)) {
            return true;
        }
    }
    return false;
}

static const char *check_blocks(const json_t *messages, size_t at)
{
    const json_t *content = json_at(json_array_get(messages, at), "content");
    size_t i;
    json_t *block;
    if (json_is_string(content)) {
        return sv_empty(json_sv(content, "")) ? "messages: content must be non-empty" : NULL;
    }
    if (!json_is_array(content) || json_array_size(content) == 0) {
        return "messages: content must be a string or a non-empty array";
    }
    json_array_foreach(content, i, block)
    {
        sv type = json_sv(block, "type");
        if (sv_eqc(type, "text") && sv_empty(json_sv(block, "text"))) {
            return "messages: text content blocks must be non-empty";
        }
        if (sv_eqc(type, "tool_use") && (!json_is_object(json_at(block, "input")) ||
                                         !has_result(json_array_get(messages, at + 1), json_sv(block, "id")))) {
            return "tool_use ids were found without tool_result blocks immediately after";
        }
        if (sv_eqc(type, "tool_result") &&
            (at == 0 || !has_use(json_array_get(messages, at - 1), json_sv(block, "tool_use_id")))) {
            return "each tool_result block must have a corresponding tool_use block in the previous message";
        }
        if (sv_empty(type)) {
            return "messages: content blocks need a type";
        }
    }
    return NULL;
}

static const char *check(const json_t *body, const struct fh_req *r)
{
    const json_t *messages = json_at(body, "messages");
    size_t i;
    json_t *m;
    if (sv_empty(fh_header(r, "anthropic-version"))) {
        return "anthropic-version: header is required";
    }
    if (sv_empty(json_sv(body, "model"))) {
        return "model: field required";
    }
    if (json_i64(body, "max_tokens", 0) <= 0) {
        return "max_tokens: field required";
    }
    if (!json_is_array(messages) || json_array_size(messages) == 0) {
        return "messages: at least one message is required";
    }
    if (!sv_eqc(json_sv(messages, "0.role"), "user")) {
        return "messages: first message must use the \"user\" role";
    }
    json_array_foreach(messages, i, m)
    {
        sv role = json_sv(m, "role");
        if (!sv_eqc(role, "user") && !sv_eqc(role, "assistant")) {
            return "messages: role must be \"user\" or \"assistant\"";
        }
        const char *bad = check_blocks(messages, i);
        if (bad) {
            return bad;
        }
    }
    return NULL;
}

static bool results_of(const json_t *message, struct buf *dst)
{
    const json_t *content = json_at(message, "content");
    size_t i;
    json_t *block;
    bool any = false;
    json_array_foreach(content, i, block)
    {
        if (sv_eqc(json_sv(block, "type"), "tool_result")) {
            buf_str(dst, any ? "\n" : "");
            content_text(dst, json_at(block, "content"));
            any = true;
        }
    }
    return any;
}

static bool last(const json_t *body, struct buf *user, struct buf *tool_result)
{
    const json_t *messages = json_at(body, "messages");
    size_t n = json_array_size(messages);
    bool tool = false;
    for (size_t i = n; i > 0; i--) {
        const json_t *m = json_array_get(messages, i - 1);
        if (!sv_eqc(json_sv(m, "role"), "user")) {
            continue;
        }
        if (i == n) {
            tool = results_of(m, tool_result);
        }
        content_text(user, json_at(m, "content"));
        if (user->n > 0) { /* a message of tool results alone is not the user's */
            break;
        }
    }
    return tool;
}

static void event(struct buf *b, const char *name)
{
    buf_printf(b, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void begin(struct buf *b, const struct answer *a)
{
    event(b, "message_start");
    buf_printf(b, ",\"message\":{\"id\":\"msg_%lu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", a->serial);
    buf_json_str(b, sv_of(a->model));
    buf_printf(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
                  "\"usage\":{\"input_tokens\":%zu,\"output_tokens\":1}}}\n\n", a->in_bytes / 4 + 1);
    if (a->plan->kind == PLAN_TEXT && a->plan->chunks > 0) {
        event(b, "content_block_start");
        buf_str(b, ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    }
    event(b, "ping");
    buf_str(b, "}\n\n");
}

static void delta(struct buf *b, const char *type, const char *field, sv value)
{
    event(b, "content_block_delta");
    buf_printf(b, ",\"index\":0,\"delta\":{\"type\":\"%s\",\"%s\":", type, field);
    buf_json_str(b, value);
    buf_str(b, "}}\n\n");
}

static void text(struct buf *b, const struct answer *a, sv chunk)
{
    UNUSED(a);
    delta(b, "text_delta", "text", chunk);
}

static void tool(struct buf *b, const struct answer *a)
{
    sv args = buf_view(&a->plan->args);
    event(b, "content_block_start");
    buf_printf(b, ",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_%lu\",\"name\":", a->serial);
    buf_json_str(b, sv_of(a->plan->tool));
    buf_str(b, ",\"input\":{}}}\n\n");
    delta(b, "input_json_delta", "partial_json", SV(""));
    delta(b, "input_json_delta", "partial_json", sv_sub(args, 0, args.n / 2));
    delta(b, "input_json_delta", "partial_json", sv_sub(args, args.n / 2, args.n));
}

static const char *reason(const struct answer *a)
{
    return a->plan->kind == PLAN_TOOL ? "tool_use" : "end_turn";
}

static void end(struct buf *b, const struct answer *a)
{
    if (a->plan->kind == PLAN_TOOL || a->plan->chunks > 0) {
        event(b, "content_block_stop");
        buf_str(b, ",\"index\":0}\n\n");
    }
    event(b, "message_delta");
    buf_printf(b, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%zu}}\n\n",
               reason(a), a->plan->text.n / 4 + 1);
    event(b, "message_stop");
    buf_str(b, "}\n\n");
}

static void whole(struct buf *b, const struct answer *a)
{
    buf_printf(b, "{\"id\":\"msg_%lu\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", a->serial);
    buf_json_str(b, sv_of(a->model));
    buf_str(b, ",\"content\":[");
    if (a->plan->kind == PLAN_TOOL) {
        buf_printf(b, "{\"type\":\"tool_use\",\"id\":\"toolu_%lu\",\"name\":", a->serial);
        buf_json_str(b, sv_of(a->plan->tool));
        buf_str(b, ",\"input\":");
        buf_sv(b, buf_view(&a->plan->args));
        buf_str(b, "}");
    } else if (a->plan->text.n > 0) {
        buf_str(b, "{\"type\":\"text\",\"text\":");
        buf_json_str(b, buf_view(&a->plan->text));
        buf_str(b, "}");
    }
    buf_printf(b, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":%zu,\"output_tokens\":%zu}}",
               reason(a), a->in_bytes / 4 + 1, a->plan->text.n / 4 + 1);
}

static void error(struct buf *b, int status, const char *message)
{
    const char *type = status == 401 ? "authentication_error" : status == 429 ? "rate_limit_error"
                       : status == 529 ? "overloaded_error" : status >= 500 ? "api_error" : "invalid_request_error";
    buf_printf(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
    buf_json_str(b, sv_of(message));
    buf_str(b, "}}");
}

const struct dialect dialect_anthropic = {check, last, begin, text, tool, end, whole, error};
