/*
 * rpc_sessedit.c: sessions.create, patch, reset, delete, compact, send, resolve; chat.inject (gateway-ws.md 15.4, 15.5).
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a field that would have no effect without saying so.
 * Tested in: tests/scn/e9-sessions.test.mjs
 */
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "workers/edge/intake.h"
#include "workers/edge/params.h"
#include "workers/edge/rows.h"
#include "workers/edge/runs.h"
#include "workers/edge/scopes.h"
#include "workers/edge/sesskey.h"

rpc_fn rpc_sessions_create, rpc_sessions_patch, rpc_sessions_reset, rpc_sessions_delete, rpc_sessions_compact,
    rpc_sessions_send, rpc_sessions_resolve, rpc_chat_inject;

/* Fields that need no administrator (9.3). */
#define SMALL_FIELDS                                                                               \
    "key|agentId|expectedSessionId|label|autoLabel|icon|color|category|boardFace|boardPresentation|pinned|" \
    "archived|unread|model|agentRuntime|thinkingLevel|fastMode|permissionMode"

/* ---- answers --------------------------------------------------------------------------------------- */

static void add_entry(struct buf *b, const struct rpc_call *call, const struct msg_session *s)
{
    buf_str(b, "\"entry\":{\"sessionId\":");
    buf_json_str(b, s->session_id);
    buf_printf(b, ",\"lifecycleRevision\":\"%" PRIu64 "\",\"createdAt\":%" PRId64 ",\"updatedAt\":%" PRId64,
               s->revision, s->created_ms, s->updated_ms);
    if (s->label.n > 0) {
        buf_str(b, ",\"label\":");
        buf_json_str(b, s->label);
    }
    if (s->pinned_ms > 0) {
        buf_printf(b, ",\"pinnedAt\":%" PRId64, s->pinned_ms);
    }
    if (s->archived_ms > 0) {
        buf_printf(b, ",\"archivedAt\":%" PRId64, s->archived_ms);
    }
    buf_str(b, "},\"resolved\":{\"modelProvider\":");
    sv want = s->model_want;
    bool own = sv_chr(want, '/') > 0;
    buf_json_str(b, own ? sv_cut(&want, '/') : sv_of(call->e->model.provider));
    buf_str(b, ",\"model\":");
    buf_json_str(b, want.n > 0 ? want : sv_of(call->e->model.model));
    buf_ch(b, '}');
}

static void fail_change(struct rpc_call *call, const struct rpc_answer *a)
{
    rpc_fail_store(call, a->err, a->type, a->body);
}

static void answer_changed(struct rpc_call *call, const struct msg_session *s, const char *reason)
{
    struct edge *e = call->e;
    char key[SESSKEY_MAX + 1], session_id[65];
    struct buf b;
    sv_copy(key, sizeof key, s->key);
    sv_copy(session_id, sizeof session_id, s->session_id);
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"path\":\"store\",\"key\":");
    buf_json_str(&b, s->key);
    buf_ch(&b, ',');
    add_entry(&b, call, s);
    buf_ch(&b, '}');
    rpc_done(call, &b);
    emit_session_changed(e, sv_of(key), sv_of(session_id), SV_NULL, reason, NULL, "done", false);
}

/* ---- patch ----------------------------------------------------------------------------------------- */

static bool only_small(const json_t *params)
{
    /* jansson iterates over a non-const object; it is not changed. */
    for (void *it = json_object_iter((json_t *)(uintptr_t)params); it != NULL;
         it = json_object_iter_next((json_t *)(uintptr_t)params, it)) {
        if (!one_of(SMALL_FIELDS, sv_of(json_object_iter_key(it)))) {
            return false;
        }
    }
    return !sv_eqc(json_sv(params, "permissionMode"), "full");
}

/* This gateway thinks at one level; and names of models are those of its provider. */
static bool values_good(struct rpc_call *call)
{
    sv thinking = rpc_str(call, "thinkingLevel"), model = rpc_str(call, "model");
    if (thinking.n > 0 && !sv_eqc(thinking, "off")) {
        rpc_fail(call, "INVALID_REQUEST", "invalid thinkingLevel (use off)");
        return false;
    }
    sv rest = model, provider = sv_cut(&rest, '/');
    if (rest.n > 0 && call->e->model.provider[0] != '\0' && !sv_eqc(provider, call->e->model.provider)) {
        rpc_fail(call, "INVALID_REQUEST", "Unknown provider \"%.*s\". Use models.list to see what there is.",
                 SV_ARG(sv_sub(provider, 0, 64)));
        return false;
    }
    return true;
}

