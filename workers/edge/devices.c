/*
 * devices.c: see devices.h.
 * Runs in: edge.     Owns: nothing.
 * Never: closes connections of other devices.
 * Tested in: tests/scn/e6-pairing.test.mjs
 */
#include "workers/edge/devices.h"

#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "common/names.h"
#include "common/text.h"
#include "workers/edge/events.h"
#include "workers/edge/params.h"
#include "workers/edge/replay.h"

#define ROW_MAX (64u * 1024)

/* ---- rows ------------------------------------------------------------------------------------------ */

static void add(struct buf *b, const char *key, sv value)
{
    if (value.n > 0) {
        buf_printf(b, ",\"%s\":", key);
        buf_json_str(b, value);
    }
}

static void add_names(struct buf *b, const char *key, sv list)
{
    buf_printf(b, ",\"%s\":", key);
    names_json(b, list);
}

static void add_ms(struct buf *b, const char *key, int64_t ms)
{
    if (ms > 0) {
        buf_printf(b, ",\"%s\":%" PRId64, key, ms);
    }
}

static void add_key(struct buf *b, sv raw)
{
    buf_str(b, ",\"publicKey\":\"");
    b64_encode(b, raw, B64_URL);
    buf_ch(b, '"');
}

static bool is_connected(const struct edge *e, sv device_id)
{
    LIST_EACH(it, &e->conns)
    {
        const struct conn *c = CONTAINER_OF(it, struct conn, all);
        if (c->state == CONN_READY && sv_eqc(device_id, c->device_id)) {
            return true;
        }
    }
    return false;
}

static void add_tokens(struct buf *b, const struct msg_device *d)
{
    buf_str(b, ",\"tokens\":[");
    for (size_t i = 0; i < d->tokens_n; i++) {
        const struct msg_device_token *t = &d->tokens[i];
        buf_str(b, i ? ",{\"role\":" : "{\"role\":");
        buf_json_str(b, t->role);
        add_names(b, "scopes", t->scopes);
        buf_printf(b, ",\"createdAtMs\":%" PRId64, t->created_ms);
        add_ms(b, "rotatedAtMs", t->rotated_ms);
        add_ms(b, "revokedAtMs", t->revoked_ms);
        buf_ch(b, '}');
    }
    buf_ch(b, ']');
}

void device_row(struct buf *b, const struct edge *e, const struct msg_device *d)
{
    sv roles = d->role;
    buf_str(b, "{\"deviceId\":");
    buf_json_str(b, d->id);
    add_key(b, d->public_key);
    add(b, "displayName", d->label.n > 0 ? d->label : d->display_name);
    add(b, "platform", d->platform);
    add(b, "deviceFamily", d->device_family);
    add(b, "clientId", d->client_id);
    add(b, "clientMode", d->client_mode);
    add(b, "role", sv_cut(&roles, ','));
    add_names(b, "roles", d->role);
    add_names(b, "scopes", d->scopes);
    add(b, "approvedVia", d->approved_via);
    buf_printf(b, ",\"createdAtMs\":%" PRId64 ",\"approvedAtMs\":%" PRId64 ",\"connected\":%s", d->created_ms,
               d->approved_ms ? d->approved_ms : d->created_ms, is_connected(e, d->id) ? "true" : "false");
    add_tokens(b, d);
    buf_ch(b, '}');
}

void device_request_row(struct buf *b, const struct msg_device_req *r)
{
    buf_str(b, "{\"requestId\":");
    buf_json_str(b, r->request_id);
    add(b, "deviceId", r->id);
    add_key(b, r->public_key);
    add(b, "displayName", r->display_name);
    add(b, "platform", r->platform);
    add(b, "deviceFamily", r->device_family);
    add(b, "clientId", r->client_id);
    add(b, "clientMode", r->client_mode);
    add(b, "role", r->role);
    add_names(b, "roles", r->role);
    add_names(b, "scopes", r->scopes);
    add(b, "remoteIp", r->peer);
    buf_printf(b, ",\"silent\":false,\"isRepair\":%s,\"ts\":%" PRId64 "}",
               sv_eqc(r->reason, "not-paired") ? "false" : "true", r->created_ms);
}

/* ---- news ------------------------------------------------------------------------------------------ */

static void tell_requested(struct edge *e, const struct msg_device_req *r)
{
    struct buf b = BUF_INIT(ROW_MAX);
    device_request_row(&b, r);
    events_broadcast(e, EV_DEVICE_REQUESTED, buf_view(&b), NULL, NULL);
    buf_free(&b);
}

static void tell_resolved(struct edge *e, const struct msg_device_news *n)
{
    struct buf b = BUF_INIT(ROW_MAX);
    buf_str(&b, "{\"requestId\":");
    buf_json_str(&b, n->req[0].request_id);
    add(&b, "deviceId", n->id);
    add(&b, "decision", n->what);
    buf_printf(&b, ",\"ts\":%" PRId64 "}", n->at_ms);
    events_broadcast(e, EV_DEVICE_RESOLVED, buf_view(&b), NULL, NULL);
    buf_free(&b);
}

/* 7.5: everything this device has open under that role (empty: any). */
static void throw_out(struct edge *e, sv device_id, sv role)
{
    LIST_EACH(it, &e->conns)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, all);
        bool its = c->state == CONN_READY && sv_eqc(device_id, c->device_id);
        if (its && (role.n == 0 || sv_eqc(role, c->node ? "node" : "operator"))) {
            log_info("connection of a removed device closed conn=%s", c->conn_id);
            conn_close(c, 4001, SV("device removed"));
        }
    }
    replay_forget(e, device_id);
}

void devices_on_news(void *ctx, uint16_t type, const void *body)
{
    struct edge *e = ctx;
    const struct msg_device_news *n = body;
    if (type != MSG_DEVICE_NEWS) {
        return;
    }
    if (sv_eqc(n->what, "requested") && n->req_n == 1) {
        tell_requested(e, &n->req[0]);
    } else if (n->req_n == 1) {
        tell_resolved(e, n);
    } else {
        events_broadcast(e, EV_DEVICE_CHANGED, SV("{}"), NULL, NULL);
    }
    if (one_of("removed|rotated|revoked", n->what)) {
        throw_out(e, n->id, sv_eqc(n->what, "removed") ? SV_NULL : n->role);
    }
}
