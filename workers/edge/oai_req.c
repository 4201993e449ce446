/*
 * oai_req.c: see oai_req.h; the members that both APIs have, and the cut into what was before and what is new.
 * Runs in: edge.     Owns: nothing else.
 * Never: lets a member of a wrong kind pass because the rest is fine.
 * Tested in: tests/unit/edge/test_oai_req.c
 */
#include "workers/edge/oai_req.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/text.h"

/* ---- what is wrong --------------------------------------------------------------------------------- */

bool oai_bad(struct oai_req *q, const char *code, const char *param, const char *fmt, ...)
{
    va_list ap;
    if (q->bad_status != 0) {
        return false;
    }
    q->bad_status = 400;
    q->bad_code = code;
    snprintf(q->bad_param, sizeof q->bad_param, "%s", param ? param : "");
    va_start(ap, fmt);
    vsnprintf(q->bad_text, sizeof q->bad_text, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- members --------------------------------------------------------------------------------------- */

enum kind { KIND_STR, KIND_INT, KIND_NUM, KIND_BOOL, KIND_OBJ, KIND_ARR, KIND_ANY };
enum use { USE_OWN, USE_PASS, USE_SKIP };
#define WHERE_CHAT OAI_CHAT
#define WHERE_RESP OAI_RESPONSES
#define WHERE_BOTH (OAI_CHAT | OAI_RESPONSES)

static const struct member {
    int where;
    const char *name;
    enum kind kind;
    double min, max;
    enum use use;
} MEMBERS[] = {
#define FIELD(where, name, kind, min, max, use) {WHERE_##where, #name, KIND_##kind, min, max, USE_##use},
#include "workers/edge/oai_fields.def"
#undef FIELD
};

static bool right_kind(const struct member *m, const json_t *v)
{
    switch (m->kind) {
    case KIND_STR:
        return json_is_string(v);
    case KIND_INT:
        return json_is_integer(v);
    case KIND_NUM:
        return json_is_number(v);
    case KIND_BOOL:
        return json_is_boolean(v);
    case KIND_OBJ:
        return json_is_object(v);
    case KIND_ARR:
        return json_is_array(v);
    case KIND_ANY:
        return true;
    }
    return false;
}

static bool check_member(struct oai_req *q, const struct member *m, const json_t *v)
{
    static const char *const words[] = {"a string", "an integer", "a number", "a boolean", "an object", "an array", ""};
    if (!right_kind(m, v)) {
        return oai_bad(q, "invalid_type", m->name, "`%s` must be %s.", m->name, words[m->kind]);
    }
    bool number = m->kind == KIND_INT || m->kind == KIND_NUM;
    if (number && (json_number_value(v) < m->min || json_number_value(v) > m->max)) {
        return oai_bad(q, "invalid_value", m->name, "`%s` must be from %g to %g.", m->name, m->min, m->max);
    }
    if (m->kind == KIND_STR && (double)json_string_length(v) > m->max) {
        return oai_bad(q, "string_too_long", m->name, "`%s` must have at most %.0f bytes.", m->name, m->max);
    }
    return true;
}

static bool check_members(struct oai_req *q)
{
    for (size_t i = 0; i < ARRAY_LEN(MEMBERS); i++) {
        const struct member *m = &MEMBERS[i];
        json_t *v = json_object_get(q->root, m->name);
        if (v == NULL || json_is_null(v) || (m->where & (int)q->api) == 0) {
            continue;
        }
        if (!check_member(q, m, v)) {
            return false;
        }
        if (m->use == USE_PASS) {
            json_object_set(q->pass, m->name, v);
        } else if (m->use == USE_SKIP) {
            buf_printf(&q->ignored, "%s%s", q->ignored.n > 0 ? "," : "", m->name);
        }
    }
    return true;
}

static bool check_stop(struct oai_req *q)
{
    const json_t *stop = json_object_get(q->root, "stop");
    if (stop == NULL || json_is_null(stop) || json_is_string(stop)) {
        return true;
    }
    bool good = json_is_array(stop) && json_array_size(stop) <= 4;
    for (size_t i = 0; good && i < json_array_size(stop); i++) {
        good = json_is_string(json_array_get(stop, i));
    }
    return good || oai_bad(q, "invalid_value", "stop", "`stop` must be a string or up to four strings.");
}

static bool check_format(struct oai_req *q)
{
    const json_t *f = json_object_get(q->root, "response_format");
    sv type = json_sv(f, "type");
    if (!json_is_object(f) || sv_eqc(type, "text") || sv_eqc(type, "json_object") || sv_eqc(type, "json_schema")) {
        return true;
    }
    return oai_bad(q, "invalid_value", "response_format.type",
                   "`response_format.type` must be text, json_object or json_schema.");
}

/* ---- tools ----------------------------------------------------------------------------------------- */

static bool name_ok(sv name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!good) {
            return false;
        }
    }
    return name.n > 0 && name.n <= 64;
}

