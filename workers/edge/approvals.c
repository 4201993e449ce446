/*
 * approvals.c: see approvals.h.
 * Runs in: edge.     Owns: nothing.
 * Never: decides.
 * Tested in: tests/scn/e8-approvals.test.mjs
 */
#include "workers/edge/approvals.h"

#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/connect_params.h"
#include "workers/edge/events.h"
#include "workers/edge/params.h"
#include "workers/edge/scopes.h"

#define ROW_MAX (96u * 1024)
#define REQUEST_MAX 65536u /* messages.def APPROVAL.request */
/* The store ends an approval in time and tells; a call that heard nothing this much later asks. */
#define LATE_MS 2000

/* ---- who ------------------------------------------------------------------------------------------- */

bool approval_visible(const struct conn *c, const struct msg_approval *a)
{
    bool own = sv_eqc(a->asker, c->conn_id) ||
               (c->device_id != NULL && c->device_id[0] != '\0' && sv_eqc(a->asker_device, c->device_id));
    if (own || conn_has(c, SC_ADMIN)) {
        return true;
    }
    ATTR_CLEANUP(json_free) json_t *request = json_parse(a->request, NULL, 0);
    const json_t *ids = json_object_get(request, "approvalReviewerDeviceIds");
    for (size_t i = 0; c->device_id != NULL && i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (id != NULL && sv_eqc(sv_of(id), c->device_id)) {
            return true;
        }
    }
    return false;
}

/* Clients with a place for approvals on their screen, whether they say so or not. */
static bool is_approver(const struct conn *c, const void *row)
{
    bool shows = (c->caps & (CAP_APPROVALS | CAP_EXEC_APPROVALS)) != 0 ||
                 one_of("openclaw-control-ui|openclaw-macos|openclaw-ios|openclaw-android", sv_of(c->client_id));
    const struct msg_approval *a = row;
    return shows && !sv_eqc(a->asker, c->conn_id) && approval_visible(c, a);
}

bool approval_has_route(const struct conn *asker)
{
    const struct msg_approval a = {.asker = sv_of(asker->conn_id),
                                   .asker_device = asker->device_id != NULL ? sv_of(asker->device_id) : SV_NULL,
                                   .request = SV("{}")};
    return events_wanted(asker->e, EV_APPROVAL_REQUESTED, is_approver, &a);
}

/* ---- what is asked for ----------------------------------------------------------------------------- */

/* Members that clients find in every request, null when they were not given. */
static const char *const request_members[] = {
    "command", "commandArgv", "systemRunPlan", "cwd", "nodeId", "host", "security", "ask", "warningText", "scope",
    "unavailableDecisions", "commandSpans", "agentId", "resolvedPath", "sessionKey", "sessionId", "runId", "toolCallId",
    "turnSourceChannel", "turnSourceTo", "turnSourceAccountId", "turnSourceThreadId", "approvalReviewerDeviceIds"};
/* These are left out when they were not given. */
#define OPTIONAL "commandArgv|unavailableDecisions|commandSpans|approvalReviewerDeviceIds"

static json_t *joined(const json_t *argv)
{
    struct buf text = BUF_INIT(16384);
    for (size_t i = 0; i < json_array_size(argv); i++) {
        buf_printf(&text, "%s%s", i ? " " : "", json_string_value(json_array_get(argv, i)));
    }
    json_t *v = json_string(buf_cstr(&text));
    buf_free(&text);
    return v;
}

/* "always" asks each time, so a standing yes would be none. */
static json_t *allowed(const json_t *params)
{
    json_t *list = json_array();
    bool each_time = sv_eqc(json_sv(params, "ask"), "always") ||
                     json_array_size(json_object_get(params, "unavailableDecisions")) > 0;
    (void)json_array_append_new(list, json_string("allow-once"));
    if (!each_time) {
        (void)json_array_append_new(list, json_string("allow-always"));
    }
    (void)json_array_append_new(list, json_string("deny"));
    return list;
}

