/*
 * connect_pair.c: devices in the handshake, and the way in (gateway-ws.md sections 5 to 8).
 * Runs in: edge.     Owns: nothing.
 * Never: decides by itself (pairing.c does); keeps a record of devices (the store does).
 * Tested in: tests/scn/e4-device.test.mjs, e6-pairing.test.mjs
 */
#include "workers/edge/connect_int.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/names.h"
#include "workers/edge/replay.h"
#include "workers/edge/scopes.h"

/* ---- letting in ------------------------------------------------------------------------------------ */

void handshake_accept(struct handshake *h, bool keep_scopes)
{
    struct conn *c = h->c;
    throttle_clear(&c->e->throttle, sv_of(c->peer.addr));
    hello_grant(c, &h->p, keep_scopes ? buf_view(&h->p.scopes) : SV(""));
    c->by_device_token = h->p.has_device && !h->shared_ok;
    struct buf resume = BUF_INIT(OUT_MSG_MAX / 2);
    if (h->p.resume) {
        replay_resume(c, &h->p, &resume);
    }
    hello_send(c, h->frame.id, h->device.token_n > 0 ? &h->device : NULL, buf_view(&resume));
    buf_free(&resume);
    if (c->replay != NULL) {
        replay_send(c);
    }
    conn_ready(c);
    log_info("connected conn=%s client=%s mode=%s peer=%s role=%s scopes=%s", c->conn_id, c->client_id, c->mode,
             c->peer.addr, c->node ? "node" : "operator", c->scopes);
    /* What came in early runs now, in order. */
    struct buf early[CONN_EARLY_MAX];
    size_t n = h->early_n;
    for (size_t i = 0; i < n; i++) {
        early[i] = h->early[i];
    }
    h->early_n = 0;
    connect_free(c);
    for (size_t i = 0; i < n; i++) {
        conn_message(c, buf_view(&early[i]));
        buf_free(&early[i]);
    }
}

static void take_token(struct handshake *h, const struct msg_device *d)
{
    const struct msg_device_token *t = pair_token(d, h->p.role);
    if (t != NULL && t->revoked_ms == 0 && t->token.n == sizeof h->device.token) {
        memcpy(h->device.token, t->token.p, sizeof h->device.token);
        h->device.token_n = sizeof h->device.token;
        h->device.issued_ms = t->rotated_ms ? t->rotated_ms : t->created_ms;
    }
}

/* ---- asking ---------------------------------------------------------------------------------------- */

static void on_asked(void *ctx, int err, uint16_t type, const void *body)
{
    struct handshake *h = ctx;
    if (err == OK && type == MSG_DEVICE) {
        take_token(h, body);
        handshake_accept(h, true);
    } else if (err == OK && type == MSG_DEVICE_REQ) {
        const struct msg_device_req *r = body;
        refuse_pairing(h, r->request_id);
    } else {
        refuse_for_now(h, "the device could not be stored; retry shortly");
    }
}

static void ask_for_approval(struct handshake *h, bool silent)
{
    const struct connect_params *p = &h->p;
    struct msg_device_req r = {
        .id = p->device.id,
        .public_key = sv_mem(h->key, sizeof h->key),
        .role = p->role,
        .scopes = buf_view(&p->scopes),
        .display_name = p->display_name,
        .platform = p->platform,
        .device_family = p->family,
        .client_id = p->client_id,
        .client_mode = p->mode,
        .reason = sv_of(h->pair.reason),
        .peer = sv_of(h->c->peer.addr),
    };
    const struct msg_device_ask ask = {.silent = silent, .req = &r, .req_n = 1};
    store_call(h->c->e->store, MSG_DEVICE_ASK, &ask, DEVICE_LOOKUP_MS, on_asked, h);
}

/* Section 7: the proof is good; may this device have what it asks for? */
static void pair(struct handshake *h, const struct msg_device *known, bool by_device_token)
{
    const struct pair_request q = {
        .p = &h->p,
        .local = h->local,
        .auto_local = h->c->e->conf.auto_approve_local,
        .has_origin = h->origin[0] != '\0',
        .by_device_token = by_device_token,
    };
    /* 7.2: backends on this host and the page of an open gateway need no record. */
    bool backend = connect_is(&h->p, "gateway-client", "backend") && h->local && !q.has_origin;
    bool open_page = h->c->e->conf.auth == AUTH_NONE && connect_is_browser(&h->p);
    if (known == NULL && (backend || open_page)) {
        handshake_accept(h, true);
        return;
    }
    h->pair = pair_decide(known, &q);
    if (h->pair.verdict == PAIR_OK) {
        take_token(h, known);
        handshake_accept(h, true);
        return;
    }
    if (known != NULL) {
        buf_sv(&h->approved_roles, known->role);
        buf_sv(&h->approved_scopes, known->scopes);
    }
    ask_for_approval(h, h->pair.verdict == PAIR_APPROVE);
}

static void on_device(void *ctx, int err, uint16_t type, const void *body)
{
    static const struct auth_refusal mismatch = {
        "unauthorized: device token mismatch (rotate or reissue the device token)", "AUTH_DEVICE_TOKEN_MISMATCH",
        "device_token_mismatch", "update_auth_credentials", false};
    static const struct auth_refusal too_much = {
        "unauthorized: device token scope mismatch (re-pair or approve scope upgrade)", "AUTH_SCOPE_MISMATCH",
        "scope_mismatch", "review_auth_configuration", false};
    struct handshake *h = ctx;
    const struct msg_device *known = err == OK && type == MSG_DEVICE ? body : NULL;
    if (err != OK && err != ERR_GONE) {
        refuse_for_now(h, "the device could not be looked up; retry shortly");
        return;
    }
    if (h->shared_ok) {
        pair(h, known, false);
        return;
    }
    const struct msg_device_token *token = pair_token(known, h->p.role);
    sv presented = h->p.device_token.n > 0 ? h->p.device_token : h->p.token;
    if (!pair_token_matches(token, presented)) {
        if (h->p.device_token.n > 0) {
            refuse_auth(h, &mismatch);
        } else {
            refuse_secret(h);
        }
    } else if (!scopes_cover(token->scopes, buf_view(&h->p.scopes))) {
        refuse_auth(h, &too_much);
    } else {
        pair(h, known, true);
    }
}

void handshake_device(struct handshake *h)
{
    h->c->state = CONN_CHECKING;
    const struct msg_device_get get = {.id = h->p.device.id};
    store_call(h->c->e->store, MSG_DEVICE_GET, &get, DEVICE_LOOKUP_MS, on_device, h);
}
