/*
 * fake_openai.c: OpenAI Chat Completions as the fake model speaks it.
 * Runs in: fake_llm.     Owns: nothing.
 * Never: accepts a request that the real service refuses for its shape.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#include "tests/fakes/fake_dialect.h"

void content_text(struct buf *dst, const json_t *content)
{
    size_t i;
    json_t *part;
    if (json_is_string(content)) {
        buf_sv(dst, json_sv(content, ""));
        return;
    }
    json_array_foreach(content, i, part)
    {
        if (sv_eqc(json_sv(part, "type"), "text")) {
            buf_str(dst, dst->n > 0 ? "\n" : "");
            buf_sv(dst, json_sv(part, "text"));
        }
    }
}

/* Every call of an assistant message must be answered by the tool messages right behind it. */
static const char *check_calls(const json_t *messages, size_t at)
{
    const json_t *calls = json_at(json_array_get(messages, at), "tool_calls");
    size_t i;
    json_t *call;
    json_array_foreach(calls, i, call)
    {
        sv id = json_sv(call, "id");
        bool found = false;
        if (sv_empty(id) || sv_empty(json_sv(call, "function.name")) || !json_sv(call, "function.arguments").p) {
            return "tool_calls need id, function.name and function.arguments (a string)";
        }
        for (size_t j = at + 1; j < json_array_size(messages) && !found; j++) {
            const json_t *m = json_array_get(messages, j);
            if (!sv_eqc(json_sv(m, "role"), "tool")) {
                break;
            }
            found = sv_eq(json_sv(m, "tool_call_id"), id);
        }
        if (!found) {
            return "an assistant message with tool_calls must be followed by tool messages for each tool_call_id";
        }
    }
    return NULL;
}

static const char *check(const json_t *body, const struct fh_req *r)
{
    const json_t *messages = json_at(body, "messages");
    size_t i;
    json_t *m;
    bool open = false; /* tool messages are allowed here */
    UNUSED(r);
    if (sv_empty(json_sv(body, "model"))) {
        return "you must provide a model parameter";
    }
    if (!json_is_array(messages) || json_array_size(messages) == 0) {
        return "messages: a non-empty array is required";
    }
    json_array_foreach(messages, i, m)
    {
        sv role = json_sv(m, "role");
        bool calls = json_array_size(json_at(m, "tool_calls")) > 0;
        const json_t *content = json_at(m, "content");
        if (sv_eqc(role, "tool")) {
            if (!open || sv_empty(json_sv(m, "tool_call_id"))) {
                return "messages with role 'tool' must answer a preceding message with 'tool_calls'";
            }
            continue;
        }
        open = sv_eqc(role, "assistant") && calls;
        if (!sv_eqc(role, "system") && !sv_eqc(role, "developer") && !sv_eqc(role, "user") && !sv_eqc(role, "assistant")) {
            return "messages: unknown role";
        }
        if (!json_is_string(content) && !json_is_array(content) && !open) {
            return "messages: content must be a string or an array";
        }
        const char *bad = check_calls(messages, i);
        if (bad) {
            return bad;
        }
    }
    return NULL;
}

static bool last(const json_t *body, struct buf *user, struct buf *tool_result)
{
    const json_t *messages = json_at(body, "messages");
    size_t n = json_array_size(messages);
    bool tool = n > 0 && sv_eqc(json_sv(json_array_get(messages, n - 1), "role"), "tool");
    size_t first = n;
    while (first > 0 && sv_eqc(json_sv(json_array_get(messages, first - 1), "role"), "tool")) {
        first--;
    }
    for (size_t i = first; i < n; i++) {
        buf_str(tool_result, i > first ? "\n" : "");
        content_text(tool_result, json_at(json_array_get(messages, i), "content"));
    }
    for (size_t i = n; i > 0; i--) {
        const json_t *m = json_array_get(messages, i - 1);
        if (sv_eqc(json_sv(m, "role"), "user")) {
            content_text(user, json_at(m, "content"));
            break;
        }
    }
    return tool;
}

static void chunk_head(struct buf *b, const struct answer *a)
{
    buf_printf(b, "data: {\"id\":\"chatcmpl-%lu\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":",
               a->serial);
    buf_json_str(b, sv_of(a->model));
}

static void begin(struct buf *b, const struct answer *a)
{
    chunk_head(b, a);
    buf_str(b, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n");
}

static void text(struct buf *b, const struct answer *a, sv chunk)
{
    chunk_head(b, a);
    buf_str(b, ",\"choices\":[{\"index\":0,\"delta\":{\"content\":");
    buf_json_str(b, chunk);
    buf_str(b, "},\"finish_reason\":null}]}\n\n");
}

/* Name and id first, then the arguments in two fragments, as the real service does. */
static void tool(struct buf *b, const struct answer *a)
{
    sv args = buf_view(&a->plan->args);
    sv parts[2] = {sv_sub(args, 0, args.n / 2), sv_sub(args, args.n / 2, args.n)};
    chunk_head(b, a);
    buf_printf(b, ",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_%lu\","
                  "\"type\":\"function\",\"function\":{\"name\":", a->serial);
    buf_json_str(b, sv_of(a->plan->tool));
    buf_str(b, ",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n");
    for (size_t i = 0; i < 2; i++) {
        chunk_head(b, a);
        buf_str(b, ",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":");
        buf_json_str(b, parts[i]);
        buf_str(b, "}}]},\"finish_reason\":null}]}\n\n");
    }
}

static const char *finish(const struct answer *a)
{
    return a->plan->kind == PLAN_TOOL ? "tool_calls" : "stop";
}

static void usage(struct buf *b, const struct answer *a)
{
    size_t in = a->in_bytes / 4 + 1, out = a->plan->text.n / 4 + 1;
    buf_printf(b, "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}", in, out, in + out);
}

static void end(struct buf *b, const struct answer *a)
{
    chunk_head(b, a);
    buf_printf(b, ",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n", finish(a));
    if (a->usage_wanted) {
        chunk_head(b, a);
        buf_str(b, ",\"choices\":[],");
        usage(b, a);
        buf_str(b, "}\n\n");
    }
    buf_str(b, "data: [DONE]\n\n");
}

static void whole(struct buf *b, const struct answer *a)
{
    buf_printf(b, "{\"id\":\"chatcmpl-%lu\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":", a->serial);
    buf_json_str(b, sv_of(a->model));
    buf_str(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if (a->plan->kind == PLAN_TOOL) {
        buf_printf(b, "null,\"tool_calls\":[{\"id\":\"call_%lu\",\"type\":\"function\",\"function\":{\"name\":", a->serial);
        buf_json_str(b, sv_of(a->plan->tool));
        buf_str(b, ",\"arguments\":");
        buf_json_str(b, buf_view(&a->plan->args));
        buf_str(b, "}}]");
    } else {
        buf_json_str(b, buf_view(&a->plan->text));
    }
    buf_printf(b, "},\"finish_reason\":\"%s\"}],", finish(a));
    usage(b, a);
    buf_str(b, "}");
}

static void error(struct buf *b, int status, const char *message)
{
    const char *type = status == 401 ? "authentication_error" : status == 429 ? "rate_limit_exceeded"
                       : status >= 500 ? "server_error" : "invalid_request_error";
    buf_str(b, "{\"error\":{\"message\":");
    buf_json_str(b, sv_of(message));
    buf_printf(b, ",\"type\":\"%s\",\"param\":null,\"code\":%s}}", type, status == 401 ? "\"invalid_api_key\"" : "null");
}

const struct dialect dialect_openai = {check, last, begin, text, tool, end, whole, error};
