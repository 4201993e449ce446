/*
 * anthropic.c: Anthropic Messages, streaming.
 * Runs in: agent.     Owns: nothing; all functions are pure.
 * Never: input or output, trusts the order or presence of a field.
 * Tested in: tests/unit/agent/test_anthropic.c; fuzzed by tests/fuzz/fuzz_provider.c
 */
#include "agent/provider/provider.h"
#include "common/json.h"

#define MAX_TOKENS_DEFAULT 8192 /* the API demands a number */

/* ---- request --------------------------------------------------------------------------------------- */

/* Call ids must match ^[a-zA-Z0-9_-]{1,64}$; ids of other providers in the same history may not. */
static void put_id(struct buf *b, sv id)
{
    char clean[65];
    size_t n = 0;
    for (size_t i = 0; i < id.n && n < sizeof clean - 1; i++) {
        char c = id.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
        clean[n] = c;
        if (!ok) {
            clean[n] = '_';
        }
        n++;
    }
    if (n == 0) {
        clean[n++] = '_';
    }
    buf_json_str(b, sv_mem(clean, n));
}

static void put_system(struct buf *b, const struct chat_req *q)
{
    if (q->system_stable.n + q->system_volatile.n == 0) {
        return;
    }
    buf_str(b, ",\"system\":[");
    if (q->system_stable.n > 0) {
        buf_str(b, "{\"type\":\"text\",\"text\":");
        buf_json_str(b, q->system_stable);
        buf_str(b, ",\"cache_control\":{\"type\":\"ephemeral\"}}");
    }
    if (q->system_volatile.n > 0) {
        buf_str(b, q->system_stable.n > 0 ? ",{\"type\":\"text\",\"text\":" : "{\"type\":\"text\",\"text\":");
        buf_json_str(b, q->system_volatile);
        buf_ch(b, '}');
    }
    buf_ch(b, ']');
}

static void put_tools(struct buf *b, const struct chat_req *q)
{
    if (q->tools_n == 0) {
        return;
    }
    buf_str(b, ",\"tools\":[");
    for (size_t i = 0; i < q->tools_n; i++) {
        buf_str(b, i ? ",{\"name\":" : "{\"name\":");
        buf_json_str(b, sv_of(q->tools[i].name));
        buf_str(b, ",\"description\":");
        buf_json_str(b, sv_of(q->tools[i].description));
        buf_printf(b, ",\"input_schema\":%s}", q->tools[i].schema);
    }
    buf_ch(b, ']');
}

static void put_text_block(struct buf *b, sv text, bool *first)
{
    buf_str(b, *first ? "{\"type\":\"text\",\"text\":" : ",{\"type\":\"text\",\"text\":");
    buf_json_str(b, text);
    buf_ch(b, '}');
    *first = false;
}

static void put_blocks(struct buf *b, const struct chat_msg *m, bool *first)
{
    if (m->role == CHAT_TOOL) {
        buf_str(b, *first ? "{\"type\":\"tool_result\",\"tool_use_id\":"
                          : ",{\"type\":\"tool_result\",\"tool_use_id\":");
        put_id(b, m->tool_call_id);
        buf_str(b, ",\"content\":");
        buf_json_str(b, m->text);
        buf_str(b, m->is_error ? ",\"is_error\":true}" : "}");
        *first = false;
        return;
    }
    if (m->text.n > 0) {
        put_text_block(b, m->text, first);
    }
    for (size_t i = 0; i < m->calls_n; i++) {
        buf_str(b, *first ? "{\"type\":\"tool_use\",\"id\":" : ",{\"type\":\"tool_use\",\"id\":");
        put_id(b, m->calls[i].id);
        buf_str(b, ",\"name\":");
        buf_json_str(b, m->calls[i].name);
        buf_str(b, ",\"input\":");
        buf_sv(b, m->calls[i].args);
        buf_ch(b, '}');
        *first = false;
    }
}

/* Neighbours of the same side become one message: the API demands alternation, and all results of one
 * assistant message must stand in the next user message. */