static void name_set(struct rpc_call *call, const char *param)
{
    if (json_object_get(call->params, param) != NULL) {
        buf_str(&call->extra, call->extra.n > 0 ? "," : "");
        buf_str(&call->extra, param);
    }
}

static struct msg_session_change patch_of(struct rpc_call *call)
{
    static const char *const names[] = {"label", "category", "icon", "color", "model", "pinned", "archived", "unread"};
    call->extra = BUF_INIT(256);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        name_set(call, names[i]);
    }
    return (struct msg_session_change){
        .key = sv_of(call->session_key),
        .op = SV("patch"),
        .expected_id = rpc_str(call, "expectedSessionId"),
        .set = buf_view(&call->extra),
        .label = rpc_str(call, "label"),
        .category = rpc_str(call, "category"),
        .icon = rpc_str(call, "icon"),
        .color = rpc_str(call, "color"),
        .model = rpc_str(call, "model"),
        .pinned = rpc_bool(call, "pinned", false),
        .archived = rpc_bool(call, "archived", false),
        .unread = rpc_bool(call, "unread", false),
    };
}

static void on_patched(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSION) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    answer_changed(call, body, "patch");
}

static bool agent_known(struct rpc_call *call)
{
    sv agent = sesskey_agent(sv_of(call->session_key));
    if (edge_agent_known(call->e, agent)) {
        return true;
    }
    rpc_fail(call, "INVALID_REQUEST", "Agent \"%.*s\" no longer exists in configuration", SV_ARG(agent));
    return false;
}

void rpc_sessions_patch(struct rpc_call *call)
{
    if (!only_small(call->params) && !conn_has(call->c, SC_ADMIN)) {
        rpc_fail_scope(call, "operator.admin");
        return;
    }
    if (!rpc_session(call, "key") || !agent_known(call) || !values_good(call)) {
        return;
    }
    const struct msg_session_change m = patch_of(call);
    rpc_store(call, MSG_SESSION_CHANGE, &m, on_patched);
}

/* ---- create ---------------------------------------------------------------------------------------- */

static void created(struct rpc_call *call, const struct msg_session *s)
{
    struct edge *e = call->e;
    char key[SESSKEY_MAX + 1];
    struct buf b;
    sv_copy(key, sizeof key, s->key);
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"key\":");
    buf_json_str(&b, s->key);
    buf_str(&b, ",\"sessionId\":");
    buf_json_str(&b, s->session_id);
    buf_ch(&b, ',');
    add_entry(&b, call, s);
    bool ran = call->run_id[0] != '\0';
    buf_printf(&b, ",\"runStarted\":%s", ran ? "true" : "false");
    if (ran) {
        buf_str(&b, ",\"runId\":");
        buf_json_str(&b, sv_of(call->run_id));
        buf_str(&b, ",\"status\":\"started\"");
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
    emit_session_changed(e, sv_of(key), SV_NULL, SV_NULL, "create", NULL, "done", false);
}

static void on_first_described(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSION) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    created(call, body);
}

static void on_first_message(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_INGESTED) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    const struct msg_ingested *in = body;
    runs_started(call->e, sv_of(call->run_id), sv_of(call->session_key), in->session_id, call->c);
    const struct msg_session_get get = {.key = sv_of(call->session_key)};
    rpc_store(call, MSG_SESSION_GET, &get, on_first_described);
}

static void on_created(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSION) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    if (sv_trim(rpc_str(call, "message")).n == 0) {
        created(call, body);
        return;
    }
    sv key = rpc_str(call, "idempotencyKey");
    id_uuid(call->run_id);
    if (key.n > 0) {
        sv_copy(call->run_id, sizeof call->run_id, key);
    }
    const struct intake in = {.key = sv_of(call->run_id)};
    intake_send(call, &in, on_first_message);
}

