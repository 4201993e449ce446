/*
 * rpc_system.c: status, presence, agents, models, channels (gateway-ws.md 15.1, 15.3, 15.10).
 * Runs in: edge.     Owns: nothing.
 * Never: shows paths or secrets.
 * Tested in: the scenarios
 */
#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/health.h"
#include "workers/edge/intake.h"
#include "workers/edge/presence.h"
#include "workers/edge/rows.h"
#include "workers/edge/rpc.h"

rpc_fn rpc_status, rpc_system_presence, rpc_last_heartbeat, rpc_agents_list, rpc_agent_identity_get,
    rpc_models_list, rpc_channels_status;

#define AGENT_NAME "Tenaza"
#define RECENT 10

/* ---- status ---------------------------------------------------------------------------------------- */

static void add_channel_summary(struct buf *b, const struct edge *e)
{
    bool first = true;
    buf_str(b, ",\"channelSummary\":[");
    LIST_EACH(it, &e->channels)
    {
        const struct chan_row *r = CONTAINER_OF(it, struct chan_row, all);
        struct buf line = BUF_INIT(1024);
        buf_printf(&line, "%s: %s%s%s", r->name, r->state, r->detail[0] ? ", " : "", r->detail);
        buf_str(b, first ? "" : ",");
        buf_json_str(b, buf_view(&line));
        buf_free(&line);
        first = false;
    }
    buf_ch(b, ']');
}

static void add_no_tasks(struct buf *b)
{
    buf_str(b, ",\"queuedSystemEvents\":[],\"tasks\":{\"total\":0,\"active\":0,\"terminal\":0,"
               "\"failures\":0,\"byStatus\":{\"queued\":0,\"running\":0,\"succeeded\":0,\"failed\":0,"
               "\"timed_out\":0,\"cancelled\":0,\"lost\":0},\"byRuntime\":{\"subagent\":0,\"acp\":0,"
               "\"cli\":0,\"cron\":0}},\"taskAudit\":{\"total\":0,\"warnings\":0,\"errors\":0,"
               "\"byCode\":{\"stale_queued\":0,\"stale_running\":0,\"lost\":0,\"delivery_failed\":0,"
               "\"missing_cleanup\":0,\"inconsistent_timestamps\":0}}");
}

static void add_recent(struct buf *b, const struct msg_sessions *s)
{
    int64_t now = clock_real_ms();
    buf_str(b, "\"recent\":[");
    for (size_t i = 0; i < s->rows_n; i++) {
        buf_str(b, i ? ",{\"key\":" : "{\"key\":");
        buf_json_str(b, s->rows[i].key);
        buf_printf(b, ",\"updatedAt\":%" PRId64 ",\"age\":%" PRId64 "}", s->rows[i].updated_ms,
                   now - s->rows[i].updated_ms);
    }
    buf_ch(b, ']');
}

static void on_status(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_SESSIONS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct edge *e = call->e;
    const struct msg_sessions *s = body;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"runtimeVersion\":");
    buf_json_str(&b, sv_of(e->conf.version));
    buf_printf(&b, ",\"uptimeMs\":%" PRId64, edge_uptime_ms(e));
    buf_str(&b, ",\"heartbeat\":{\"defaultAgentId\":\"main\",\"agents\":[{\"agentId\":\"main\","
                "\"enabled\":false,\"every\":\"disabled\",\"everyMs\":null,\"waitingForRoute\":false}]}");
    add_channel_summary(&b, e);
    add_no_tasks(&b);
    buf_printf(&b, ",\"sessions\":{\"paths\":[],\"count\":%" PRIu64 ",\"defaults\":", s->total);
    row_defaults(&b, &e->model);
    buf_ch(&b, ',');
    add_recent(&b, s);
    buf_printf(&b, ",\"byAgent\":[{\"agentId\":\"main\",\"path\":\"[redacted]\",\"count\":%" PRIu64 ",",
               s->total);
    add_recent(&b, s);
    buf_str(&b, "}]}}");
    rpc_done(call, &b);
}

void rpc_status(struct rpc_call *call)
{
    const struct msg_sessions_list list = {.limit = RECENT};
    rpc_store(call, MSG_SESSIONS_LIST, &list, on_status);
}

/* ---- presence, heartbeat --------------------------------------------------------------------------- */

void rpc_system_presence(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    presence_list(call->e, &b);
    rpc_done(call, &b);
}

