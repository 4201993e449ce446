/*
 * rpc_small.c: small answers that clients ask for at start (gateway-ws.md 15.1, 15.3, 15.11).
 * Runs in: edge.     Owns: nothing.
 * Never: claims something that is not there: what this gateway does not have is empty, and its row says "none here".
 * Tested in: tests/scn/e9-sessions.test.mjs
 */
#include <inttypes.h>

#include "common/clock.h"
#include "common/id.h"
#include "workers/edge/intake.h"
#include "workers/edge/runs.h"
#include "workers/edge/rows.h"
#include "workers/edge/sesskey.h"

rpc_fn rpc_set_heartbeats, rpc_wake, rpc_system_event, rpc_models_auth_status, rpc_usage_status,
    rpc_usage_cost, rpc_commands_list, rpc_chat_metadata, rpc_chat_message_get, rpc_mentions_list, rpc_board_get,
    rpc_sessions_viewers_set, rpc_node_list, rpc_skills_status, rpc_tools_catalog;

/* ---- system ---------------------------------------------------------------------------------------- */

static void answer_ok(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true}");
    rpc_done(call, &b);
}

void rpc_set_heartbeats(struct rpc_call *call)
{
    if (rpc_bool(call, "enabled", false)) {
        rpc_fail(call, "INVALID_REQUEST", "this gateway runs no heartbeats; a job (cron.add) can do the same");
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"enabled\":false}");
    rpc_done(call, &b);
}

static void on_woken(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_INGESTED) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    answer_ok(call);
}

static bool main_or_named(struct rpc_call *call)
{
    if (rpc_str(call, "sessionKey").n > 0) {
        return rpc_session(call, "sessionKey");
    }
    if (sesskey_canonical(SV("main"), rpc_str(call, "agentId"), call->session_key)) {
        return true;
    }
    rpc_fail(call, "INVALID_REQUEST", "invalid %s params: at /agentId: must be an agent", rpc_name(call));
    return false;
}

/* Without heartbeats there is no later to wait for: the event is a turn of its own, now. */
void rpc_wake(struct rpc_call *call)
{
    if (!main_or_named(call)) {
        return;
    }
    char id[37];
    sv agent = sesskey_agent(sv_of(call->session_key));
    int64_t now = clock_real_ms();
    if (!edge_agent_known(call->e, agent)) {
        rpc_fail(call, "INVALID_REQUEST", "Agent \"%.*s\" no longer exists in configuration", SV_ARG(agent));
        return;
    }
    id_uuid(id);
    const struct msg_ingest m = {
        .channel = SV("webchat"),
        .account = SV("event"),
        .event_id = sv_of(id),
        .run_id = sv_of(id),
        .session_key = sv_of(call->session_key),
        .agent_id = agent,
        .sender_name = SV("system event"),
        .text = rpc_str(call, "text"),
        .queue_mode = SV("followup"),
        .ts_ms = now,
        .received_ms = now,
    };
    rpc_store(call, MSG_INGEST, &m, on_woken);
}

static void on_noted(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSION) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    answer_ok(call);
}

/* A note that the agent reads with the next turn of the session. */
void rpc_system_event(struct rpc_call *call)
{
    if (!main_or_named(call)) {
        return;
    }
    const struct msg_session_change m = {
        .key = sv_of(call->session_key),
        .op = SV("note"),
        .role = SV("user"),
        .label = SV("system event"),
        .text = rpc_str(call, "text"),
    };
    rpc_store(call, MSG_SESSION_CHANGE, &m, on_noted);
}

/* ---- models, usage --------------------------------------------------------------------------------- */

void rpc_models_auth_status(struct rpc_call *call)
{
    const struct model_row *m = &call->e->model;
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ts\":%" PRId64 ",\"providers\":[", clock_real_ms());
    if (m->provider[0] != '\0') {
        buf_str(&b, "{\"provider\":");
        buf_json_str(&b, sv_of(m->provider));
        buf_str(&b, ",\"authProvider\":");
        buf_json_str(&b, sv_of(m->provider));
        buf_str(&b, ",\"displayName\":");
        buf_json_str(&b, sv_of(m->provider));
        buf_str(&b, ",\"status\":\"static\",\"profiles\":[],\"apiKey\":{\"source\":\"config\"}}");
    }
    buf_str(&b, "],\"providerCapabilities\":[]}");
    rpc_done(call, &b);
}

void rpc_usage_status(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"updatedAt\":%" PRId64 ",\"providers\":[]}", clock_real_ms());
    rpc_done(call, &b);
}