void rpc_sessions_create(struct rpc_call *call)
{
    static const char *const admin[] = {"incognito", "execNode", "toolOverrides"};
    bool big = sv_eqc(rpc_str(call, "permissionMode"), "full");
    for (size_t i = 0; i < ARRAY_LEN(admin); i++) {
        big = big || json_object_get(call->params, admin[i]) != NULL;
    }
    if (big && !conn_has(call->c, SC_ADMIN)) {
        rpc_fail_scope(call, "operator.admin");
        return;
    }
    char own[64] = "dashboard:";
    id_uuid(own + strlen(own));
    sv key = rpc_str(call, "key");
    if (!sesskey_canonical(key.n > 0 ? key : sv_of(own), rpc_str(call, "agentId"), call->session_key)) {
        rpc_fail(call, "INVALID_REQUEST", "invalid sessions.create params: at /key: must be a session key");
        return;
    }
    if (!agent_known(call) || !values_good(call)) {
        return;
    }
    const struct msg_session_change m = patch_of(call);
    rpc_store(call, MSG_SESSION_CHANGE, &m, on_created);
}

/* ---- reset, delete, compact ------------------------------------------------------------------------ */

static void change(struct rpc_call *call, const char *op, rpc_reply_fn *fn)
{
    const struct msg_session_change m = {
        .key = sv_of(call->session_key), .op = sv_of(op), .expected_id = rpc_str(call, "expectedSessionId")};
    rpc_store(call, MSG_SESSION_CHANGE, &m, fn);
}

static void on_reset(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSION) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    answer_changed(call, body, "reset");
}

void rpc_sessions_reset(struct rpc_call *call)
{
    if (rpc_session(call, "key") && agent_known(call)) {
        change(call, "reset", on_reset);
    }
}

static void on_deleted(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == ERR_DENIED) {
        rpc_fail(call, "INVALID_REQUEST", "Cannot delete the main session (%s).", call->session_key);
        return;
    }
    if (err != ERR_GONE && (err != OK || type != MSG_SESSION)) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    struct edge *e = call->e;
    char key[SESSKEY_MAX + 1];
    struct buf b;
    sv_copy(key, sizeof key, sv_of(call->session_key));
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"key\":");
    buf_json_str(&b, sv_of(key));
    buf_printf(&b, ",\"deleted\":%s,\"archived\":[]}", err == OK ? "true" : "false");
    rpc_done(call, &b);
    if (err == OK) {
        emit_session_deleted(e, sv_of(key), ((const struct msg_session *)body)->session_id);
    }
}

static void on_archived_check(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_session *s = body;
    if (err == OK && type == MSG_SESSION && s->archived_ms == 0) {
        rpc_fail(call, "INVALID_REQUEST", "the session is not archived");
    } else if (err == OK) {
        change(call, "delete", on_deleted);
    } else {
        on_deleted(call, err, type, body);
    }
}

void rpc_sessions_delete(struct rpc_call *call)
{
    bool archived_only = rpc_bool(call, "archivedOnly", false);
    if (!archived_only && !conn_has(call->c, SC_ADMIN)) {
        rpc_fail_scope(call, "operator.admin");
        return;
    }
    if (!rpc_session(call, "key")) {
        return;
    }
    if (archived_only) {
        const struct msg_session_get get = {.key = sv_of(call->session_key)};
        rpc_store(call, MSG_SESSION_GET, &get, on_archived_check);
    } else {
        change(call, "delete", on_deleted);
    }
}

/* The prompt takes what fits of a transcript by itself (agent/prompt.c), so there is nothing to compact. */
void rpc_sessions_compact(struct rpc_call *call)
{
    if (!rpc_session(call, "key")) {
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"key\":");
    buf_json_str(&b, sv_of(call->session_key));
    buf_str(&b, ",\"compacted\":false,\"reason\":\"not needed: each turn takes as much of the transcript as fits\"}");
    rpc_done(call, &b);
}

/* ---- send, resolve, inject ------------------------------------------------------------------------- */

static void on_sent(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_ingested *in = body;
    if (err != OK || type != MSG_INGESTED) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    bool over = run_state_ended(in->state);
    if (!over) {
        runs_started(call->e, sv_of(call->run_id), sv_of(call->session_key), in->session_id, call->c);
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, sv_of(call->run_id));
    buf_printf(&b, ",\"status\":\"%s\"}", !in->dup ? "started" : over ? "ok" : "in_flight");
    rpc_done(call, &b);
}

