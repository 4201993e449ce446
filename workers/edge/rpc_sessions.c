/*
 * rpc_sessions.c: sessions.* (gateway-ws.md 15.4).
 * Runs in: edge.     Owns: nothing.
 * Never: keeps a copy of session rows: the store answers each time.
 * Tested in: the scenarios
 */
#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/rows.h"
#include "workers/edge/rpc.h"
#include "workers/edge/sesskey.h"
#include "workers/edge/subs.h"

rpc_fn rpc_sessions_list, rpc_sessions_describe, rpc_sessions_preview, rpc_sessions_abort,
    rpc_sessions_subscribe, rpc_sessions_unsubscribe, rpc_sessions_messages_subscribe,
    rpc_sessions_messages_unsubscribe;

#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define PREVIEW_KEYS_MAX 32
#define PREVIEW_ROWS 10
#define PREVIEW_CHARS 240

/* ---- sessions.list --------------------------------------------------------------------------------- */

static unsigned extras(const struct rpc_call *call)
{
    return (rpc_bool(call, "includeDerivedTitles", false) ? ROW_TITLE : 0u) |
           (rpc_bool(call, "includeLastMessage", false) ? ROW_PREVIEW : 0u);
}

static int64_t list_limit(const struct rpc_call *call)
{
    int64_t limit = rpc_int(call, "limit", LIST_DEFAULT);
    return limit < LIST_MAX ? limit : LIST_MAX;
}

static void add_list(struct buf *b, const struct rpc_call *call, const struct msg_session *rows, size_t n,
                     uint64_t total)
{
    int64_t now = clock_real_ms();
    uint64_t next = (uint64_t)rpc_int(call, "offset", 0) + n;
    bool more = next < total && n > 0;
    buf_printf(b,
               "{\"ts\":%" PRId64 ",\"path\":\"store\",\"count\":%zu,\"totalCount\":%" PRIu64
               ",\"limitApplied\":%" PRId64 ",\"nextOffset\":",
               now, n, total, list_limit(call));
    if (more) {
        buf_printf(b, "%" PRIu64, next);
    } else {
        buf_str(b, "null");
    }
    buf_printf(b, ",\"hasMore\":%s,\"owners\":[],\"defaults\":", more ? "true" : "false");
    row_defaults(b, &call->e->model);
    buf_str(b, ",\"sessions\":[");
    for (size_t i = 0; i < n; i++) {
        buf_str(b, i ? "," : "");
        row_session(b, &rows[i], now, extras(call));
    }
    buf_str(b, "]}");
}

static void answer_list(struct rpc_call *call, const struct msg_session *rows, size_t n, uint64_t total)
{
    struct buf b;
    rpc_begin(call, &b);
    if (call->flag) {
        buf_str(&b, "{\"subscribed\":true,\"list\":");
    }
    add_list(&b, call, rows, n, total);
    if (call->flag) {
        buf_ch(&b, '}');
    }
    rpc_done(call, &b);
}

static void on_list(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSIONS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_sessions *s = body;
    answer_list(call, s->rows, s->rows_n, s->total);
}

/* Filters for things that no session of ours has: nothing can match. */
static bool matches_nothing(const struct rpc_call *call)
{
    return rpc_str(call, "spawnedBy").n > 0 ||
           rpc_str(call, "creatorId").n > 0 || rpc_str(call, "ownerId").n > 0;
}

void rpc_sessions_list(struct rpc_call *call)
{
    if (matches_nothing(call)) {
        answer_list(call, NULL, 0, 0);
        return;
    }
    const json_t *archived = json_object_get(call->params, "archived");
    int64_t minutes = rpc_int(call, "activeMinutes", 0);
    sv label = rpc_str(call, "label"), search = rpc_str(call, "search");
    const struct msg_sessions_list list = {
        .limit = (uint64_t)list_limit(call),
        .offset = (uint64_t)rpc_int(call, "offset", 0),
        .search = search.n > 0 ? search : label,
        .agent_id = rpc_str(call, "agentId"),
        .archived = json_is_true(archived) ? SV("only") : json_is_string(archived) ? SV("all") : SV_NULL,
        .active_since_ms = minutes > 0 && minutes < 100000000 ? clock_real_ms() - minutes * 60000 : 0,
    };
    rpc_store(call, MSG_SESSIONS_LIST, &list, on_list);
}

/* ---- sessions.describe ----------------------------------------------------------------------------- */

