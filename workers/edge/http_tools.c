/*
 * http_tools.c: POST /tools/invoke: one tool call without a model (http-surfaces.md 7).
 * Runs in: edge.     Owns: nothing; the call waits in its request.
 * Never: knows a tool: an agent decides what exists here.
 * Tested in: tests/scn/h5-routes.test.mjs
 */
#include "common/json.h"
#include "workers/edge/http.h"
#include "workers/edge/sesskey.h"

void route_tools_invoke(struct http_req *r);

#define CALL_MS 30000
#define TAKER "agent-1" /* there is always a first one; these calls are short */

/* This route's own shape stands beside the common one (1.3). */
static void fail(struct http_req *r, int status, const char *type, const char *code, sv text)
{
    struct buf b = BUF_INIT(8192);
    buf_printf(&b, "{\"ok\":false,\"error\":{\"type\":\"%s\",\"code\":\"%s\",\"message\":", type, code);
    buf_json_str(&b, text);
    buf_str(&b, ",\"request_id\":");
    buf_json_str(&b, sv_of(r->id));
    buf_str(&b, "}}");
    http_answer(r, status, "application/json", buf_view(&b), status == 503 ? "Retry-After: 1\r\nretry-after-ms: 1000\r\n" : NULL);
    buf_free(&b);
}

static void on_result(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    const struct msg_status *st = type == MSG_STATUS ? body : NULL;
    sv said = st != NULL ? st->text : SV_NULL;
    if (err == OK && type == MSG_TOOL_RESULT) {
        const struct msg_tool_result *m = body;
        struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
        buf_str(&b, "{\"ok\":true,\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
        buf_json_str(&b, m->text);
        buf_printf(&b, "}],\"isError\":%s,\"details\":{}}}", m->is_error ? "true" : "false");
        http_answer(r, 200, "application/json", buf_view(&b), NULL);
        buf_free(&b);
    } else if (err == ERR_BAD && st != NULL) {
        fail(r, 400, "invalid_request", "invalid_arguments", said);
    } else if (err == ERR_GONE && st != NULL) {
        fail(r, 404, "not_found", "tool_not_available", SV("Tool not available."));
    } else if (err == ERR_TIMEOUT) {
        fail(r, 504, "timeout", "tool_timeout", SV("The tool did not answer in 30 s."));
    } else {
        fail(r, 503, "unavailable", "agent_unavailable", SV("No agent worker takes the call now; try again."));
    }
}

/* "action" is an argument like any other, written beside them. */
static bool take_args(const json_t *v, struct buf *text)
{
    json_t *args = json_object_get(v, "args");
    sv action = json_sv(v, "action");
    if (args != NULL && !json_is_null(args) && !json_is_object(args)) {
        return false;
    }
    json_t *copy = json_is_object(args) ? json_copy(args) : json_object();
    json_put(copy, "action", action);
    bool good = json_print(text, copy);
    json_free(&copy);
    return good;
}

static void call(struct http_req *r, const json_t *v, sv tool)
{
    char key[SESSKEY_MAX + 1];
    struct buf args = BUF_INIT(131072);
    sv session = json_sv(v, "sessionKey"), agent = json_sv(v, "agentId");
    if (!take_args(v, &args)) {
        fail(r, 400, "invalid_request", "invalid_arguments", SV("args must be an object of at most 128 KiB."));
    } else if (!sesskey_canonical(session.n > 0 ? session : SV("main"), agent, key) ||
               !edge_agent_known(r->e, sesskey_agent(sv_of(key)))) {
        fail(r, 400, "invalid_request", "invalid_session_key", SV("sessionKey and agentId name no agent of this gateway."));
    } else {
        const struct msg_tool_invoke m = {.tool = tool, .args = buf_view(&args), .session_key = sv_of(key),
                                          .agent_id = sesskey_agent(sv_of(key))};
        bus_call(r->e->bus, TAKER, MSG_TOOL_INVOKE, &m, CALL_MS, on_result, r);
    }
    buf_free(&args);
}

void route_tools_invoke(struct http_req *r)
{
    ATTR_CLEANUP(json_free) json_t *v = json_parse(buf_view(&r->body), NULL, 0);
    sv tool = json_sv(v, "name").n > 0 ? json_sv(v, "name") : json_sv(v, "tool");
    if (!json_is_object(v)) {
        fail(r, 400, "invalid_request", "invalid_json", SV("The body is not a JSON object."));
    } else if (tool.n == 0 || tool.n > 64) {
        fail(r, 400, "invalid_request", "missing_tool", SV("tools.invoke requires name"));
    } else {
        call(r, v, tool);
    }
}
