/*
 * hello.c: see hello.h.
 * Runs in: edge.     Owns: nothing.
 * Never: sends a build id (8.3: a page of another build would refuse to work).
 * Tested in: the scenarios
 */
#include "workers/edge/hello.h"

#include <inttypes.h>

#include "common/names.h"
#include "common/text.h"
#include "workers/edge/events.h"
#include "workers/edge/params.h"
#include "workers/edge/presence.h"
#include "workers/edge/rpc.h"
#include "workers/edge/scopes.h"

#define TICK_MS 30000 /* 8.1 policy.tickIntervalMs */

void hello_grant(struct conn *c, const struct connect_params *p, sv scopes)
{
    c->scopes = xsvdup(scopes);
    c->scope_bits = scopes_of(scopes);
    c->caps = p->caps;
    c->client_id = xsvdup(p->client_id);
    c->mode = xsvdup(p->mode);
    c->platform = xsvdup(p->platform);
    c->version = xsvdup(p->version);
    c->display_name = xsvdup(p->display_name);
    c->instance_id = xsvdup(p->instance_id);
    c->device_id = xsvdup(p->has_device ? p->device.id : SV(""));
    c->node = sv_eqc(p->role, "node");
    c->tracked = connect_is_ui(p) || c->node;
}

static void add_snapshot(struct buf *b, const struct conn *c)
{
    const struct edge *e = c->e;
    buf_str(b, ",\"snapshot\":{\"presence\":");
    if (conn_has(c, SC_READ)) {
        presence_list(e, b);
    } else {
        buf_str(b, "[]");
    }
    buf_str(b, ",\"health\":");
    buf_sv(b, e->health.n > 0 ? buf_view(&e->health) : SV("{}"));
    buf_printf(b,
               ",\"stateVersion\":{\"presence\":%" PRIu64 ",\"health\":%" PRIu64 "},\"uptimeMs\":%" PRId64
               ",\"sessionDefaults\":{\"defaultAgentId\":\"main\",\"modelConfigured\":%s,"
               "\"mainKey\":\"main\",\"mainSessionKey\":\"agent:main:main\",\"scope\":\"per-sender\"}}",
               e->presence_version, e->health_version, edge_uptime_ms(e),
               e->model.model[0] ? "true" : "false");
}

static void add_auth(struct buf *b, const struct conn *c, const struct hello_device *d)
{
    buf_printf(b, ",\"auth\":{\"role\":\"%s\",\"scopes\":", c->node ? "node" : "operator");
    names_json(b, sv_of(c->scopes));
    if (d != NULL) {
        buf_str(b, ",\"deviceToken\":\"");
        b64_encode(b, sv_mem(d->token, d->token_n), B64_URL);
        buf_printf(b, "\",\"issuedAtMs\":%" PRId64, d->issued_ms);
    }
    buf_ch(b, '}');
}

void hello_send(struct conn *c, sv id, const struct hello_device *device, sv resume)
{
    struct buf b;
    const struct edge *e = c->e;
    out_begin(&b);
    buf_str(&b, "{\"type\":\"res\",\"id\":");
    buf_json_str(&b, id);
    buf_str(&b, ",\"ok\":true,\"payload\":{\"type\":\"hello-ok\",\"protocol\":4,\"server\":{\"version\":");
    buf_json_str(&b, sv_of(e->conf.version));
    buf_printf(&b, ",\"bootId\":\"%s\",\"connId\":\"%s\"},\"features\":{\"methods\":", e->boot_id,
               c->conn_id);
    buf_sv(&b, rpc_names(e->rpc));
    buf_str(&b, ",\"events\":");
    events_names(&b);
    buf_str(&b, ",\"capabilities\":[\"published-model-catalog\"]}");
    add_snapshot(&b, c);
    add_auth(&b, c, device);
    if (resume.n > 0) {
        buf_str(&b, ",\"resume\":");
        buf_sv(&b, resume);
    }
    buf_printf(&b,
               ",\"policy\":{\"maxPayload\":%u,\"maxBufferedBytes\":%u,\"tickIntervalMs\":%d}}}",
               CONN_MAX_AFTER_HELLO, OUT_BYTES_MAX, TICK_MS);
    conn_send(c, &b);
}
