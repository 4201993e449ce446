/*
 * rpc_approvals.c: exec.approval.*, approval.*, exec.approvals.* (gateway-ws.md 15.10).
 * Runs in: edge.     Owns: nothing.
 * Never: shows an approval to whoever may not see it; keeps a decision of its own.
 * Tested in: tests/scn/e8-approvals.test.mjs
 */
#include <inttypes.h>

#include "common/id.h"
#include "workers/edge/approvals.h"
#include "workers/edge/params.h"
#include "workers/edge/scopes.h"

rpc_fn rpc_approval_request, rpc_approval_list, rpc_approval_get, rpc_approval_wait, rpc_approval_resolve,
    rpc_approval_show, rpc_approval_decide, rpc_approval_history, rpc_approvals_file_get, rpc_approvals_file_set;

static void not_found(struct rpc_call *call)
{
    const struct rpc_error err = {
        .code = "INVALID_REQUEST",
        .message = SV("unknown or expired approval id"),
        .details = SV("{\"reason\":\"APPROVAL_NOT_FOUND\",\"remediation\":\"Ask for the action again: ended approvals are kept "
                      "for a day.\"}")};
    rpc_fail_with(call, &err);
}

/* ---- request, wait --------------------------------------------------------------------------------- */

static void answer_request(struct rpc_call *call, const struct msg_approval *a)
{
    struct buf b;
    rpc_begin(call, &b);
    approval_decision(&b, a, false);
    rpc_done(call, &b);
}

static void answer_wait(struct rpc_call *call, const struct msg_approval *a)
{
    struct buf b;
    rpc_begin(call, &b);
    approval_decision(&b, a, true);
    rpc_done(call, &b);
}

static void say_accepted(struct rpc_call *call, const struct msg_approval *a)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"status\":\"accepted\",\"id\":");
    buf_json_str(&b, a->id);
    buf_printf(&b, ",\"deliveryRoute\":\"approval-client\",\"createdAtMs\":%" PRId64 ",\"expiresAtMs\":%" PRId64 "}",
               a->created_ms, a->expires_ms);
    rpc_more(call, &b);
}

static void on_asked(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == ERR_CONFLICT) {
        rpc_fail(call, "UNAVAILABLE", "approval request unavailable");
        return;
    }
    if (err != OK || type != MSG_APPROVAL) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_approval *a = body;
    if (a->resolved_ms > 0) {
        answer_request(call, a);
        return;
    }
    if (rpc_bool(call, "twoPhase", false)) {
        say_accepted(call, a);
    }
    approval_wait_for(call, a, answer_request);
}

/* Why a request cannot be asked; NULL: it can. */
static const char *request_fault(const struct rpc_call *call)
{
    if (rpc_str(call, "command").n == 0 && json_array_size(json_object_get(call->params, "commandArgv")) == 0) {
        return "command is required";
    }
    if (sv_eqc(rpc_str(call, "host"), "node") && rpc_str(call, "nodeId").n == 0) {
        return "nodeId is required for host=node";
    }
    if (sv_eqc(rpc_str(call, "host"), "node") && json_object_get(call->params, "systemRunPlan") == NULL) {
        return "systemRunPlan is required for host=node";
    }
    return NULL;
}

void rpc_approval_request(struct rpc_call *call)
{
    char uuid[ID_UUID_LEN];
    const char *fault = request_fault(call);
    if (fault != NULL) {
        rpc_fail(call, "INVALID_REQUEST", "%s", fault);
        return;
    }
    call->extra = BUF_INIT(128u * 1024);
    if (!approval_request_json(call, &call->extra)) {
        rpc_fail(call, "INVALID_REQUEST", "the request is too large");
        return;
    }
    id_uuid(uuid);
    struct msg_approval row = {
        .id = rpc_str(call, "id").n > 0 ? rpc_str(call, "id") : sv_of(uuid),
        .kind = SV("exec"),
        .request = buf_view(&call->extra),
        .agent_id = rpc_str(call, "agentId"),
        .session_key = rpc_str(call, "sessionKey"),
        .asker = sv_of(call->c->conn_id),
        .asker_device = call->c->device_id != NULL ? sv_of(call->c->device_id) : SV_NULL,
    };
    const struct msg_approval_ask m = {.timeout_ms = (uint64_t)rpc_int(call, "timeoutMs", 0),
                                       .no_route = !approval_has_route(call->c),
                                       .row = &row,
                                       .row_n = 1};
    rpc_store(call, MSG_APPROVAL_ASK, &m, on_asked);
}

