/*
 * rpc_devices.c: device.pair.*, device.token.* (gateway-ws.md 15.8).
 * Runs in: edge.     Owns: nothing.
 * Never: lets a caller grant what it does not hold; shows a token to another device.
 * Tested in: tests/scn/e6-pairing.test.mjs
 */
#include <inttypes.h>

#include "common/names.h"
#include "common/text.h"
#include "workers/edge/devices.h"
#include "workers/edge/rpc.h"
#include "workers/edge/scopes.h"

rpc_fn rpc_device_pair_list, rpc_device_pair_approve, rpc_device_pair_reject, rpc_device_pair_remove,
    rpc_device_pair_rename, rpc_device_token_rotate, rpc_device_token_revoke;

/* ---- list ------------------------------------------------------------------------------------------ */

static void on_list(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_DEVICES) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_devices *m = body;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"pending\":[");
    for (size_t i = 0; i < m->pending_n; i++) {
        buf_str(&b, i ? "," : "");
        device_request_row(&b, &m->pending[i]);
    }
    buf_str(&b, "],\"paired\":[");
    for (size_t i = 0; i < m->paired_n; i++) {
        buf_str(&b, i ? "," : "");
        device_row(&b, call->e, &m->paired[i]);
    }
    buf_str(&b, "]}");
    rpc_done(call, &b);
}

/* A device that came with its own token and is no administrator may look after itself only. */
static bool only_itself(const struct rpc_call *call)
{
    return call->c->by_device_token && !conn_has(call->c, SC_ADMIN);
}

void rpc_device_pair_list(struct rpc_call *call)
{
    const struct msg_device_list list = {.id = only_itself(call) ? sv_of(call->c->device_id) : SV_NULL};
    rpc_store(call, MSG_DEVICE_LIST, &list, on_list);
}

/* ---- approve, reject ------------------------------------------------------------------------------- */

static void on_approved(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_DEVICE) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"requestId\":");
    buf_json_str(&b, rpc_str(call, "requestId"));
    buf_str(&b, ",\"device\":");
    device_row(&b, call->e, body);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

/* The name of a scope that the approver lacks to grant the request; NULL: may grant it (9.3). */
static bool may_grant(const struct conn *c, const struct msg_device_req *r)
{
    bool node = sv_eqc(r->role, "node");
    return node ? conn_has(c, SC_ADMIN) : scopes_cover(sv_of(c->scopes), r->scopes);
}

static void on_requests(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_DEVICES) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_devices *m = body;
    sv id = rpc_str(call, "requestId");
    for (size_t i = 0; i < m->pending_n; i++) {
        const struct msg_device_req *r = &m->pending[i];
        if (!sv_eq(r->request_id, id)) {
            continue;
        }
        if (!may_grant(call->c, r)) {
            rpc_fail_scope(call, "operator.admin");
            return;
        }
        const struct msg_device_resolve yes = {.request_id = id, .approve = true, .role = r->role, .scopes = r->scopes};
        rpc_store(call, MSG_DEVICE_RESOLVE, &yes, on_approved);
        return;
    }
    rpc_fail(call, "INVALID_REQUEST", "unknown requestId");
}

void rpc_device_pair_approve(struct rpc_call *call)
{
    const struct msg_device_list list = {.id = SV_NULL};
    rpc_store(call, MSG_DEVICE_LIST, &list, on_requests);
}

static void on_rejected(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_DEVICE_REQ) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_device_req *r = body;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"requestId\":");
    buf_json_str(&b, r->request_id);
    buf_str(&b, ",\"deviceId\":");
    buf_json_str(&b, r->id);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_device_pair_reject(struct rpc_call *call)
{
    const struct msg_device_resolve no = {.request_id = rpc_str(call, "requestId")};
    rpc_store(call, MSG_DEVICE_RESOLVE, &no, on_rejected);
}

/* ---- changes --------------------------------------------------------------------------------------- */