bool approval_request_json(const struct rpc_call *call, struct buf *dst)
{
    ATTR_CLEANUP(json_free) json_t *request = json_object();
    for (size_t i = 0; i < ARRAY_LEN(request_members); i++) {
        const char *name = request_members[i];
        json_t *v = json_object_get(call->params, name);
        if (v != NULL) {
            (void)json_object_set(request, name, v);
        } else if (!one_of(OPTIONAL, sv_of(name))) {
            (void)json_object_set_new(request, name, json_null());
        }
    }
    if (json_object_get(call->params, "command") == NULL) {
        (void)json_object_set_new(request, "command", joined(json_object_get(call->params, "commandArgv")));
    }
    (void)json_object_set_new(request, "allowedDecisions", allowed(call->params));
    return json_print(dst, request) && dst->n <= REQUEST_MAX;
}

bool approval_allows(const struct msg_approval *a, sv decision)
{
    ATTR_CLEANUP(json_free) json_t *request = json_parse(a->request, NULL, 0);
    const json_t *list = json_object_get(request, "allowedDecisions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (sv_eqc(decision, json_string_value(json_array_get(list, i)))) {
            return true;
        }
    }
    return false;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static void add_member(struct buf *b, const char *key, const json_t *request, const char *name)
{
    const json_t *v = json_object_get(request, name);
    buf_printf(b, ",\"%s\":", key);
    if (v == NULL) {
        buf_str(b, "null");
    } else {
        json_print(b, v);
    }
}

static void add_text(struct buf *b, const char *key, sv text)
{
    buf_printf(b, ",\"%s\":", key);
    if (text.n == 0) {
        buf_str(b, "null");
    } else {
        buf_json_str(b, text);
    }
}

static void add_times(struct buf *b, const struct msg_approval *a)
{
    buf_printf(b, ",\"createdAtMs\":%" PRId64 ",\"expiresAtMs\":%" PRId64, a->created_ms, a->expires_ms);
}

void approval_command(struct buf *b, const json_t *request)
{
    buf_json_str(b, json_sv(request, "command"));
}

void approval_row(struct buf *b, const struct msg_approval *a)
{
    buf_str(b, "{\"id\":");
    buf_json_str(b, a->id);
    buf_str(b, ",\"request\":");
    buf_sv(b, a->request);
    add_times(b, a);
    buf_str(b, ",\"approvalKind\":\"exec\"}");
}

static void add_end(struct buf *b, const struct msg_approval *a)
{
    buf_printf(b, ",\"resolvedAtMs\":%" PRId64 ",\"reason\":", a->resolved_ms);
    buf_json_str(b, a->reason);
    if (a->decision.n > 0) {
        add_text(b, "decision", a->decision);
    }
    buf_str(b, ",\"source\":{");
    if (a->agent_id.n > 0) {
        buf_str(b, "\"agentId\":");
        buf_json_str(b, a->agent_id);
    }
    if (a->session_key.n > 0) {
        buf_str(b, a->agent_id.n > 0 ? ",\"sessionKey\":" : "\"sessionKey\":");
        buf_json_str(b, a->session_key);
    }
    buf_ch(b, '}');
    if (a->resolver_kind.n > 0) {
        buf_str(b, ",\"resolver\":{\"kind\":");
        buf_json_str(b, a->resolver_kind);
        add_text(b, "id", a->resolver_id);
        buf_ch(b, '}');
    }
}