void rpc_last_heartbeat(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "null"); /* this gateway runs no heartbeats, so there was none */
    rpc_done(call, &b);
}

/* ---- agents and models ----------------------------------------------------------------------------- */

void rpc_agents_list(struct rpc_call *call)
{
    const struct model_row *m = &call->e->model;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"defaultId\":\"main\",\"ownership\":\"sole\",\"selectionRequired\":false,"
                "\"mainKey\":\"main\",\"scope\":\"per-sender\",\"agents\":[{\"id\":\"main\","
                "\"kind\":\"agent\",\"name\":\"" AGENT_NAME "\"");
    if (m->model[0] != '\0') {
        struct buf name = BUF_INIT(512);
        buf_printf(&name, "%s/%s", m->provider, m->model);
        buf_str(&b, ",\"model\":{\"primary\":");
        buf_json_str(&b, buf_view(&name));
        buf_ch(&b, '}');
        buf_free(&name);
    }
    buf_str(&b, "}]}");
    rpc_done(call, &b);
}

void rpc_agent_identity_get(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"agentId\":\"main\",\"name\":\"" AGENT_NAME "\",\"nameSource\":\"default\","
                "\"avatar\":\"T\"}");
    rpc_done(call, &b);
}

void rpc_models_list(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"models\":");
    intake_models(&b, call->e);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

/* ---- channels -------------------------------------------------------------------------------------- */

static void add_account(struct buf *b, const struct chan_row *r)
{
    bool connected = sv_eqc(SV("connected"), r->state);
    buf_str(b, "{\"accountId\":");
    buf_json_str(b, sv_of(r->account));
    if (r->identity[0] != '\0') {
        buf_str(b, ",\"name\":");
        buf_json_str(b, sv_of(r->identity));
    }
    buf_printf(b,
               ",\"enabled\":true,\"configured\":true,\"running\":%s,\"connected\":%s,"
               "\"reconnectAttempts\":%" PRIu64 ",\"healthState\":",
               sv_eqc(SV("stopped"), r->state) ? "false" : "true", connected ? "true" : "false",
               r->reconnects);
    buf_json_str(b, sv_of(r->state));
    buf_str(b, ",\"lastError\":");
    if (connected || r->detail[0] == '\0') {
        buf_str(b, "null");
    } else {
        buf_json_str(b, sv_of(r->detail));
    }
    if (r->last_in_ms > 0) {
        buf_printf(b, ",\"lastInboundAt\":%" PRId64, r->last_in_ms);
    }
    if (r->last_out_ms > 0) {
        buf_printf(b, ",\"lastOutboundAt\":%" PRId64, r->last_out_ms);
    }
    buf_ch(b, '}');
}

static bool earlier_row(const struct edge *e, const struct chan_row *row)
{
    LIST_EACH(it, &e->channels)
    {
        const struct chan_row *r = CONTAINER_OF(it, struct chan_row, all);
        if (r == row) {
            return false;
        }
        if (sv_eqc(sv_of(r->channel), row->channel)) {
            return true;
        }
    }
    return false;
}

/* {"irc":[account, ...]} or, with defaults, {"irc":"first account"} */
static void add_accounts(struct buf *b, const struct edge *e, bool defaults)
{
    bool first = true;
    buf_ch(b, '{');
    LIST_EACH(it, &e->channels)
    {
        const struct chan_row *r = CONTAINER_OF(it, struct chan_row, all);
        if (earlier_row(e, r)) {
            continue;
        }
        buf_str(b, first ? "" : ",");
        first = false;
        buf_json_str(b, sv_of(r->channel));
        buf_ch(b, ':');
        if (defaults) {
            buf_json_str(b, sv_of(r->account));
            continue;
        }
        bool one = true;
        buf_ch(b, '[');
        LIST_EACH(jt, &e->channels)
        {
            const struct chan_row *a = CONTAINER_OF(jt, struct chan_row, all);
            if (sv_eqc(sv_of(a->channel), r->channel)) {
                buf_str(b, one ? "" : ",");
                add_account(b, a);
                one = false;
            }
        }
        buf_ch(b, ']');
    }
    buf_ch(b, '}');
}

void rpc_channels_status(struct rpc_call *call)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ts\":%" PRId64 ",", clock_real_ms());
    health_add_channels(call->e, &b);
    buf_str(&b, ",\"channelAccounts\":");
    add_accounts(&b, call->e, false);
    buf_str(&b, ",\"channelDefaultAccountId\":");
    add_accounts(&b, call->e, true);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}