/* The row of an answer to "only this one", when the caller may see it; else the call is answered. */
static const struct msg_approval *one(struct rpc_call *call, const struct rpc_answer *r)
{
    if (r->err != OK || r->type != MSG_APPROVALS) {
        rpc_fail_store(call, r->err, r->type, r->body);
        return NULL;
    }
    const struct msg_approvals *m = r->body;
    if (m->rows_n != 1 || !approval_visible(call->c, &m->rows[0])) {
        not_found(call);
        return NULL;
    }
    return &m->rows[0];
}

static void look_up(struct rpc_call *call, rpc_reply_fn *fn)
{
    const struct msg_approval_list m = {.id = rpc_str(call, "id")};
    rpc_store(call, MSG_APPROVAL_LIST, &m, fn);
}

static void on_wait(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval *a = one(call, &(struct rpc_answer){err, type, body});
    if (a == NULL) {
        return;
    }
    if (a->resolved_ms > 0) {
        answer_wait(call, a);
    } else {
        approval_wait_for(call, a, answer_wait);
    }
}

void rpc_approval_wait(struct rpc_call *call)
{
    look_up(call, on_wait);
}

/* ---- list, get ------------------------------------------------------------------------------------- */

static void on_list(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_APPROVALS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_approvals *m = body;
    bool any = false;
    struct buf b;
    rpc_begin(call, &b);
    buf_ch(&b, '[');
    for (size_t i = 0; i < m->rows_n; i++) {
        if (approval_visible(call->c, &m->rows[i])) {
            buf_str(&b, any ? "," : "");
            approval_row(&b, &m->rows[i]);
            any = true;
        }
    }
    buf_ch(&b, ']');
    rpc_done(call, &b);
}

void rpc_approval_list(struct rpc_call *call)
{
    const struct msg_approval_list m = {.limit = 0};
    rpc_store(call, MSG_APPROVAL_LIST, &m, on_list);
}

static void on_get(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval *a = one(call, &(struct rpc_answer){err, type, body});
    struct buf b;
    if (a == NULL) {
        return;
    }
    if (a->resolved_ms > 0) {
        not_found(call);
        return;
    }
    ATTR_CLEANUP(json_free) json_t *request = json_parse(a->request, NULL, 0);
    static const char *const members[] = {"allowedDecisions", "host", "nodeId", "agentId"};
    rpc_begin(call, &b);
    buf_str(&b, "{\"id\":");
    buf_json_str(&b, a->id);
    buf_str(&b, ",\"commandText\":");
    approval_command(&b, request);
    buf_str(&b, ",\"commandPreview\":null");
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        buf_printf(&b, ",\"%s\":", members[i]);
        json_print(&b, json_object_get(request, members[i]));
    }
    buf_printf(&b, ",\"expiresAtMs\":%" PRId64 "}", a->expires_ms);
    rpc_done(call, &b);
}

void rpc_approval_get(struct rpc_call *call)
{
    look_up(call, on_get);
}

static void on_show(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval *a = one(call, &(struct rpc_answer){err, type, body});
    struct buf b;
    if (a == NULL) {
        return;
    }
    rpc_begin(call, &b);
    buf_str(&b, "{\"approval\":");
    approval_snapshot(&b, a);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_approval_show(struct rpc_call *call)
{
    look_up(call, on_show);
}

static void on_history(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_APPROVALS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_approvals *m = body;
    sv kind = rpc_str(call, "kind");
    bool exec = kind.n == 0 || sv_eqc(kind, "exec"), any = false;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"items\":[");
    for (size_t i = 0; exec && i < m->rows_n; i++) {
        if (approval_visible(call->c, &m->rows[i])) {
            buf_str(&b, any ? "," : "");
            approval_snapshot(&b, &m->rows[i]);
            any = true;
        }
    }
    buf_str(&b, "]}");
    rpc_done(call, &b);
}