static void on_describe(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != ERR_GONE && (err != OK || type != MSG_SESSION)) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"session\":");
    if (err == ERR_GONE) {
        buf_str(&b, "null");
    } else {
        row_session(&b, body, clock_real_ms(), extras(call));
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_sessions_describe(struct rpc_call *call)
{
    if (!rpc_session(call, "key")) {
        return;
    }
    const struct msg_session_get get = {.key = sv_of(call->session_key)};
    rpc_store(call, MSG_SESSION_GET, &get, on_describe);
}

/* ---- sessions.preview: one session after the other -------------------------------------------------- */

struct preview {
    size_t next; /* index of the key that is being asked for */
};

static void preview_ask(struct rpc_call *call);

static void preview_add(struct rpc_call *call, struct buf *b, const struct msg_history_page *page)
{
    const json_t *keys = json_object_get(call->params, "keys");
    struct preview *p = call->data;
    int64_t chars = rpc_int(call, "maxChars", PREVIEW_CHARS);
    buf_str(b, p->next > 0 ? ",{\"key\":" : "{\"key\":");
    buf_json_str(b, sv_of(json_string_value(json_array_get(keys, p->next))));
    bool ok = page != NULL && page->session_n > 0;
    buf_printf(b, ",\"status\":\"%s\",\"items\":[", ok ? "ok" : "missing");
    for (size_t i = 0; ok && i < page->rows_n; i++) {
        const struct msg_entry *row = &page->rows[i];
        buf_str(b, i ? ",{\"role\":" : "{\"role\":");
        buf_json_str(b, row->role);
        buf_str(b, ",\"text\":");
        buf_json_str(b, row_cut(row->text, (size_t)chars));
        buf_ch(b, '}');
    }
    buf_str(b, "]}");
}

static void preview_step(struct rpc_call *call, const struct msg_history_page *page)
{
    struct preview *p = call->data;
    const json_t *keys = json_object_get(call->params, "keys");
    preview_add(call, &call->extra, page);
    p->next++;
    if (p->next < json_array_size(keys) && p->next < PREVIEW_KEYS_MAX) {
        preview_ask(call);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ts\":%" PRId64 ",\"previews\":[", clock_real_ms());
    buf_sv(&b, buf_view(&call->extra));
    buf_str(&b, "]}");
    rpc_done(call, &b);
}

static void on_preview(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_HISTORY_PAGE) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    preview_step(call, body);
}

static void preview_ask(struct rpc_call *call)
{
    const struct preview *p = call->data;
    const json_t *keys = json_object_get(call->params, "keys");
    sv key = sv_of(json_string_value(json_array_get(keys, p->next)));
    int64_t limit = rpc_int(call, "limit", PREVIEW_ROWS);
    if (!sesskey_canonical(key, SV_NULL, call->session_key)) {
        rpc_fail(call, "INVALID_REQUEST", "invalid sessions.preview params: at /keys/%zu: must be a session key",
                 p->next);
        return;
    }
    const struct msg_history h = {
        .session_key = sv_of(call->session_key),
        .limit = (uint64_t)(limit < 100 ? limit : 100),
    };
    rpc_store(call, MSG_HISTORY, &h, on_preview);
}

void rpc_sessions_preview(struct rpc_call *call)
{
    const json_t *keys = json_object_get(call->params, "keys");
    if (json_array_size(keys) == 0) {
        rpc_fail(call, "INVALID_REQUEST", "invalid sessions.preview params: at /keys: must not be empty");
        return;
    }
    struct preview *p = xcalloc(1, sizeof *p);
    call->extra = BUF_INIT(OUT_MSG_MAX / 2);
    call->data = p;
    preview_ask(call);
}

/* ---- sessions.abort -------------------------------------------------------------------------------- */

static void on_abort(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != ERR_GONE && (err != OK || type != MSG_ABORTED)) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_aborted *a = err == OK ? body : NULL;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"abortedRunId\":");
    if (a != NULL && a->runs_n > 0) {
        buf_json_str(&b, a->runs[0].run_id);
        buf_str(&b, ",\"status\":\"aborted\"}");
    } else {
        buf_str(&b, "null,\"status\":\"no-active-run\"}");
    }
    rpc_done(call, &b);
}

void rpc_sessions_abort(struct rpc_call *call)
{
    sv run_id = rpc_str(call, "runId");
    if (rpc_str(call, "key").n == 0 && run_id.n == 0) {
        rpc_fail(call, "INVALID_REQUEST",
                 "invalid sessions.abort params: must have required property 'key'");
        return;
    }
    if (rpc_str(call, "key").n > 0 && !rpc_session(call, "key")) {
        return;
    }
    const struct msg_abort a = {
        .session_key = sv_of(call->session_key),
        .run_id = run_id,
        .reason = SV("rpc"),
    };
    rpc_store(call, MSG_ABORT, &a, on_abort);
}

/* ---- subscriptions --------------------------------------------------------------------------------- */

static void answer_subscribed(struct rpc_call *call, bool on, const char *key)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"subscribed\":%s", on ? "true" : "false");
    if (key != NULL) {
        buf_str(&b, ",\"key\":");
        buf_json_str(&b, sv_of(key));
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_sessions_subscribe(struct rpc_call *call)
{
    subs_sessions(call->c, true);
    if (json_object_size(call->params) > 0) {
        call->flag = true; /* with list parameters: the list comes along */
        rpc_sessions_list(call);
    } else {
        answer_subscribed(call, true, NULL);
    }
}

void rpc_sessions_unsubscribe(struct rpc_call *call)
{
    subs_sessions(call->c, false);
    answer_subscribed(call, false, NULL);
}

void rpc_sessions_messages_subscribe(struct rpc_call *call)
{
    if (!rpc_session(call, "key")) {
        return;
    }
    if (!subs_messages(call->c, sv_of(call->session_key), true)) {
        rpc_fail(call, "INVALID_REQUEST", "too many subscriptions on one connection");
        return;
    }
    answer_subscribed(call, true, call->session_key);
}

void rpc_sessions_messages_unsubscribe(struct rpc_call *call)
{
    if (!rpc_session(call, "key")) {
        return;
    }
    subs_messages(call->c, sv_of(call->session_key), false);
    answer_subscribed(call, false, call->session_key);
}