void rpc_sessions_send(struct rpc_call *call)
{
    sv key = rpc_str(call, "idempotencyKey");
    if (!rpc_session(call, "key") || !agent_known(call)) {
        return;
    }
    if (sv_trim(rpc_str(call, "message")).n == 0) {
        rpc_fail(call, "INVALID_REQUEST", "message or attachment required");
        return;
    }
    id_uuid(call->run_id);
    if (key.n > 0) {
        sv_copy(call->run_id, sizeof call->run_id, key);
    }
    const struct intake in = {.key = sv_of(call->run_id), .timeout_ms = rpc_int(call, "timeoutMs", 0)};
    intake_send(call, &in, on_sent);
}

static void answer_resolved(struct rpc_call *call, const struct msg_session *s)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"key\":");
    buf_json_str(&b, s->key);
    buf_str(&b, ",\"agentId\":");
    buf_json_str(&b, s->agent_id);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void answer_unresolved(struct rpc_call *call, sv what)
{
    if (!rpc_bool(call, "allowMissing", false)) {
        rpc_fail(call, "INVALID_REQUEST", "No session found: %.*s", SV_ARG(sv_sub(what, 0, 200)));
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":false}");
    rpc_done(call, &b);
}

static void on_resolved(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == OK && type == MSG_SESSION) {
        answer_resolved(call, body);
    } else if (err == ERR_GONE && sv_ends(sv_of(call->session_key), SV(":main"))) {
        const struct msg_session s = {.key = sv_of(call->session_key), .agent_id = sesskey_agent(sv_of(call->session_key))};
        answer_resolved(call, &s); /* the main session is always there, also before its first message */
    } else if (err == ERR_GONE) {
        answer_unresolved(call, rpc_str(call, "key"));
    } else {
        fail_change(call, &(struct rpc_answer){err, type, body});
    }
}

static void on_candidates(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    sv id = rpc_str(call, "sessionId"), label = rpc_str(call, "label"), part = rpc_str(call, "shortId");
    const struct msg_sessions *m = body;
    if (err != OK || type != MSG_SESSIONS) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_session *s = &m->rows[i];
        if ((id.n > 0 && sv_eq(id, s->session_id)) || (label.n > 0 && sv_eq(label, s->label)) ||
            (part.n > 0 && sv_starts(s->session_id, part))) {
            answer_resolved(call, s);
            return;
        }
    }
    answer_unresolved(call, id.n > 0 ? id : label.n > 0 ? label : part);
}

void rpc_sessions_resolve(struct rpc_call *call)
{
    if (rpc_str(call, "key").n > 0) {
        if (rpc_session(call, "key")) {
            const struct msg_session_get get = {.key = sv_of(call->session_key)};
            rpc_store(call, MSG_SESSION_GET, &get, on_resolved);
        }
        return;
    }
    sv label = rpc_str(call, "label");
    if (rpc_str(call, "sessionId").n == 0 && label.n == 0 && rpc_str(call, "shortId").n == 0) {
        rpc_fail(call, "INVALID_REQUEST", "invalid sessions.resolve params: must have required property 'key'");
        return;
    }
    const struct msg_sessions_list list = {.limit = 1000, .search = label, .agent_id = rpc_str(call, "agentId")};
    rpc_store(call, MSG_SESSIONS_LIST, &list, on_candidates);
}

static void on_injected(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_session *s = body;
    if (err != OK || type != MSG_SESSION) {
        fail_change(call, &(struct rpc_answer){err, type, body});
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"messageId\":");
    buf_json_str(&b, s->last_entry);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_chat_inject(struct rpc_call *call)
{
    if (!rpc_session(call, "sessionKey") || !agent_known(call)) {
        return;
    }
    const struct msg_session_change m = {
        .key = sv_of(call->session_key),
        .op = SV("note"),
        .role = SV("assistant"),
        .text = rpc_str(call, "message"),
        .label = rpc_str(call, "label"),
    };
    rpc_store(call, MSG_SESSION_CHANGE, &m, on_injected);
}
