/*
 * rpc_runs.c: agent and agent.wait (gateway-ws.md 15.6).
 * Runs in: edge.     Owns: nothing.
 * Never: waits without a deadline; the run itself goes on when the wait is over.
 * Tested in: the scenarios
 */
#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/intake.h"
#include "workers/edge/runs.h"
#include "workers/edge/scopes.h"
#include "workers/edge/sesskey.h"

rpc_fn rpc_agent, rpc_agent_wait;

#define WAIT_DEFAULT_MS 30000
#define WAIT_MAX_MS 3600000       /* an hour; a client that wants more asks again */
#define RESULT_MAX_MS 86400000    /* `agent` waits for its result as long as a run may take */

/* ---- agent: the result ----------------------------------------------------------------------------- */

static void add_result(struct buf *b, const struct msg_run *m)
{
    int64_t took = m->ended_ms > m->started_ms && m->started_ms > 0 ? m->ended_ms - m->started_ms : 0;
    buf_str(b, ",\"status\":\"ok\",\"summary\":\"completed\",\"result\":{\"payloads\":[");
    if (m->reply.n > 0) {
        buf_str(b, "{\"text\":");
        buf_json_str(b, m->reply);
        buf_str(b, ",\"mediaUrl\":null}");
    }
    buf_printf(b, "],\"meta\":{\"durationMs\":%" PRId64 ",\"agentMeta\":{\"sessionId\":", took);
    buf_json_str(b, m->session_id);
    buf_str(b, ",\"provider\":");
    buf_json_str(b, m->provider);
    buf_str(b, ",\"model\":");
    buf_json_str(b, m->model);
    buf_printf(b, ",\"usage\":{\"input\":%" PRIu64 ",\"output\":%" PRIu64 ",\"total\":%" PRIu64 "}}",
               m->in_tokens, m->out_tokens, m->in_tokens + m->out_tokens);
    buf_str(b, ",\"aborted\":false}}");
}

/* Failure carries payload and error in one frame (section 2 rule 3). */
static void answer_failed(struct rpc_call *call, sv run_id, sv text)
{
    struct buf b;
    text = text.n > 0 ? text : SV("the run failed");
    out_begin(&b);
    buf_str(&b, "{\"type\":\"res\",\"id\":");
    buf_json_str(&b, sv_of(call->id));
    buf_str(&b, ",\"ok\":false,\"payload\":{\"runId\":");
    buf_json_str(&b, run_id);
    buf_str(&b, ",\"status\":\"error\",\"summary\":");
    buf_json_str(&b, text);
    buf_str(&b, "},\"error\":{\"code\":\"UNAVAILABLE\",\"message\":");
    buf_json_str(&b, text);
    buf_str(&b, "}}");
    conn_send(call->c, &b);
    rpc_end(call);
}

static void agent_ended(struct rpc_call *call, const struct msg_run *m)
{
    sv run_id = call->run_id[0] ? sv_of(call->run_id) : m->run_id;
    if (sv_eqc(m->state, "error") || sv_eqc(m->state, "timeout")) {
        answer_failed(call, run_id, m->error);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, run_id);
    if (sv_eqc(m->state, "aborted")) {
        buf_str(&b, ",\"status\":\"timeout\",\"summary\":\"aborted\",\"stopReason\":");
        buf_json_str(&b, m->stop.n > 0 ? m->stop : SV("rpc"));
    } else {
        add_result(&b, m);
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void agent_too_long(struct rpc_call *call)
{
    rpc_fail(call, "UNAVAILABLE", "the run has not ended; ask for it with agent.wait");
}

static void answer_status(struct rpc_call *call, const char *status, bool more)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, sv_of(call->run_id));
    buf_str(&b, ",\"sessionKey\":");
    buf_json_str(&b, sv_of(call->session_key));
    buf_str(&b, ",\"agentId\":");
    buf_json_str(&b, sesskey_agent(sv_of(call->session_key)));
    buf_printf(&b, ",\"status\":\"%s\"", status);
    if (more) {
        buf_printf(&b, ",\"acceptedAt\":%" PRId64 "}", clock_real_ms());
        rpc_more(call, &b);
    } else {
        buf_ch(&b, '}');
        rpc_done(call, &b);
    }
}

static void on_stored_run(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_RUN) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_run *m = body;
    if (run_state_ended(m->state)) {
        agent_ended(call, m);
    } else {
        answer_status(call, "in_flight", false);
    }
}

/* The key was used before: the answer of the first time, whatever was asked now (section 11). */
static void answer_repeat(struct rpc_call *call)
{
    const struct msg_run_get get = {.run_id = sv_of(call->run_id)};
    rpc_store(call, MSG_RUN_GET, &get, on_stored_run);
}

static void agent_command(struct rpc_call *call, const struct msg_ingested *in)
{
    const struct msg_run done = {
        .run_id = sv_of(call->run_id),
        .session_id = in->session_id,
        .state = SV("ok"),
        .reply = in->text.n > 0 ? in->text : SV(INTAKE_NEW_TEXT),
    };
    answer_status(call, "accepted", true);
    agent_ended(call, &done);
}