static void change(struct rpc_call *call, const char *op, rpc_reply_fn *fn)
{
    struct msg_device_change c = {
        .id = rpc_str(call, "deviceId"),
        .op = sv_of(op),
        .role = rpc_str(call, "role"),
        .label = rpc_str(call, "label"),
    };
    if (only_itself(call) && !sv_eqc(c.id, call->c->device_id)) {
        rpc_fail_scope(call, "operator.admin");
        return;
    }
    const json_t *wanted = json_object_get(call->params, "scopes");
    call->extra = BUF_INIT(1024);
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        names_add(&call->extra, sv_of(json_string_value(json_array_get(wanted, i))));
    }
    c.scopes = buf_view(&call->extra);
    if (!scopes_cover(sv_of(call->c->scopes), c.scopes)) {
        rpc_fail_scope(call, "operator.admin");
        return;
    }
    rpc_store(call, MSG_DEVICE_CHANGE, &c, fn);
}

/* Up to and including the device id; the caller goes on with members. */
static bool begin_changed(struct rpc_call *call, struct buf *b, const struct rpc_answer *a)
{
    if (a->err != OK || a->type != MSG_DEVICE) {
        rpc_fail_store(call, a->err, a->type, a->body);
        return false;
    }
    rpc_begin(call, b);
    buf_str(b, "{\"deviceId\":");
    buf_json_str(b, rpc_str(call, "deviceId"));
    return true;
}

static void on_removed(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    struct buf b;
    if (begin_changed(call, &b, &(struct rpc_answer){err, type, body})) {
        buf_ch(&b, '}');
        rpc_done(call, &b);
    }
}

void rpc_device_pair_remove(struct rpc_call *call)
{
    change(call, "remove", on_removed);
}

static void on_renamed(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    struct buf b;
    if (begin_changed(call, &b, &(struct rpc_answer){err, type, body})) {
        buf_str(&b, ",\"label\":");
        buf_json_str(&b, rpc_str(call, "label"));
        buf_ch(&b, '}');
        rpc_done(call, &b);
    }
}

void rpc_device_pair_rename(struct rpc_call *call)
{
    change(call, "rename", on_renamed);
}

static const struct msg_device_token *token_of(const struct msg_device *d, sv role)
{
    for (size_t i = 0; i < d->tokens_n; i++) {
        if (sv_eq(d->tokens[i].role, role)) {
            return &d->tokens[i];
        }
    }
    return NULL;
}

static void on_rotated(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_device *d = body;
    struct buf b;
    if (!begin_changed(call, &b, &(struct rpc_answer){err, type, body})) {
        return;
    }
    static const struct msg_device_token none;
    sv role = rpc_str(call, "role");
    const struct msg_device_token *t = token_of(d, role);
    t = t != NULL ? t : &none;
    bool own = call->c->by_device_token && sv_eqc(d->id, call->c->device_id);
    buf_str(&b, ",\"role\":");
    buf_json_str(&b, role);
    buf_str(&b, ",\"scopes\":");
    names_json(&b, t->scopes);
    buf_printf(&b, ",\"rotatedAtMs\":%" PRId64 ",\"tokenDelivery\":\"%s\"", t->rotated_ms,
               own ? "in-band" : "withheld-cross-device");
    if (own) {
        buf_str(&b, ",\"token\":\"");
        b64_encode(&b, t->token, B64_URL);
        buf_ch(&b, '"');
    }
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

void rpc_device_token_rotate(struct rpc_call *call)
{
    change(call, "rotate", on_rotated);
}

static void on_revoked(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_device *d = body;
    struct buf b;
    if (!begin_changed(call, &b, &(struct rpc_answer){err, type, body})) {
        return;
    }
    sv role = rpc_str(call, "role");
    const struct msg_device_token *t = token_of(d, role);
    buf_str(&b, ",\"role\":");
    buf_json_str(&b, role);
    buf_printf(&b, ",\"revokedAtMs\":%" PRId64 "}", t != NULL ? t->revoked_ms : 0);
    rpc_done(call, &b);
}

void rpc_device_token_revoke(struct rpc_call *call)
{
    change(call, "revoke", on_revoked);
}