static void put_messages(struct buf *b, const struct chat_req *q)
{
    buf_str(b, ",\"messages\":[");
    bool any = false;
    for (size_t i = 0; i < q->msgs_n;) {
        bool assistant = q->msgs[i].role == CHAT_ASSISTANT;
        if (!any && assistant) {
            /* A history that was cut in front may begin with us; the API wants a user first. */
            buf_str(b, "{\"role\":\"user\",\"content\":\"(earlier messages are not shown)\"},");
        }
        buf_str(b, any ? ",{\"role\":" : "{\"role\":");
        buf_str(b, assistant ? "\"assistant\",\"content\":[" : "\"user\",\"content\":[");
        bool first = true;
        for (; i < q->msgs_n && (q->msgs[i].role == CHAT_ASSISTANT) == assistant; i++) {
            put_blocks(b, &q->msgs[i], &first);
        }
        buf_str(b, "]}");
        any = true;
    }
    buf_ch(b, ']');
}

/* OpenAI's names into this API's; its temperature ends at 1. */
static void put_sampling(struct buf *b, const struct chat_req *q)
{
    ATTR_CLEANUP(json_free) json_t *v = q->sampling.n > 0 ? json_parse(q->sampling, NULL, 0) : NULL;
    const json_t *temperature = json_object_get(v, "temperature"), *top_p = json_object_get(v, "top_p");
    const json_t *stop = json_object_get(v, "stop");
    if (json_is_number(temperature)) {
        double t = json_number_value(temperature);
        buf_printf(b, ",\"temperature\":%.3f", t > 1.0 ? 1.0 : t);
    }
    if (json_is_number(top_p)) {
        buf_printf(b, ",\"top_p\":%.3f", json_number_value(top_p));
    }
    if (json_is_string(stop) || json_is_array(stop)) {
        buf_str(b, json_is_string(stop) ? ",\"stop_sequences\":[" : ",\"stop_sequences\":");
        json_print(b, stop);
        buf_str(b, json_is_string(stop) ? "]" : "");
    }
    sv choice = sv_of(q->tool_choice);
    if (sv_starts(choice, SV("tool:"))) {
        buf_str(b, ",\"tool_choice\":{\"type\":\"tool\",\"name\":");
        buf_json_str(b, sv_sub(choice, 5, choice.n));
        buf_ch(b, '}');
    } else if (sv_eqc(choice, "required")) {
        buf_str(b, ",\"tool_choice\":{\"type\":\"any\"}");
    }
}

static bool anthropic_body(const struct chat_req *q, struct buf *dst)
{
    buf_str(dst, "{\"model\":");
    buf_json_str(dst, sv_of(q->model));
    buf_printf(dst, ",\"max_tokens\":%llu,\"stream\":true",
               (unsigned long long)(q->max_tokens ? q->max_tokens : MAX_TOKENS_DEFAULT));
    put_system(dst, q);
    put_sampling(dst, q);
    put_tools(dst, q);
    put_messages(dst, q);
    buf_ch(dst, '}');
    return !dst->full;
}

static void anthropic_key(const struct secret *key, struct buf *dst)
{
    buf_str(dst, "x-api-key: ");
    buf_sv(dst, secret_sv(key));
}

/* ---- answer ---------------------------------------------------------------------------------------- */

static uint64_t tokens(const json_t *v, const char *path)
{
    int64_t n = json_i64(v, path, 0);
    return n > 0 ? (uint64_t)n : 0;
}

static void on_message_start(struct reply *r, const json_t *v)
{
    r->in_tokens = tokens(v, "message.usage.input_tokens") +
                   tokens(v, "message.usage.cache_creation_input_tokens") +
                   tokens(v, "message.usage.cache_read_input_tokens");
    r->out_tokens = tokens(v, "message.usage.output_tokens");
    r->has_usage = true;
}