static void on_ingested(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_ingested *in = body;
    if (err == ERR_CONFLICT || (err == OK && type == MSG_INGESTED && in->dup)) {
        answer_repeat(call);
        return;
    }
    if (err != OK || type != MSG_INGESTED) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    if (in->session_key.n > 0) {
        sv_copy(call->session_key, sizeof call->session_key, in->session_key);
    }
    if (sv_eqc(in->state, "command")) {
        agent_command(call, in);
        return;
    }
    runs_started(call->e, sv_of(call->run_id), sv_of(call->session_key), in->session_id, call->c);
    answer_status(call, "accepted", true);
    emit_session_changed(call->e, sv_of(call->session_key), in->session_id, SV_NULL, "send", NULL,
                         "running", true);
    call->on_run = agent_ended;
    rpc_deadline(call, RESULT_MAX_MS, agent_too_long);
    runs_wait(call, sv_of(call->run_id));
}

static sv first(sv a, sv b)
{
    return a.n > 0 ? a : b;
}

void rpc_agent(struct rpc_call *call)
{
    sv key = rpc_str(call, "sessionKey"), agent = rpc_str(call, "agentId");
    if (!sesskey_canonical(key.n > 0 ? key : SV("main"), agent, call->session_key)) {
        rpc_fail(call, "INVALID_REQUEST", "invalid agent params: at /sessionKey: must be a session key");
        return;
    }
    agent = sesskey_agent(sv_of(call->session_key));
    if (!edge_agent_known(call->e, agent)) {
        rpc_fail(call, "INVALID_REQUEST", "invalid agent params: unknown agent id \"%.*s\"", SV_ARG(agent));
        return;
    }
    if (intake_command(call) == INTAKE_NEW && !conn_has(call->c, SC_ADMIN)) {
        const struct rpc_error err = {
            .code = "FORBIDDEN",
            .message = SV("missing scope: operator.admin"),
            .details = SV("{\"code\":\"MISSING_SCOPE\",\"missingScope\":\"operator.admin\","
                          "\"requiredScopes\":[\"operator.admin\"]}"),
        };
        rpc_fail_with(call, &err);
        return;
    }
    sv_copy(call->run_id, sizeof call->run_id, rpc_str(call, "idempotencyKey"));
    bool deliver = rpc_bool(call, "deliver", false);
    const struct intake in = {
        .extra_system = rpc_str(call, "extraSystemPrompt"),
        .model = rpc_str(call, "model"),
        .timeout_ms = rpc_int(call, "timeout", 0) * 1000,
        .deliver = deliver,
        .deliver_channel = deliver ? first(rpc_str(call, "replyChannel"), rpc_str(call, "channel")) : SV_NULL,
        .deliver_account = deliver ? first(rpc_str(call, "replyAccountId"), rpc_str(call, "accountId"))
                                   : SV_NULL,
        .deliver_to = deliver ? first(rpc_str(call, "replyTo"), rpc_str(call, "to")) : SV_NULL,
    };
    intake_send(call, &in, on_ingested);
}

/* ---- agent.wait ------------------------------------------------------------------------------------ */

static void wait_ended(struct rpc_call *call, const struct msg_run *m)
{
    struct buf b;
    bool good = sv_eqc(m->state, "ok") || sv_eqc(m->state, "merged");
    bool aborted = sv_eqc(m->state, "aborted");
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, sv_of(call->run_id));
    buf_printf(&b, ",\"status\":\"%s\"", good ? "ok" : "error");
    if (m->started_ms > 0) {
        buf_printf(&b, ",\"startedAt\":%" PRId64, m->started_ms);
    }
    buf_printf(&b, ",\"endedAt\":%" PRId64, m->ended_ms);
    if (!good) {
        buf_str(&b, ",\"error\":");
        buf_json_str(&b, aborted ? SV("aborted") : m->error.n > 0 ? m->error : SV("the run failed"));
    }
    if (m->stop.n > 0) {
        buf_str(&b, ",\"stopReason\":");
        buf_json_str(&b, m->stop);
    }
    if (good && m->reply.n > 0) {
        buf_str(&b, ",\"terminalReply\":{\"disposition\":\"visible\",\"text\":");
        buf_json_str(&b, m->reply);
        buf_ch(&b, '}');
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void wait_over(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runId\":");
    buf_json_str(&b, sv_of(call->run_id));
    buf_str(&b, ",\"status\":\"timeout\"}");
    rpc_done(call, &b);
}

static void on_state(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_RUN) {
        return; /* unknown, or the store does not answer: the deadline says "timeout" */
    }
    const struct msg_run *m = body;
    if (sv_eqc(m->state, "merged") && m->merged_into.n > 0) {
        runs_wait(call, m->merged_into);
        const struct msg_run_get get = {.run_id = m->merged_into};
        rpc_store(call, MSG_RUN_GET, &get, on_state);
    } else if (run_state_ended(m->state)) {
        wait_ended(call, m);
    }
}

void rpc_agent_wait(struct rpc_call *call)
{
    sv run_id = rpc_str(call, "runId");
    int64_t ms = rpc_int(call, "timeoutMs", WAIT_DEFAULT_MS);
    sv_copy(call->run_id, sizeof call->run_id, run_id);
    call->on_run = wait_ended;
    rpc_deadline(call, ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS, wait_over);
    /* First in line, then look: an end in between finds us waiting. */
    runs_wait(call, run_id);
    const struct msg_run_get get = {.run_id = run_id};
    rpc_store(call, MSG_RUN_GET, &get, on_state);
}
