/*
 * rpc_chat.c: chat.send, chat.history, chat.startup, chat.abort (gateway-ws.md 15.5).
 * Runs in: edge.     Owns: nothing.
 * Never: answers chat.send before the store has committed the message.
 * Tested in: the scenarios
 */
#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/intake.h"
#include "workers/edge/params.h"
#include "workers/edge/rows.h"
#include "workers/edge/runs.h"
#include "workers/edge/sesskey.h"

rpc_fn rpc_chat_send, rpc_chat_history, rpc_chat_startup, rpc_chat_abort;

#define HISTORY_DEFAULT 200
#define HISTORY_BYTES 700000 /* messages.def HISTORY.max_bytes: default */
#define HISTORY_BYTES_MAX 786432

/* ---- chat.send ------------------------------------------------------------------------------------- */

static void answer_run(struct rpc_call *call, sv run_id, const char *status, uint64_t message_seq)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, run_id);
    buf_printf(&b, ",\"status\":\"%s\"", status);
    if (message_seq > 0) {
        buf_printf(&b, ",\"messageSeq\":%" PRIu64, message_seq);
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void answer_stopped(struct rpc_call *call, const struct msg_run_ref *runs, size_t n)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ok\":true,\"aborted\":%s,\"runIds\":[", n > 0 ? "true" : "false");
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, i ? "," : "");
        buf_json_str(&b, runs[i].run_id);
    }
    buf_str(&b, "]}");
    rpc_done(call, &b);
}

static void on_command(struct rpc_call *call, const struct msg_ingested *in)
{
    struct edge *e = call->e;
    if (intake_command(call) == INTAKE_STOP) {
        answer_stopped(call, in->stopped, in->stopped_n);
        return;
    }
    char run_id[129], key[SESSKEY_MAX + 1];
    sv_copy(run_id, sizeof run_id, rpc_str(call, "idempotencyKey"));
    sv_copy(key, sizeof key, sv_of(call->session_key));
    answer_run(call, sv_of(run_id), in->dup ? "ok" : "started", 0);
    if (!in->dup) {
        emit_session_changed(e, sv_of(key), in->session_id, SV_NULL, "reset", NULL, "done", false);
        emit_command(e, sv_of(run_id), sv_of(key), in->text.n > 0 ? in->text : SV(INTAKE_NEW_TEXT));
    }
}

static void on_ingested(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == ERR_CONFLICT) {
        const struct rpc_error conflict = {
            .code = "INVALID_REQUEST",
            .message = SV("This message ID was already used for different input. Check the conversation "
                          "history and use a new message ID to send again."),
            .details = SV("{\"reason\":\"chat-request-conflict\"}"),
        };
        rpc_fail_with(call, &conflict);
        return;
    }
    if (err != OK || type != MSG_INGESTED) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    crash_point("edge.after_ingest");
    const struct msg_ingested *in = body;
    struct edge *e = call->e;
    if (sv_eqc(in->state, "command")) {
        on_command(call, in);
        return;
    }
    char own_key[SESSKEY_MAX + 1]; /* the call is gone when the event is made */
    sv_copy(own_key, sizeof own_key, sv_of(call->session_key));
    sv key = in->session_key.n > 0 ? in->session_key : sv_of(own_key);
    sv run_id = in->run_id.n > 0 ? in->run_id : rpc_str(call, "idempotencyKey");
    bool over = run_state_ended(in->state);
    if (!over) {
        runs_started(e, run_id, key, in->session_id, call->c);
    }
    if (in->dup) {
        answer_run(call, run_id, over ? "ok" : "in_flight", 0);
        return;
    }
    bool ui = call->c->tracked;
    answer_run(call, run_id, "started", ui ? in->message_seq : 0);
    emit_session_changed(e, key, in->session_id, SV_NULL, "send", NULL, "running", true);
}

void rpc_chat_send(struct rpc_call *call)
{
    if (!rpc_session(call, "sessionKey")) {
        return;
    }
    sv agent = sesskey_agent(sv_of(call->session_key));
    if (!edge_agent_known(call->e, agent)) {
        rpc_fail(call, "INVALID_REQUEST", "Agent \"%.*s\" no longer exists in configuration",
                 SV_ARG(agent));
        return;
    }
    if (sv_trim(rpc_str(call, "message")).n == 0) {
        rpc_fail(call, "INVALID_REQUEST", "message or attachment required");
        return;
    }
    struct intake in = {.timeout_ms = rpc_int(call, "timeoutMs", 0)};
    sv mode = rpc_str(call, "queueMode");
    in.queue_mode = one_of("collect|followup", mode) ? mode : SV_NULL;
    intake_send(call, &in, on_ingested);
}

/* ---- chat.history, chat.startup -------------------------------------------------------------------- */