static bool has_tool(const struct oai_req *q, sv name)
{
    for (size_t i = 0; i < q->opts.tools_n; i++) {
        if (sv_eq(q->opts.tools[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool take_schema(struct oai_req *q, const json_t *v, const char *param, sv *out)
{
    struct buf text = BUF_INIT(65536);
    bool good = v == NULL || json_is_null(v) || (json_is_object(v) && json_print(&text, v));
    *out = arena_sv(&q->mem, buf_view(&text));
    buf_free(&text);
    return good || oai_bad(q, "invalid_value", param, "`%s.parameters` must be an object of at most 64 KiB.", param);
}

/* Chat nests the function, responses are flat. */
static bool take_tool(struct oai_req *q, const json_t *v, size_t i, size_t *bytes)
{
    char param[32];
    const json_t *f = q->api == OAI_CHAT ? json_object_get(v, "function") : v;
    struct msg_caller_tool *t = &q->opts.tools[q->opts.tools_n];
    snprintf(param, sizeof param, "tools.%zu", i);
    if (!sv_eqc(json_sv(v, "type"), "function")) {
        return oai_bad(q, "unsupported_tool", param, "Only tools of type \"function\" are supported.");
    }
    *t = (struct msg_caller_tool){.name = json_sv(f, "name"), .description = json_sv(f, "description")};
    if (!name_ok(t->name)) {
        return oai_bad(q, "invalid_value", param, "A tool's name has 1 to 64 letters, digits, '_' and '-'.");
    }
    if (has_tool(q, t->name)) {
        return oai_bad(q, "invalid_value", param, "Two tools are named \"%.*s\".", SV_ARG(t->name));
    }
    if (t->description.n > 8192) {
        return oai_bad(q, "invalid_value", param, "A tool's description has at most 8192 bytes.");
    }
    if (!take_schema(q, json_object_get(f, "parameters"), param, &t->schema)) {
        return false;
    }
    q->opts.tools_n++;
    *bytes += t->name.n + t->description.n + t->schema.n;
    return *bytes <= OAI_TOOLS_BYTES || oai_bad(q, "tools_too_large", "tools", "The tools take more than 128 KiB.");
}

static bool take_tools(struct oai_req *q)
{
    const json_t *v = json_object_get(q->root, "tools");
    size_t bytes = 0;
    if (json_array_size(v) > OAI_TOOLS_MAX) {
        return oai_bad(q, "too_many_tools", "tools", "At most %d tools can be given.", OAI_TOOLS_MAX);
    }
    q->opts.tools = arena_alloc(&q->mem, (json_array_size(v) + 1) * sizeof *q->opts.tools);
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (!take_tool(q, json_array_get(v, i), i, &bytes)) {
            return false;
        }
    }
    return true;
}

static bool take_choice(struct oai_req *q)
{
    const json_t *v = json_object_get(q->root, "tool_choice");
    sv word = json_is_string(v) ? sv_of(json_string_value(v)) : SV_NULL;
    if (v == NULL || json_is_null(v) || sv_eqc(word, "auto") || sv_eqc(word, "none")) {
        q->opts.tool_choice = word;
        return true;
    }
    sv name = json_sv(v, q->api == OAI_CHAT ? "function.name" : "name");
    bool one = json_is_object(v) && sv_eqc(json_sv(v, "type"), "function");
    if (!sv_eqc(word, "required") && !one) {
        return oai_bad(q, "invalid_value", "tool_choice",
                       "`tool_choice` must be auto, none, required or one function.");
    }
    if (q->opts.tools_n == 0 || (one && !has_tool(q, name))) {
        return oai_bad(q, "invalid_value", "tool_choice", "`tool_choice` names a tool that is not in `tools`.");
    }
    q->opts.tool_choice = one ? arena_printf(&q->mem, "tool:%.*s", SV_ARG(name)) : word;
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

bool oai_content(struct oai_req *q, const json_t *v, const char *param, sv *text)
{
    struct buf b = BUF_INIT(OAI_TEXT_MAX + 1);
    bool good = true;
    *text = SV("");
    if (json_is_string(v) || v == NULL || json_is_null(v)) {
        *text = v && json_is_string(v) ? sv_mem(json_string_value(v), json_string_length(v)) : SV("");
        return text->n <= OAI_TEXT_MAX ||
               oai_bad(q, "message_too_large", param, "`%s` is larger than 512 KiB.", param);
    }
    if (!json_is_array(v)) {
        return oai_bad(q, "invalid_type", param, "`%s` must be a string or an array of parts.", param);
    }
    for (size_t i = 0; good && i < json_array_size(v); i++) {
        const json_t *part = json_array_get(v, i);
        sv type = json_sv(part, "type");
        if (sv_eqc(type, "refusal")) {
            buf_sv(&b, json_sv(part, "refusal"));
        } else if (sv_eqc(type, "text") || sv_eqc(type, "input_text") || sv_eqc(type, "output_text")) {
            buf_str(&b, b.n > 0 ? "\n" : "");
            buf_sv(&b, json_sv(part, "text"));
        } else {
            good = oai_bad(q, "unsupported_content", param, "`%s.%zu`: parts of type \"%.*s\" are not supported; the agents "
                           "read text.", param, i, SV_ARG(sv_sub(type, 0, 40)));
        }
    }
    if (good && b.full) {
        good = oai_bad(q, "message_too_large", param, "`%s` is larger than 512 KiB.", param);
    }
    *text = arena_sv(&q->mem, buf_view(&b));
    buf_free(&b);
    return good;
}

void oai_system(struct oai_req *q, sv text)
{
    if (text.n > 0) {
        buf_str(&q->system, q->system.n > 0 ? "\n\n" : "");
        buf_sv(&q->system, text);
    }
}

struct msg_entry *oai_row(struct oai_req *q, const char *role, sv text)
{
    if (q->rows_n == q->rows_cap) {
        size_t cap = q->rows_cap ? q->rows_cap * 2 : 64;
        struct msg_entry *rows = arena_alloc(&q->mem, cap * sizeof *rows);
        if (q->rows_n > 0) {
            memcpy(rows, q->rows, q->rows_n * sizeof *rows);
        }
        q->rows = rows; /* the old block stays until the request ends */
        q->rows_cap = cap;
    }
    struct msg_entry *e = &q->rows[q->rows_n++];
    *e = (struct msg_entry){.role = sv_of(role), .text = text};
    return e;
}

bool oai_call(struct oai_req *q, struct msg_entry *row, sv id, sv name, sv args, const char *param)
{
    if (row->calls_n == OAI_CALLS_MAX) {
        return oai_bad(q, "too_many_calls", param, "`%s` has more than %d tool calls.", param, OAI_CALLS_MAX);
    }
    if (id.n == 0 || id.n > 128 || !name_ok(name) || args.n > 131072) {
        return oai_bad(q, "invalid_value", param, "`%s`: a tool call has an id, a name and arguments of at most 128 KiB.", param);
    }
    if (row->calls == NULL) {
        row->calls = arena_alloc(&q->mem, OAI_CALLS_MAX * sizeof *row->calls);
    }
    json_t *v = json_parse(args, NULL, 0);
    /* What a model wrote and is not JSON stays as a string: it is stored as JSON and shown to the model again. */
    if (v == NULL) {
        struct buf text = BUF_INIT(1048576);
        buf_json_str(&text, args);
        args = args.n > 0 ? arena_sv(&q->mem, buf_view(&text)) : SV("{}");
        buf_free(&text);
    }
    json_free(&v);
    row->calls[row->calls_n++] = (struct msg_tool_call){id, name, args};
    q->calls_n++;
    return true;
}

static sv name_of_call(const struct oai_req *q, sv id)
{
    for (size_t i = q->rows_n; i > 0; i--) {
        const struct msg_entry *e = &q->rows[i - 1];
        for (size_t k = 0; k < e->calls_n; k++) {
            if (sv_eq(e->calls[k].id, id)) {
                return e->calls[k].name;
            }
        }
    }
    return SV_NULL;
}

bool oai_result(struct oai_req *q, sv id, sv text, const char *param)
{
    if (id.n == 0 || id.n > 128) {
        return oai_bad(q, "invalid_value", param, "`%s`: a tool result names the call that it answers.", param);
    }
    sv name = name_of_call(q, id);
    if (name.n == 0 && q->calls_n > 0) {
        return oai_bad(q, "unknown_tool_call", param, "`%s` answers a call that no message before it made.", param);
    }
    struct msg_entry *e = oai_row(q, "toolResult", text);
    e->tool_call_id = id;
    e->tool_name = name;
    return true;
}

/* ---- before and now -------------------------------------------------------------------------------- */

static size_t weight(const struct msg_entry *e)
{
    size_t n = 64 + e->text.n + e->tool_call_id.n + e->tool_name.n;
    for (size_t i = 0; i < e->calls_n; i++) {
        n += 32 + e->calls[i].id.n + e->calls[i].name.n + e->calls[i].args.n;
    }
    return n;
}

/* Behind the newest assistant row stands what is new: results and words. */
static bool cut_new(struct oai_req *q)
{
    size_t from = q->rows_n;
    struct buf text = BUF_INIT(OAI_TEXT_MAX);
    while (from > 0 && !sv_eqc(q->rows[from - 1].role, "assistant")) {
        from--;
    }
    q->prior = q->rows;
    q->prior_n = from;
    q->results = arena_alloc(&q->mem, (q->rows_n - from + 1) * sizeof *q->results);
    for (size_t i = from; i < q->rows_n; i++) {
        if (sv_eqc(q->rows[i].role, "toolResult")) {
            q->results[q->results_n++] = q->rows[i];
        } else {
            buf_str(&text, text.n > 0 ? "\n\n" : "");
            buf_sv(&text, q->rows[i].text);
        }
    }
    q->text = arena_sv(&q->mem, buf_view(&text));
    bool full = text.full;
    buf_free(&text);
    const char *where = q->api == OAI_CHAT ? "messages" : "input";
    if (full || q->results_n > OAI_RESULTS_MAX) {
        return oai_bad(q, "message_too_large", where, "The new messages are larger than 512 KiB, or more than %d results.",
                       OAI_RESULTS_MAX);
    }
    return true;
}

/* Leaves out the oldest rows until the rest fits; begins at words of the user, so that no result stands alone. */
static void fit_prior(struct oai_req *q, size_t used)
{
    size_t room = used < OAI_ALL_BYTES ? OAI_ALL_BYTES - used : 0, first = q->prior_n;
    for (size_t i = q->prior_n; i > 0; i--) {
        size_t w = weight(&q->prior[i - 1]);
        if (w > room || q->prior_n - i >= OAI_PRIOR_MAX) {
            break;
        }
        room -= w;
        first = i - 1;
    }
    while (first > 0 && first < q->prior_n && !sv_eqc(q->prior[first].role, "user")) {
        first++;
    }
    q->prior += first;
    q->prior_n -= first;
}

bool oai_req_settle(struct oai_req *q, bool fresh)
{
    const char *where = q->api == OAI_CHAT ? "messages" : "input";
    if (!cut_new(q)) {
        return false;
    }
    if (q->results_n == 0 && sv_trim(q->text).n == 0) {
        return oai_bad(q, "missing_user_message", where, "Missing user message in `%s`.", where);
    }
    if (fresh && q->results_n > 0 && q->calls_n == 0) {
        return oai_bad(q, "unknown_tool_call", where, "The results answer calls that no message before them made.");
    }
    size_t used = q->text.n + q->system.n;
    for (size_t i = 0; i < q->results_n; i++) {
        used += weight(&q->results[i]);
    }
    for (size_t i = 0; i < q->opts.tools_n; i++) {
        used += q->opts.tools[i].name.n + q->opts.tools[i].description.n + q->opts.tools[i].schema.n + 64;
    }
    if (used > OAI_ALL_BYTES) {
        return oai_bad(q, "message_too_large", where, "The new messages, the tools and the instructions take more than 880 KiB.");
    }
    fit_prior(q, used);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------------- */

static void take_simple(struct oai_req *q)
{
    q->model = json_sv(q->root, "model");
    q->user = json_sv(q->root, "user");
    q->stream = json_flag(q->root, "stream", false);
    q->include_usage = json_flag(q->root, "stream_options.include_usage", false);
    int64_t max = json_i64(q->root, "max_completion_tokens", json_i64(q->root, "max_tokens", 0));
    if (q->api == OAI_RESPONSES) {
        max = json_i64(q->root, "max_output_tokens", 0);
        q->previous = json_sv(q->root, "previous_response_id");
        q->background = json_flag(q->root, "background", false);
        q->keep = json_flag(q->root, "store", true);
    }
    q->opts.max_tokens = max > 0 ? (uint64_t)max : 0;
}

static bool take_pass(struct oai_req *q)
{
    struct buf text = BUF_INIT(16384);
    if (json_object_size(q->pass) > 0 && !json_print(&text, q->pass)) {
        buf_free(&text);
        return oai_bad(q, "too_large", "response_format", "The parameters for the model are larger than 16 KiB.");
    }
    q->opts.sampling = arena_sv(&q->mem, buf_view(&text));
    buf_free(&text);
    return true;
}

bool oai_req_parse(struct oai_req *q, enum oai_api api, sv body)
{
    char why[200];
    *q = (struct oai_req){.api = api, .mem = ARENA_INIT, .system = BUF_INIT(OAI_SYSTEM_MAX), .ignored = BUF_INIT(512)};
    q->root = json_parse(body, why, sizeof why);
    q->pass = json_object();
    if (!json_is_object(q->root)) {
        return oai_bad(q, "invalid_json", NULL, "The body is not a JSON object: %s",
                       q->root == NULL ? why : "it is another value");
    }
    if (!check_members(q) || !check_stop(q) || !check_format(q)) {
        return false;
    }
    take_simple(q);
    if (!take_tools(q) || !take_choice(q) || !(api == OAI_CHAT ? oai_chat_rows(q) : oai_item_rows(q)) || !take_pass(q)) {
        return false;
    }
    return !q->system.full ||
           oai_bad(q, "instructions_too_large", NULL, "The system messages take more than 64 KiB.");
}

void oai_req_free(struct oai_req *q)
{
    json_free(&q->root);
    json_free(&q->pass);
    buf_free(&q->system);
    buf_free(&q->ignored);
    arena_free(&q->mem);
}