void approval_snapshot(struct buf *b, const struct msg_approval *a)
{
    ATTR_CLEANUP(json_free) json_t *request = json_parse(a->request, NULL, 0);
    buf_str(b, "{\"id\":");
    buf_json_str(b, a->id);
    add_text(b, "status", a->state);
    buf_str(b, ",\"presentation\":{\"kind\":\"exec\",\"commandText\":");
    approval_command(b, request);
    buf_str(b, ",\"commandPreview\":null");
    add_member(b, "warningText", request, "warningText");
    add_member(b, "host", request, "host");
    add_member(b, "nodeId", request, "nodeId");
    add_member(b, "agentId", request, "agentId");
    add_member(b, "allowedDecisions", request, "allowedDecisions");
    buf_str(b, "},\"urlPath\":\"/approve/");
    for (size_t i = 0; i < a->id.n; i++) {
        unsigned char ch = (unsigned char)a->id.p[i];
        bool plain = (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || ch == '-' || ch == '_' || ch == '.';
        buf_printf(b, plain ? "%c" : "%%%02X", ch);
    }
    buf_ch(b, '"');
    add_times(b, a);
    if (a->resolved_ms > 0) {
        add_end(b, a);
    }
    buf_ch(b, '}');
}

void approval_decision(struct buf *b, const struct msg_approval *a, bool why)
{
    bool asked = !sv_eqc(a->reason, "no-route");
    buf_str(b, "{\"id\":");
    buf_json_str(b, a->id);
    add_text(b, "decision", asked ? a->decision : SV_NULL);
    add_times(b, a);
    if (why) {
        add_text(b, "terminalReason", a->reason);
    }
    buf_ch(b, '}');
}

/* ---- waiting --------------------------------------------------------------------------------------- */

struct approval_wait {
    void (*done)(struct rpc_call *call, const struct msg_approval *a);
};

static void on_late(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approvals *m = body;
    const struct approval_wait *w = call->data;
    if (err != OK || type != MSG_APPROVALS) {
        rpc_fail_store(call, err, type, body);
    } else if (m->rows_n == 0 || m->rows[0].resolved_ms == 0) {
        rpc_fail(call, "UNAVAILABLE", "the approval has not ended in time");
    } else {
        w->done(call, &m->rows[0]);
    }
}

/* The push was missed (a restarted store tells nobody twice). */
static void ask_late(struct rpc_call *call)
{
    const struct msg_approval_list one = {.id = sv_of(call->run_id)};
    list_del(&call->of_run);
    rpc_store(call, MSG_APPROVAL_LIST, &one, on_late);
}

void approval_wait_for(struct rpc_call *call, const struct msg_approval *a,
                       void (*done)(struct rpc_call *call, const struct msg_approval *a))
{
    struct approval_wait *w = xcalloc(1, sizeof *w);
    w->done = done;
    xfree(call->data);
    call->data = w;
    (void)sv_copy(call->run_id, sizeof call->run_id, a->id);
    list_add_tail(&call->e->approval_calls, &call->of_run);
    rpc_deadline(call, a->expires_ms - clock_real_ms() + LATE_MS, ask_late);
}

static void wake(struct edge *e, const struct msg_approval *a)
{
    LIST_EACH(it, &e->approval_calls)
    {
        struct rpc_call *call = CONTAINER_OF(it, struct rpc_call, of_run);
        if (sv_eqc(a->id, call->run_id)) {
            const struct approval_wait *w = call->data;
            w->done(call, a);
        }
    }
}

/* ---- news ------------------------------------------------------------------------------------------ */

static void tell_requested(struct edge *e, const struct msg_approval *a)
{
    struct buf b = BUF_INIT(ROW_MAX);
    approval_row(&b, a);
    events_broadcast(e, EV_APPROVAL_REQUESTED, buf_view(&b), is_approver, a);
    buf_free(&b);
}

/* Nobody's decision is a no; the answer to who asked says null (both as the reference does). */
static void tell_resolved(struct edge *e, const struct msg_approval *a)
{
    struct buf b = BUF_INIT(ROW_MAX);
    buf_str(&b, "{\"id\":");
    buf_json_str(&b, a->id);
    add_text(&b, "decision", a->decision.n > 0 ? a->decision : SV("deny"));
    add_text(&b, "resolvedBy", a->resolver_name);
    buf_printf(&b, ",\"ts\":%" PRId64 ",\"request\":", a->resolved_ms);
    buf_sv(&b, a->request);
    buf_ch(&b, '}');
    events_broadcast(e, EV_APPROVAL_RESOLVED, buf_view(&b), is_approver, a);
    buf_free(&b);
}

void approvals_on_news(void *ctx, uint16_t type, const void *body)
{
    struct edge *e = ctx;
    const struct msg_approvals *begun = body;
    const struct msg_approval_ended *ended = body;
    if (type == MSG_APPROVALS && begun->rows_n == 1) {
        tell_requested(e, &begun->rows[0]);
    } else if (type == MSG_APPROVAL_ENDED && ended->row_n == 1) {
        tell_resolved(e, &ended->row[0]);
        wake(e, &ended->row[0]);
    }
}