static void add_pending(struct buf *b, const struct msg_history_page *page)
{
    buf_str(b, ",\"pendingInputs\":{\"items\":[");
    for (size_t i = 0; i < page->pending_n; i++) {
        const struct msg_entry *e = &page->pending[i];
        buf_str(b, i ? ",{\"id\":" : "{\"id\":");
        buf_json_str(b, e->id.n > 0 ? e->id : e->run_id);
        buf_printf(b, ",\"acceptedAt\":%" PRId64 ",\"state\":\"queued\",\"message\":", e->ts_ms);
        row_entry(b, e, 0);
        buf_str(b, ",\"runId\":");
        buf_json_str(b, e->run_id);
        buf_ch(b, '}');
    }
    buf_printf(b, "],\"total\":%zu}", page->pending_n);
}

static void add_session_info(struct buf *b, const struct rpc_call *call,
                             const struct msg_history_page *page)
{
    int64_t now = clock_real_ms();
    buf_str(b, ",\"sessionInfo\":");
    if (page->session_n == 0) {
        row_no_session(b, sv_of(call->session_key), &call->e->model, now);
        return;
    }
    row_session(b, &page->session[0], now, ROW_TITLE);
    if (page->offset == 0 && page->rows_n > 0) {
        b->n--; /* into the object that was just closed */
        buf_str(b, ",\"activeLeafEntryId\":");
        buf_json_str(b, page->rows[page->rows_n - 1].id);
        buf_ch(b, '}');
    }
}

static void add_in_flight(struct buf *b, const struct rpc_call *call,
                          const struct msg_history_page *page)
{
    const struct run_live *r = runs_of_session(call->e, sv_of(call->session_key));
    if (page->session_n == 0 || page->session[0].active_run.n == 0 || r == NULL) {
        return;
    }
    buf_str(b, ",\"inFlightRun\":{\"runId\":");
    buf_json_str(b, sv_of(r->run_id));
    buf_str(b, ",\"text\":");
    buf_json_str(b, delta_all(&r->text));
    buf_printf(b, ",\"startedAt\":%" PRId64 "}", r->started_ms);
}

static void add_page(struct buf *b, const struct rpc_call *call, const struct msg_history_page *page)
{
    buf_str(b, "{\"sessionKey\":");
    buf_json_str(b, sv_of(call->session_key));
    if (page->session_n > 0) {
        buf_str(b, ",\"sessionId\":");
        buf_json_str(b, page->session[0].session_id);
    }
    buf_str(b, ",\"messages\":[");
    size_t max_chars = (size_t)rpc_int(call, "maxChars", 0);
    for (size_t i = 0; i < page->rows_n; i++) {
        buf_str(b, i ? "," : "");
        row_entry(b, &page->rows[i], max_chars);
    }
    buf_ch(b, ']');
    add_pending(b, page);
    buf_printf(b, ",\"hasMore\":%s", page->more ? "true" : "false");
    if (page->more) {
        buf_printf(b, ",\"nextOffset\":%" PRIu64, page->offset + page->rows_n);
    }
    buf_printf(b, ",\"totalMessages\":%" PRIu64 ",\"defaults\":", page->total);
    row_defaults(b, &call->e->model);
    add_session_info(b, call, page);
    add_in_flight(b, call, page);
}

static void on_history(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_HISTORY_PAGE) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    add_page(&b, call, body);
    if (call->flag) {
        buf_str(&b, ",\"metadata\":{\"models\":");
        intake_models(&b, call->e);
        buf_str(&b, ",\"commands\":[]}");
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_chat_history(struct rpc_call *call)
{
    if (!rpc_session(call, "sessionKey")) {
        return;
    }
    int64_t bytes = rpc_int(call, "maxBytes", HISTORY_BYTES);
    const struct msg_history h = {
        .session_key = sv_of(call->session_key),
        .limit = (uint64_t)rpc_int(call, "limit", HISTORY_DEFAULT),
        .offset = (uint64_t)rpc_int(call, "offset", 0),
        .max_bytes = (uint64_t)(bytes < HISTORY_BYTES_MAX ? bytes : HISTORY_BYTES_MAX),
    };
    rpc_store(call, MSG_HISTORY, &h, on_history);
}

void rpc_chat_startup(struct rpc_call *call)
{
    call->flag = true;
    rpc_chat_history(call);
}

/* ---- chat.abort ------------------------------------------------------------------------------------ */

static void on_aborted(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == ERR_GONE) {
        answer_stopped(call, NULL, 0);
    } else if (err != OK || type != MSG_ABORTED) {
        rpc_fail_store(call, err, type, body);
    } else {
        const struct msg_aborted *a = body;
        answer_stopped(call, a->runs, a->runs_n);
    }
}

void rpc_chat_abort(struct rpc_call *call)
{
    if (!rpc_session(call, "sessionKey")) {
        return;
    }
    const struct msg_abort a = {
        .session_key = sv_of(call->session_key),
        .run_id = rpc_str(call, "runId"),
        .reason = SV("rpc"),
    };
    rpc_store(call, MSG_ABORT, &a, on_aborted);
}