void rpc_approval_history(struct rpc_call *call)
{
    const struct msg_approval_list m = {.ended = true, .limit = (uint64_t)rpc_int(call, "limit", 100)};
    rpc_store(call, MSG_APPROVAL_LIST, &m, on_history);
}

/* ---- resolve --------------------------------------------------------------------------------------- */

static void resolve(struct rpc_call *call, const struct msg_approval *a, rpc_reply_fn *fn)
{
    const struct conn *c = call->c;
    bool device = c->device_id != NULL && c->device_id[0] != '\0';
    if (a->resolved_ms == 0 && sv_eqc(a->asker, c->conn_id)) {
        rpc_fail(call, "INVALID_REQUEST", "the connection that asks for an approval cannot give it");
        return;
    }
    if (a->resolved_ms == 0 && !approval_allows(a, rpc_str(call, "decision"))) {
        rpc_fail(call, "INVALID_REQUEST", "decision is not possible here");
        return;
    }
    const struct msg_approval_resolve m = {
        .id = a->id,
        .decision = rpc_str(call, "decision"),
        .resolver_kind = device ? SV("device") : SV("runtime"),
        .resolver_id = sv_of(device ? c->device_id : c->client_id),
        .resolver_name = sv_of(c->client_id),
    };
    rpc_store(call, MSG_APPROVAL_RESOLVE, &m, fn);
}

static bool decision_good(struct rpc_call *call)
{
    if (one_of("allow-once|allow-always|deny", rpc_str(call, "decision"))) {
        return true;
    }
    rpc_fail(call, "INVALID_REQUEST", "invalid decision");
    return false;
}

static void on_resolved(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval_ended *m = body;
    struct buf b;
    if (err == ERR_GONE) {
        not_found(call);
        return;
    }
    if (err != OK || type != MSG_APPROVAL_ENDED || m->row_n != 1) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_approval *a = &m->row[0];
    bool same = sv_eq(a->decision, rpc_str(call, "decision"));
    if (!m->applied && same && !sv_eqc(a->reason, "user")) {
        not_found(call); /* nobody was asked, so nobody can have decided */
        return;
    }
    if (!m->applied && !same) {
        const struct rpc_error no = {.code = "INVALID_REQUEST",
                                     .message = SV("approval already resolved"),
                                     .details = SV("{\"reason\":\"APPROVAL_ALREADY_RESOLVED\"}")};
        rpc_fail_with(call, &no);
        return;
    }
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true}");
    rpc_done(call, &b);
}

static void on_resolve(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval *a = one(call, &(struct rpc_answer){err, type, body});
    if (a != NULL) {
        resolve(call, a, on_resolved);
    }
}

void rpc_approval_resolve(struct rpc_call *call)
{
    if (decision_good(call)) {
        look_up(call, on_resolve);
    }
}