static void on_block_start(struct reply *r, const json_t *v)
{
    if (sv_eq(json_sv(v, "content_block.type"), SV("text"))) {
        reply_text(r, json_sv(v, "content_block.text"));
        return;
    }
    if (!sv_eq(json_sv(v, "content_block.type"), SV("tool_use"))) {
        return; /* thinking and block types of the future */
    }
    struct reply_call *c = reply_call(r, json_i64(v, "index", (int64_t)r->calls_n));
    if (!c) {
        return;
    }
    reply_call_name(c, json_sv(v, "content_block.id"), json_sv(v, "content_block.name"));
    const json_t *input = json_at(v, "content_block.input");
    if (json_is_object(input) && json_object_size(input) > 0) { /* whole at once */
        struct buf text = BUF_INIT(REPLY_ARGS_MAX);
        if (json_print(&text, input)) {
            reply_args(r, c, buf_view(&text));
        }
        buf_free(&text);
    }
}

static void on_block_delta(struct reply *r, const json_t *v)
{
    sv type = json_sv(v, "delta.type");
    if (sv_eq(type, SV("text_delta"))) {
        reply_text(r, json_sv(v, "delta.text"));
        return;
    }
    if (!sv_eq(type, SV("input_json_delta"))) {
        return;
    }
    int64_t index = json_i64(v, "index", -1);
    for (size_t i = 0; i < r->calls_n; i++) {
        if (r->calls[i].index == index) { /* a delta without its start belongs to nothing */
            reply_args(r, &r->calls[i], json_sv(v, "delta.partial_json"));
        }
    }
}

static void on_message_delta(struct reply *r, const json_t *v)
{
    static const struct {
        const char *name;
        enum model_stop stop;
    } map[] = {{"end_turn", STOP_END},    {"stop_sequence", STOP_END}, {"tool_use", STOP_TOOL},
               {"max_tokens", STOP_LENGTH}, {"pause_turn", STOP_PAUSE},  {"refusal", STOP_REFUSAL}};
    sv reason = json_sv(v, "delta.stop_reason");
    if (sv_eq(reason, SV("model_context_window_exceeded"))) {
        reply_fail(r, FAULT_CONTEXT, "");
    } else if (reason.n > 0 && r->stop == STOP_NONE) {
        r->stop = STOP_END;
        for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
            if (sv_eqc(reason, map[i].name)) {
                r->stop = map[i].stop;
            }
        }
    }
    uint64_t out = tokens(v, "usage.output_tokens");
    if (out > 0) {
        r->out_tokens = out; /* cumulative */
        r->has_usage = true;
    }
}

static void take_error(struct reply *r, int status, const json_t *v)
{
    reply_error(r, status, json_sv(v, "error.type"), json_sv(v, "error.message"));
}

static void on_error(struct reply *r, const json_t *v)
{
    take_error(r, 0, v);
}

static void on_message_stop(struct reply *r, const json_t *v)
{
    (void)v;
    r->done = true;
}

static void anthropic_event(struct reply *r, sv event, sv data)
{
    static const struct {
        const char *type;
        void (*fn)(struct reply *r, const json_t *v);
    } map[] = {
        {"content_block_delta", on_block_delta}, {"message_start", on_message_start},
        {"content_block_start", on_block_start}, {"message_delta", on_message_delta},
        {"message_stop", on_message_stop},       {"error", on_error},
    };
    if (sv_eq(event, SV("ping"))) {
        return;
    }
    ATTR_CLEANUP(json_free) json_t *v = json_parse(data, NULL, 0);
    if (!v) {
        reply_fail(r, FAULT_GARBLED, "a line of the stream is not JSON");
        return;
    }
    sv type = json_sv(v, "type"); /* says the same as the event line, which proxies may drop */
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (sv_eqc(type, map[i].type)) {
            map[i].fn(r, v);
            return;
        }
    }
}

static void anthropic_error(struct reply *r, int status, sv body)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(body, NULL, 0);
    if (v && json_at(v, "error")) {
        take_error(r, status, v);
    } else if (status >= 200 && status < 300) {
        reply_fail(r, FAULT_GARBLED, "not a stream of events");
    } else {
        reply_error(r, status, SV_NULL, SV_NULL);
    }
}

static const char *const headers[] = {"anthropic-version: 2023-06-01", NULL};

const struct dialect dialect_anthropic = {
    .api = "anthropic-messages",
    .path = "/v1/messages",
    .body = anthropic_body,
    .key_header = anthropic_key,
    .headers = headers,
    .event = anthropic_event,
    .error = anthropic_error,
};
