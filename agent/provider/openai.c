/*
 * openai.c: OpenAI Chat Completions, streaming: OpenAI, Ollama /v1, LM Studio, llama.cpp, vLLM, OpenRouter.
 * Runs in: agent.     Owns: nothing; all functions are pure.
 * Never: input or output, trusts the order or presence of a field.
 * Tested in: tests/unit/agent/test_openai.c; fuzzed by tests/fuzz/fuzz_provider.c
 */
#include "agent/provider/provider.h"
#include "common/json.h"

/* ---- request --------------------------------------------------------------------------------------- */

static void put_role(struct buf *b, const char *role)
{
    if (b->n > 0 && b->p[b->n - 1] == '}') {
        buf_ch(b, ',');
    }
    buf_printf(b, "{\"role\":\"%s\"", role);
}

static void put_content(struct buf *b, sv text)
{
    buf_str(b, ",\"content\":");
    buf_json_str(b, text);
}

static void put_assistant(struct buf *b, const struct chat_msg *m)
{
    put_role(b, "assistant");
    if (m->text.n > 0) {
        put_content(b, m->text);
    } else {
        buf_str(b, ",\"content\":null");
    }
    if (m->calls_n > 0) {
        buf_str(b, ",\"tool_calls\":[");
        for (size_t i = 0; i < m->calls_n; i++) {
            buf_str(b, i ? ",{\"id\":" : "{\"id\":");
            buf_json_str(b, m->calls[i].id);
            buf_str(b, ",\"type\":\"function\",\"function\":{\"name\":");
            buf_json_str(b, m->calls[i].name);
            buf_str(b, ",\"arguments\":");
            buf_json_str(b, m->calls[i].args); /* a string that contains JSON */
            buf_str(b, "}}");
        }
        buf_ch(b, ']');
    }
    buf_ch(b, '}');
}

static void put_message(struct buf *b, const struct chat_msg *m)
{
    if (m->role == CHAT_ASSISTANT) {
        put_assistant(b, m);
        return;
    }
    put_role(b, m->role == CHAT_TOOL ? "tool" : "user");
    if (m->role == CHAT_TOOL) {
        buf_str(b, ",\"tool_call_id\":");
        buf_json_str(b, m->tool_call_id);
    }
    put_content(b, m->text);
    buf_ch(b, '}');
}

static void put_tools(struct buf *b, const struct chat_req *q)
{
    if (q->tools_n == 0) {
        return;
    }
    buf_str(b, ",\"tools\":[");
    for (size_t i = 0; i < q->tools_n; i++) {
        buf_str(b, i ? ",{\"type\":\"function\",\"function\":{\"name\":"
                     : "{\"type\":\"function\",\"function\":{\"name\":");
        buf_json_str(b, sv_of(q->tools[i].name));
        buf_str(b, ",\"description\":");
        buf_json_str(b, sv_of(q->tools[i].description));
        buf_printf(b, ",\"parameters\":%s}}", q->tools[i].schema);
    }
    sv choice = sv_of(q->tool_choice);
    if (sv_starts(choice, SV("tool:"))) {
        buf_str(b, "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":");
        buf_json_str(b, sv_sub(choice, 5, choice.n));
        buf_str(b, "}}");
    } else {
        buf_printf(b, "],\"tool_choice\":\"%s\"", choice.n > 0 ? q->tool_choice : "auto");
    }
}

/* Checked where the request came in; what a server does not know it ignores or refuses in its own words. */
static void put_sampling(struct buf *b, const struct chat_req *q)
{
    static const char *const names[] = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed",
                                        "stop", "response_format", "reasoning_effort"};
    ATTR_CLEANUP(json_free) json_t *v = q->sampling.n > 0 ? json_parse(q->sampling, NULL, 0) : NULL;
    for (size_t i = 0; v && i < sizeof names / sizeof names[0]; i++) {
        const json_t *m = json_object_get(v, names[i]);
        if (m) {
            buf_printf(b, ",\"%s\":", names[i]);
            json_print(b, m);
        }
    }
}

