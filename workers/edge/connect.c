/*
 * connect.c: see connect.h. Order of the checks: section 3.1.
 * Runs in: edge.     Owns: the handshakes.
 * Never: says more to an unauthenticated client than the protocol does.
 * Tested in: tests/scn/e1-protocol.test.mjs, e4-device.test.mjs
 */
#include "workers/edge/connect_int.h"

#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "workers/edge/events.h"
#include "workers/edge/netrules.h"
#include "workers/edge/params.h"

/* ---- the checks of 3.1 ----------------------------------------------------------------------------- */

static bool secret_ok(const struct handshake *h)
{
    const struct edge_conf *conf = &h->c->e->conf;
    if (conf->auth == AUTH_NONE) {
        return true;
    }
    /* Both fields are compared, whatever the first says: the Control UI sends the secret in both. */
    bool a = crypto_equal(secret_sv(&conf->secret), h->p.token);
    bool b = crypto_equal(secret_sv(&conf->secret), h->p.password);
    return a || b;
}

static void check_no_device(struct handshake *h)
{
    const struct connect_params *p = &h->p;
    bool open = h->c->e->conf.auth == AUTH_NONE;
    bool backend = connect_is(p, "gateway-client", "backend") && h->local && h->origin[0] == '\0';
    bool cli = connect_is(p, "cli", "cli") && h->local;
    if (sv_eqc(p->role, "node")) {
        refuse_as(h, "NOT_PAIRED", "device identity required", "DEVICE_IDENTITY_REQUIRED", NULL);
    } else if (connect_is_ui(p)) {
        refuse_as(h, "INVALID_REQUEST",
                  "control ui requires device identity (use HTTPS or localhost secure context)",
                  "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", NULL);
    } else if (open ? !backend : !connect_has_secret(p)) {
        refuse_as(h, "NOT_PAIRED", "device identity required", "DEVICE_IDENTITY_REQUIRED", NULL);
    } else if (!secret_ok(h)) {
        refuse_secret(h);
    } else {
        handshake_accept(h, backend || (cli && !open));
    }
}

static void check_device(struct handshake *h)
{
    const struct device_refusal *r = device_check(&h->p.device, sv_of(h->nonce), clock_real_ms(), h->key);
    if (r != NULL) {
        refuse_as(h, "INVALID_REQUEST", r->message, r->code, r->reason);
        return;
    }
    h->shared_ok = secret_ok(h);
    if (!h->shared_ok && h->p.device_token.n == 0 && h->p.token.n == 0) {
        refuse_secret(h);
        return;
    }
    handshake_device(h);
}

static const char *check_origin(const struct handshake *h)
{
    const struct edge_conf *conf = &h->c->e->conf;
    if (h->origin[0] == '\0' && !connect_is_browser(&h->p)) {
        return NULL;
    }
    return origin_refused(sv_of(h->origin), sv_of(h->host), conf->origins, conf->origins_n);
}

static void check(struct handshake *h)
{
    struct edge *e = h->c->e;
    int64_t locked = throttle_locked(&e->throttle, sv_of(h->c->peer.addr), clock_mono_ms());
    const char *origin;
    if (!store_is_up(e->store) || e->draining) {
        refuse_starting(h);
    } else if (!connect_protocol_ok(&h->p)) {
        refuse_protocol(h);
    } else if (!one_of("operator|node", h->p.role)) {
        refuse(h, "INVALID_REQUEST", "invalid role");
    } else if ((origin = check_origin(h)) != NULL) {
        refuse_as(h, "INVALID_REQUEST",
                  "origin not allowed (open the Control UI from the gateway host or allow it in "
                  "gateway.controlUi.allowedOrigins)",
                  "CONTROL_UI_ORIGIN_NOT_ALLOWED", origin);
    } else if (locked > 0) {
        refuse_locked(h, locked);
    } else if (h->p.has_device) {
        check_device(h);
    } else {
        check_no_device(h);
    }
}

/* ---- frames ---------------------------------------------------------------------------------------- */

static void first_frame(struct handshake *h, sv text)
{
    struct conn *c = h->c;
    frame_parse(text, &h->frame);
    if (h->frame.kind == FRAME_NOT_JSON) {
        conn_close(c, 1000, SV(""));
        return;
    }
    if (h->frame.kind == FRAME_BAD) {
        conn_close(c, 1008, SV("invalid request frame"));
        return;
    }
    h->asked = true;
    if (!sv_eqc(h->frame.method, "connect")) {
        refuse(h, "INVALID_REQUEST", "invalid handshake: first request must be connect");
        return;
    }
    struct buf why = BUF_INIT(sizeof h->refusal.message);
    buf_str(&why, "invalid connect params: ");
    struct buf detail = BUF_INIT(400);
    bool good = connect_params_parse(h->frame.params, &h->p, &detail);
    buf_sv(&why, buf_view(&detail));
    if (good) {
        check(h);
    } else {
        refuse(h, "INVALID_REQUEST", buf_cstr(&why));
    }
    buf_free(&why);
    buf_free(&detail);
}

void connect_message(struct conn *c, sv text)
{
    struct handshake *h = c->hs;
    if (!h->asked) {
        first_frame(h, text);
        return;
    }
    if (h->early_n == CONN_EARLY_MAX) {
        conn_close(c, 1008, SV("too many requests before hello"));
        return;
    }
    struct buf *b = &h->early[h->early_n++];
    *b = BUF_INIT(CONN_MAX_BEFORE_HELLO);
    buf_sv(b, text);
}

void connect_begin(struct conn *c, sv host, sv origin)
{
    struct handshake *h = xcalloc(1, sizeof *h);
    h->c = c;
    h->host = xsvdup(host);
    h->origin = xsvdup(origin);
    h->refusal.details = BUF_INIT(8192);
    h->approved_roles = h->approved_scopes = BUF_INIT(2048);
    h->local = c->peer.loopback && host_is_local(host);
    loop_timer_init(&h->delay, c->e->loop, handshake_send_refusal, h);
    id_uuid(h->nonce);
    c->hs = h;
    events_challenge(c, h->nonce, clock_real_ms());
}

void connect_free(struct conn *c)
{
    struct handshake *h = c->hs;
    if (h == NULL) {
        return;
    }
    c->hs = NULL;
    loop_timer_stop(&h->delay);
    store_forget(c->e->store, h);
    frame_free(&h->frame);
    connect_params_free(&h->p);
    buf_free(&h->refusal.details);
    buf_free(&h->approved_roles);
    buf_free(&h->approved_scopes);
    for (size_t i = 0; i < h->early_n; i++) {
        buf_free(&h->early[i]);
    }
    xfree(h->host);
    xfree(h->origin);
    xfree(h);
}