/* What is known: tokens of sessions. Days and prices are not recorded. */
static void on_usage(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_sessions *m = body;
    uint64_t in = 0, out = 0, missing = 0;
    if (err != OK || type != MSG_SESSIONS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    for (size_t i = 0; i < m->rows_n; i++) {
        in += m->rows[i].in_tokens;
        out += m->rows[i].out_tokens;
        missing += m->rows[i].in_tokens > 0;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b,
               "{\"updatedAt\":%" PRId64 ",\"days\":%" PRId64 ",\"daily\":[],\"totals\":{\"input\":%" PRIu64 ",\"output\":%" PRIu64
               ",\"cacheRead\":0,\"cacheWrite\":0,\"totalTokens\":%" PRIu64 ",\"totalCost\":0,\"inputCost\":0,\"outputCost\":0,"
               "\"cacheReadCost\":0,\"cacheWriteCost\":0,\"missingCostEntries\":%" PRIu64 "}}",
               clock_real_ms(), rpc_int(call, "days", 30), in, out, in + out, missing);
    rpc_done(call, &b);
}

void rpc_usage_cost(struct rpc_call *call)
{
    int64_t days = rpc_int(call, "days", 30);
    const struct msg_sessions_list list = {
        .limit = 1000,
        .agent_id = rpc_str(call, "agentId"),
        .active_since_ms = clock_real_ms() - days * 24 * 3600 * 1000,
    };
    rpc_store(call, MSG_SESSIONS_LIST, &list, on_usage);
}

/* ---- commands, metadata, messages ------------------------------------------------------------------- */

static void add_commands(struct buf *b)
{
    static const char *const rows[][2] = {
        {"stop", "Stop the run of this session and what waits behind it."},
        {"new", "Start this session anew."},
        {"reset", "The same as /new."},
    };
    buf_ch(b, '[');
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_printf(b,
                   "%s{\"name\":\"%s\",\"textAliases\":[\"/%s\"],\"description\":\"%s\",\"category\":\"session\","
                   "\"source\":\"native\",\"scope\":\"text\",\"acceptsArgs\":false}",
                   i ? "," : "", rows[i][0], rows[i][0], rows[i][1]);
    }
    buf_ch(b, ']');
}

void rpc_commands_list(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"commands\":");
    if (sv_eqc(rpc_str(call, "scope"), "native")) {
        buf_str(&b, "[]");
    } else {
        add_commands(&b);
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_chat_metadata(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"models\":");
    intake_models(&b, call->e);
    buf_str(&b, ",\"commands\":");
    add_commands(&b);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void on_message(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_history_page *page = body;
    sv id = rpc_str(call, "messageId");
    struct buf b;
    if (err != OK || type != MSG_HISTORY_PAGE) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    rpc_begin(call, &b);
    for (size_t i = 0; i < page->rows_n; i++) {
        if (sv_eq(page->rows[i].id, id)) {
            buf_str(&b, "{\"ok\":true,\"message\":");
            row_entry(&b, &page->rows[i], (size_t)rpc_int(call, "maxChars", 0));
            buf_ch(&b, '}');
            rpc_done(call, &b);
            return;
        }
    }
    buf_str(&b, "{\"ok\":false,\"unavailableReason\":\"not_found\"}");
    rpc_done(call, &b);
}

void rpc_chat_message_get(struct rpc_call *call)
{
    if (rpc_session(call, "sessionKey")) {
        const struct msg_history h = {.session_key = sv_of(call->session_key), .limit = 1000};
        rpc_store(call, MSG_HISTORY, &h, on_message);
    }
}

/* ---- empty ones that repeat what was asked ----------------------------------------------------------- */

void rpc_mentions_list(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"gatewayInstanceId\":\"%s\",\"revision\":0,\"items\":[]}", call->e->boot_id);
    rpc_done(call, &b);
}

void rpc_board_get(struct rpc_call *call)
{
    struct buf b;
    if (!rpc_session(call, "sessionKey")) {
        return;
    }
    rpc_begin(call, &b);
    buf_str(&b, "{\"sessionKey\":");
    buf_json_str(&b, sv_of(call->session_key));
    buf_str(&b, ",\"revision\":0,\"tabs\":[],\"widgets\":[]}");
    rpc_done(call, &b);
}

void rpc_sessions_viewers_set(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"sessionKeys\":");
    json_print(&b, json_object_get(call->params, "sessionKeys"));
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_node_list(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ts\":%" PRId64 ",\"nodes\":[]}", clock_real_ms());
    rpc_done(call, &b);
}

/* ---- skills, tools --------------------------------------------------------------------------------- */

static sv agent_of(const struct rpc_call *call)
{
    sv agent = rpc_str(call, "agentId");
    return agent.n > 0 ? agent : SV(EDGE_DEFAULT_AGENT);
}

void rpc_skills_status(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"workspaceDir\":\"\",\"managedSkillsDir\":\"\",\"agentId\":");
    buf_json_str(&b, agent_of(call));
    buf_str(&b, ",\"skills\":[]}");
    rpc_done(call, &b);
}

/* Tools as the agents say they offer them (message MODEL). */
void rpc_tools_catalog(struct rpc_call *call)
{
    const struct model_row *m = &call->e->model;
    sv rest = sv_of(m->tools);
    bool first = true;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"agentId\":");
    buf_json_str(&b, agent_of(call));
    buf_str(&b, ",\"profiles\":[{\"id\":\"full\",\"label\":\"Full\"}],\"groups\":[");
    if (rest.n > 0) {
        buf_str(&b, "{\"id\":\"core\",\"label\":\"Tools\",\"source\":\"core\",\"tools\":[");
        while (rest.n > 0) {
            sv line = sv_cut(&rest, '\n'), name = sv_cut(&line, '\t');
            buf_str(&b, first ? "{\"id\":" : ",{\"id\":");
            first = false;
            buf_json_str(&b, name);
            buf_str(&b, ",\"label\":");
            buf_json_str(&b, name);
            buf_str(&b, ",\"description\":");
            buf_json_str(&b, line);
            buf_str(&b, ",\"source\":\"core\",\"defaultProfiles\":[\"full\"]}");
        }
        buf_str(&b, "]}");
    }
    buf_str(&b, "]}");
    rpc_done(call, &b);
}