static void on_decided(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval_ended *m = body;
    struct buf b;
    if (err != OK || type != MSG_APPROVAL_ENDED || m->row_n != 1) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    rpc_begin(call, &b);
    buf_printf(&b, "{\"applied\":%s,\"approval\":", m->applied ? "true" : "false");
    approval_snapshot(&b, &m->row[0]);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void on_decide(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_approval *a = one(call, &(struct rpc_answer){err, type, body});
    if (a == NULL) {
        return;
    }
    if (!sv_eq(a->kind, rpc_str(call, "kind"))) {
        not_found(call);
        return;
    }
    resolve(call, a, on_decided);
}

void rpc_approval_decide(struct rpc_call *call)
{
    if (decision_good(call)) {
        look_up(call, on_decide);
    }
}

/* ---- the policy ------------------------------------------------------------------------------------ */

#define POLICY "exec.approvals"
#define EMPTY_POLICY "{\"version\":1,\"defaults\":{},\"agents\":{}}"

static void add_default(struct buf *b, const json_t *defaults, const char *name, const char *fallback)
{
    sv v = json_sv(defaults, name);
    buf_printf(b, "\"%s\":", name);
    buf_json_str(b, v.n > 0 ? v : sv_of(fallback));
    buf_ch(b, ',');
}

static void on_document(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_document *d = body;
    struct buf b;
    if (err == ERR_CONFLICT) {
        rpc_fail(call, "INVALID_REQUEST", "exec approvals changed since last load; re-run exec.approvals.get and retry");
        return;
    }
    if (err != OK || type != MSG_DOCUMENT) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    sv text = d->text.n > 0 ? d->text : SV(EMPTY_POLICY);
    ATTR_CLEANUP(json_free) json_t *file = json_parse(text, NULL, 0);
    const json_t *defaults = json_object_get(file, "defaults");
    rpc_begin(call, &b);
    buf_printf(&b, "{\"path\":\"store:" POLICY "\",\"exists\":%s,\"hash\":", d->text.n > 0 ? "true" : "false");
    buf_json_str(&b, d->hash);
    buf_str(&b, ",\"file\":");
    buf_sv(&b, text);
    buf_str(&b, ",\"resolvedDefaults\":{");
    add_default(&b, defaults, "security", "allowlist");
    add_default(&b, defaults, "ask", "on-miss");
    add_default(&b, defaults, "askFallback", "deny");
    buf_printf(&b, "\"autoAllowSkills\":%s}}", json_flag(defaults, "autoAllowSkills", false) ? "true" : "false");
    rpc_done(call, &b);
}

void rpc_approvals_file_get(struct rpc_call *call)
{
    const struct msg_document_get m = {.name = SV(POLICY)};
    rpc_store(call, MSG_DOCUMENT_GET, &m, on_document);
}

/* The name of the first setting that is not what it may be; NULL: all are. */
static const char *policy_fault(const json_t *policy)
{
    static const struct {
        const char *name, *one;
    } rows[] = {{"security", "deny|allowlist|full"}, {"ask", "off|on-miss|always"}, {"askFallback", "deny|allowlist|full"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const json_t *v = json_object_get(policy, rows[i].name);
        if (v != NULL && !one_of(rows[i].one, sv_of(json_is_string(v) ? json_string_value(v) : ""))) {
            return rows[i].name;
        }
    }
    const json_t *skills = json_object_get(policy, "autoAllowSkills");
    return skills != NULL && !json_is_boolean(skills) ? "autoAllowSkills" : NULL;
}

static const char *file_fault(const json_t *file)
{
    const char *id;
    json_t *agent;
    const json_t *agents = json_object_get(file, "agents"), *defaults = json_object_get(file, "defaults");
    if (json_i64(file, "version", 0) != 1) {
        return "version";
    }
    if (defaults != NULL && !json_is_object(defaults)) {
        return "defaults";
    }
    if (agents != NULL && !json_is_object(agents)) {
        return "agents";
    }
    const char *fault = policy_fault(defaults);
    /* jansson's walk takes no const object; nothing is changed. */
    json_t *walk = json_object_get(file, "agents");
    json_object_foreach(walk, id, agent) {
        fault = fault == NULL && !json_is_object(agent) ? "agents" : fault;
        fault = fault == NULL ? policy_fault(agent) : fault;
    }
    return fault;
}

void rpc_approvals_file_set(struct rpc_call *call)
{
    const json_t *file = json_object_get(call->params, "file");
    const char *fault = file_fault(file);
    if (fault != NULL) {
        rpc_fail(call, "INVALID_REQUEST", "invalid exec.approvals.set params: at /file: %s is not possible", fault);
        return;
    }
    /* A path and token of the caller's own socket have no meaning here, and a token is a secret. */
    ATTR_CLEANUP(json_free) json_t *kept = json_copy(json_object_get(call->params, "file"));
    (void)json_object_del(kept, "socket");
    call->extra = BUF_INIT(262144);
    if (!json_print(&call->extra, kept)) {
        rpc_fail(call, "INVALID_REQUEST", "the file is too large");
        return;
    }
    const struct msg_document_put m = {.name = SV(POLICY), .text = buf_view(&call->extra), .base = rpc_str(call, "baseHash")};
    rpc_store(call, MSG_DOCUMENT_PUT, &m, on_document);
}