static bool openai_body(const struct chat_req *q, struct buf *dst)
{
    buf_str(dst, "{\"model\":");
    buf_json_str(dst, sv_of(q->model));
    buf_str(dst, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    if (q->max_tokens > 0) {
        buf_printf(dst, ",\"%s\":%llu", q->official_openai ? "max_completion_tokens" : "max_tokens",
                   (unsigned long long)q->max_tokens);
    }
    put_sampling(dst, q);
    put_tools(dst, q);
    buf_str(dst, ",\"messages\":[");
    if (q->system_stable.n + q->system_volatile.n > 0) {
        /* One system message: several servers accept no second one. */
        struct buf sys = BUF_INIT(dst->max);
        buf_sv(&sys, q->system_stable);
        if (q->system_volatile.n > 0) {
            buf_str(&sys, sys.n ? "\n\n" : "");
            buf_sv(&sys, q->system_volatile);
        }
        put_role(dst, "system");
        put_content(dst, buf_view(&sys));
        buf_ch(dst, '}');
        dst->full = dst->full || sys.full;
        buf_free(&sys);
    }
    for (size_t i = 0; i < q->msgs_n; i++) {
        put_message(dst, &q->msgs[i]);
    }
    buf_str(dst, "]}");
    return !dst->full;
}

static void openai_key(const struct secret *key, struct buf *dst)
{
    buf_str(dst, "Authorization: Bearer ");
    buf_sv(dst, secret_sv(key));
}

/* ---- answer ---------------------------------------------------------------------------------------- */

static bool take_error(struct reply *r, int status, const json_t *v)
{
    const json_t *e = json_at(v, "error");
    if (!e || json_is_null(e)) {
        return false;
    }
    if (json_is_string(e)) { /* Ollama */
        reply_error(r, status, SV_NULL, json_sv(v, "error"));
        return true;
    }
    sv type = json_sv(e, "code");
    if (type.n == 0) {
        type = json_sv(e, "type");
    }
    int64_t code = json_i64(e, "code", 0); /* OpenRouter: the HTTP status */
    if (status == 0 && code >= 400 && code < 600) {
        status = (int)code;
    }
    reply_error(r, status, type, json_sv(e, "message"));
    return true;
}

static void take_call(struct reply *r, const json_t *v, size_t position)
{
    sv id = json_sv(v, "id");
    sv name = json_sv(v, "function.name");
    int64_t index = json_i64(v, "index", -1);
    if (index < 0) {
        /* No index: a new id, or a second name in one chunk, starts a call; the rest continues the last. */
        const struct reply_call *last = r->calls_n > 0 ? &r->calls[r->calls_n - 1] : NULL;
        bool fresh = !last || (name.n > 0 && (id.n > 0 ? !sv_eqc(id, last->id) : position > 0));
        index = !last ? 0 : fresh ? last->index + 1 : last->index;
    }
    struct reply_call *c = reply_call(r, index);
    if (!c) {
        return;
    }
    reply_call_name(c, id, name);
    const json_t *args = json_at(v, "function.arguments");
    if (json_is_object(args)) { /* a server that sends the object itself */
        struct buf text = BUF_INIT(REPLY_ARGS_MAX);
        if (json_print(&text, args)) {
            reply_args(r, c, buf_view(&text));
        } else {
            reply_fail(r, FAULT_GARBLED, "tool arguments larger than 64 KiB");
        }
        buf_free(&text);
    } else {
        reply_args(r, c, json_sv(v, "function.arguments"));
    }
}

static enum model_stop stop_of(sv reason)
{
    static const struct {
        const char *name;
        enum model_stop stop;
    } map[] = {{"stop", STOP_END},         {"length", STOP_LENGTH},          {"tool_calls", STOP_TOOL},
               {"function_call", STOP_TOOL}, {"content_filter", STOP_REFUSAL}};
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (sv_eqc(reason, map[i].name)) {
            return map[i].stop;
        }
    }
    return STOP_END;
}

static void take_usage(struct reply *r, const json_t *v)
{
    int64_t in = json_i64(v, "usage.prompt_tokens", -1);
    int64_t out = json_i64(v, "usage.completion_tokens", -1);
    if (in < 0 && out < 0) { /* llama.cpp without usage */
        in = json_i64(v, "timings.prompt_n", -1);
        out = json_i64(v, "timings.predicted_n", -1);
    }
    if (in >= 0 || out >= 0) {
        r->in_tokens = in > 0 ? (uint64_t)in : 0;
        r->out_tokens = out > 0 ? (uint64_t)out : 0;
        r->has_usage = true;
    }
}

static void openai_event(struct reply *r, sv event, sv data)
{
    (void)event;
    sv text = sv_trim(data);
    if (sv_eq(text, SV("[DONE]"))) {
        r->done = true;
        return;
    }
    ATTR_CLEANUP(json_free) json_t *v = json_parse(text, NULL, 0);
    if (!v) {
        reply_fail(r, FAULT_GARBLED, "a line of the stream is not JSON");
        return;
    }
    if (take_error(r, 0, v)) {
        return;
    }
    take_usage(r, v);
    const json_t *choice = json_at(v, "choices.0");
    if (!choice) {
        return;
    }
    const json_t *delta = json_at(choice, "delta");
    if (!delta) {
        delta = json_at(choice, "message"); /* a server that ignores "stream" inside an event */
    }
    if (delta) {
        reply_text(r, json_sv(delta, "content"));
        reply_text(r, json_sv(delta, "refusal"));
        const json_t *calls = json_at(delta, "tool_calls");
        for (size_t i = 0; json_is_array(calls) && i < json_array_size(calls); i++) {
            take_call(r, json_array_get(calls, i), i);
        }
    }
    sv reason = json_sv(choice, "finish_reason");
    if (sv_eq(reason, SV("error"))) {
        reply_fail(r, FAULT_SERVER, "the model stopped with an error");
    } else if (reason.n > 0 && r->stop == STOP_NONE) {
        r->stop = stop_of(reason);
    }
}

/* Also takes an answer that came as one JSON object because the server does not stream. */
static void openai_error(struct reply *r, int status, sv body)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(body, NULL, 0);
    if (v && take_error(r, status, v)) {
        return;
    }
    if (status >= 200 && status < 300) {
        if (v && json_at(v, "choices.0.message")) {
            openai_event(r, SV_NULL, body);
            r->done = true;
        } else {
            reply_fail(r, FAULT_GARBLED, "neither a stream nor an answer");
        }
        return;
    }
    sv said = v ? json_sv(v, "message") : SV_NULL;
    if (said.n == 0 && v) {
        said = json_sv(v, "detail"); /* vLLM, FastAPI servers */
    }
    reply_error(r, status, SV_NULL, said);
}

static const char *const no_headers[] = {NULL};

const struct dialect dialect_openai = {
    .api = "openai-completions",
    .path = "/chat/completions",
    .body = openai_body,
    .key_header = openai_key,
    .headers = no_headers,
    .event = openai_event,
    .error = openai_error,
};
