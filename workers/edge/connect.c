/*
 * connect.c: see connect.h. Order of the checks: section 3.1.
 * Runs in: edge.     Owns: the handshakes.
 * Never: says more to an unauthenticated client than the protocol does.
 * Tested in: the scenarios
 */
#include "workers/edge/connect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/text.h"
#include "workers/edge/events.h"
#include "workers/edge/frame.h"
#include "workers/edge/hello.h"
#include "workers/edge/netrules.h"
#include "workers/edge/pairing.h"
#include "workers/edge/params.h"
#include "workers/edge/rpc.h"
#include "workers/edge/scopes.h"

#define DEVICE_LOOKUP_MS 10000 /* inside the handshake's 15 s */

struct refusal {
    const char *code;
    char message[512];
    struct buf details; /* JSON object, may be empty */
    bool retryable;
    int64_t retry_after_ms;
    uint16_t close;
    char reason[512]; /* empty: the message */
};

struct handshake {
    struct conn *c;
    char nonce[37];
    char *host, *origin;
    struct frame frame; /* the connect request */
    struct connect_params p;
    uint8_t key[32];
    bool local;
    bool shared_ok; /* token, password or mode none */
    bool asked;     /* connect was seen */
    struct refusal refusal;
    struct loop_timer delay; /* a failed login is answered late (5.4) */
    struct buf early[CONN_EARLY_MAX];
    size_t early_n;
    struct hello_device device;
    struct pair_lists lists;
};

/* ---- refusing -------------------------------------------------------------------------------------- */

static void send_refusal(void *ctx)
{
    struct handshake *h = ctx;
    struct refusal *r = &h->refusal;
    const struct rpc_error e = {
        .code = r->code,
        .message = sv_of(r->message),
        .details = buf_view(&r->details),
        .retryable = r->retryable,
        .retry_after_ms = r->retry_after_ms,
    };
    rpc_send_error(h->c, h->frame.id, &e);
    log_info("connect refused peer=%s client=%.*s: %s", h->c->peer.addr, SV_ARG(h->p.client_id),
             r->message);
    conn_close(h->c, r->close, sv_of(r->reason[0] ? r->reason : r->message));
}

static void refuse(struct handshake *h, const char *code, const char *message)
{
    h->refusal.code = code;
    h->refusal.close = h->refusal.close ? h->refusal.close : 1008;
    sv_copy(h->refusal.message, sizeof h->refusal.message, sv_of(message));
    send_refusal(h);
}

/* details: {"code":...,"reason":...}; reason may be NULL. */
static void refuse_as(struct handshake *h, const char *code, const char *message, const char *detail,
                      const char *reason)
{
    buf_printf(&h->refusal.details, "{\"code\":\"%s\"", detail);
    if (reason != NULL) {
        buf_printf(&h->refusal.details, ",\"reason\":\"%s\"", reason);
    }
    buf_ch(&h->refusal.details, '}');
    refuse(h, code, message);
}

/* A failed proof: the answer waits a little longer each time, remote addresses are locked (5.4). */
static void refuse_auth(struct handshake *h, const char *message, const char *detail,
                        const char *auth_reason, bool retry_with_device, const char *next)
{
    struct edge *e = h->c->e;
    h->refusal.code = "INVALID_REQUEST";
    h->refusal.close = 1008;
    sv_copy(h->refusal.message, sizeof h->refusal.message, sv_of(message));
    buf_printf(&h->refusal.details,
               "{\"code\":\"%s\",\"authReason\":\"%s\",\"canRetryWithDeviceToken\":%s,"
               "\"recommendedNextStep\":\"%s\"}",
               detail, auth_reason, retry_with_device ? "true" : "false", next);
    int64_t wait = throttle_fail(&e->throttle, sv_of(h->c->peer.addr), h->c->peer.loopback,
                                 clock_mono_ms());
    h->c->state = CONN_CHECKING;
    if (wait > 0) {
        loop_timer_start(&h->delay, wait);
    } else {
        send_refusal(h);
    }
}

static void refuse_secret(struct handshake *h)
{
    bool password = h->c->e->conf.auth == AUTH_PASSWORD;
    bool device = h->p.has_device;
    if (!connect_has_secret(&h->p)) {
        refuse_auth(h,
                    password ? "unauthorized: gateway password missing (use this gateway's "
                               "gateway.auth.password or pair the device)"
                             : "unauthorized: gateway token missing (use this gateway's "
                               "gateway.auth.token or pair the device)",
                    password ? "AUTH_PASSWORD_MISSING" : "AUTH_TOKEN_MISSING",
                    password ? "password_missing" : "token_missing", false,
                    "update_auth_configuration");
        return;
    }
    refuse_auth(h,
                password ? "unauthorized: gateway password mismatch (use this gateway's "
                           "gateway.auth.password or pair the device)"
                         : "unauthorized: gateway token mismatch (use this gateway's "
                           "gateway.auth.token or pair the device)",
                password ? "AUTH_PASSWORD_MISMATCH" : "AUTH_TOKEN_MISMATCH",
                password ? "password_mismatch" : "token_mismatch", device,
                device ? "retry_with_device_token" : "update_auth_credentials");
}

static void refuse_pairing(struct handshake *h, const struct msg_device *known,
                           const struct pair_result *r)
{
    /* The same device gets the same request id each time (7.1) without us keeping a list. */
    uint8_t k[16];
    sv parts[] = {sv_of(h->c->e->boot_id), h->p.device.id, sv_of(r->reason)};
    crypto_key128(k, parts, 3);
    char id[37];
    snprintf(id, sizeof id, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-8%01x%02x-%02x%02x%02x%02x%02x%02x",
             k[0], k[1], k[2], k[3], k[4], k[5], k[6] & 15, k[7], k[8] & 15, k[9], k[10], k[11], k[12],
             k[13], k[14], k[15]);
    struct buf *d = &h->refusal.details;
    buf_printf(d, "{\"code\":\"PAIRING_REQUIRED\",\"reason\":\"%s\",\"requestId\":\"%s\","
                  "\"remediationHint\":\"%s\",\"deviceId\":",
               r->reason, id, r->hint);
    buf_json_str(d, h->p.device.id);
    buf_str(d, ",\"requestedRole\":");
    buf_json_str(d, h->p.role);
    buf_str(d, ",\"requestedScopes\":");
    hello_list(d, buf_view(&h->p.scopes));
    if (known != NULL) {
        buf_str(d, ",\"approvedRoles\":");
        hello_list(d, known->role);
        buf_str(d, ",\"approvedScopes\":");
        hello_list(d, known->scopes);
    }
    if (connect_is_ui(&h->p)) {
        h->refusal.retryable = true;
        buf_str(d, ",\"recommendedNextStep\":\"wait_then_retry\",\"retryable\":true,"
                   "\"pauseReconnect\":false");
    }
    buf_ch(d, '}');
    snprintf(h->refusal.reason, sizeof h->refusal.reason, "%s (requestId: %s)", r->message, id);
    refuse(h, "NOT_PAIRED", r->message);
}

/* ---- letting in ------------------------------------------------------------------------------------ */

static void accept_conn(struct handshake *h, bool keep_scopes)
{
    struct conn *c = h->c;
    throttle_clear(&c->e->throttle, sv_of(c->peer.addr));
    hello_grant(c, &h->p, keep_scopes ? buf_view(&h->p.scopes) : SV(""));
    hello_send(c, h->frame.id, h->device.token_n > 0 ? &h->device : NULL);
    conn_ready(c);
    log_info("connected conn=%s client=%s mode=%s peer=%s scopes=%s", c->conn_id, c->client_id, c->mode,
             c->peer.addr, c->scopes);
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
    if (d->token.n == sizeof h->device.token) {
        memcpy(h->device.token, d->token.p, sizeof h->device.token);
        h->device.token_n = sizeof h->device.token;
        h->device.issued_ms = d->rotated_ms ? d->rotated_ms : d->created_ms;
    }
}

static void on_device_stored(void *ctx, int err, uint16_t type, const void *body)
{
    struct handshake *h = ctx;
    UNUSED(type);
    UNUSED(body);
    if (err != OK) {
        h->refusal.retryable = true;
        h->refusal.retry_after_ms = 1000;
        h->refusal.close = 1013;
        refuse(h, "UNAVAILABLE", "the device could not be stored; retry shortly");
        return;
    }
    accept_conn(h, true);
}

/* Section 7: the proof is good; may this device have what it asks for? */
static void pair(struct handshake *h, const struct msg_device *known, bool by_device_token)
{
    const struct pair_request q = {
        .p = &h->p,
        .local = h->local,
        .has_origin = h->origin[0] != '\0',
        .by_device_token = by_device_token,
    };
    /* 7.2: backends on this host and the page of an open gateway need no record. */
    bool backend = connect_is(&h->p, "gateway-client", "backend") && h->local && !q.has_origin;
    bool open_page = h->c->e->conf.auth == AUTH_NONE && connect_is_browser(&h->p);
    if (known == NULL && (backend || open_page)) {
        accept_conn(h, true);
        return;
    }
    struct pair_result r = pair_decide(known, &q);
    if (r.verdict == PAIR_REFUSE) {
        refuse_pairing(h, known, &r);
    } else if (r.verdict == PAIR_OK) {
        take_token(h, known);
        accept_conn(h, true);
    } else {
        struct msg_device d;
        pair_record(known, &q, h->key, clock_real_ms(), &h->lists, &d);
        take_token(h, &d);
        store_call(h->c->e->store, MSG_DEVICE, &d, DEVICE_LOOKUP_MS, on_device_stored, h);
    }
}

static void on_device(void *ctx, int err, uint16_t type, const void *body)
{
    struct handshake *h = ctx;
    const struct msg_device *known = err == OK && type == MSG_DEVICE ? body : NULL;
    if (err != OK && err != ERR_GONE) {
        h->refusal.retryable = true;
        h->refusal.retry_after_ms = 500;
        h->refusal.close = 1013;
        refuse(h, "UNAVAILABLE", "the device could not be looked up; retry shortly");
        return;
    }
    if (h->shared_ok) {
        pair(h, known, false);
        return;
    }
    sv presented = h->p.device_token.n > 0 ? h->p.device_token : h->p.token;
    if (!pair_token_matches(known, presented)) {
        if (h->p.device_token.n > 0) {
            refuse_auth(h, "unauthorized: device token mismatch (rotate or reissue the device token)",
                        "AUTH_DEVICE_TOKEN_MISMATCH", "device_token_mismatch", false,
                        "update_auth_credentials");
        } else {
            refuse_secret(h);
        }
        return;
    }
    if (!scopes_cover(known->scopes, buf_view(&h->p.scopes))) {
        refuse_auth(h, "unauthorized: device token scope mismatch (re-pair or approve scope upgrade)",
                    "AUTH_SCOPE_MISMATCH", "scope_mismatch", false, "review_auth_configuration");
        return;
    }
    pair(h, known, true);
}

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
    if (connect_is_ui(p)) {
        refuse_as(h, "INVALID_REQUEST",
                  "control ui requires device identity (use HTTPS or localhost secure context)",
                  "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", NULL);
    } else if (open ? !backend : !connect_has_secret(p)) {
        refuse_as(h, "NOT_PAIRED", "device identity required", "DEVICE_IDENTITY_REQUIRED", NULL);
    } else if (!secret_ok(h)) {
        refuse_secret(h);
    } else {
        accept_conn(h, backend || (cli && !open));
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
    h->c->state = CONN_CHECKING;
    const struct msg_device_get get = {.id = h->p.device.id};
    store_call(h->c->e->store, MSG_DEVICE_GET, &get, DEVICE_LOOKUP_MS, on_device, h);
}

static void refuse_protocol(struct handshake *h)
{
    buf_printf(&h->refusal.details,
               "{\"code\":\"PROTOCOL_MISMATCH\",\"clientMinProtocol\":%" PRId64
               ",\"clientMaxProtocol\":%" PRId64
               ",\"expectedProtocol\":%d,\"minimumProbeProtocol\":%d}",
               h->p.min_protocol, h->p.max_protocol, PROTOCOL_VERSION, PROTOCOL_PROBE_MIN);
    h->refusal.close = 1002;
    refuse(h, "INVALID_REQUEST", "protocol mismatch");
}

static void refuse_starting(struct handshake *h)
{
    bool stopping = h->c->e->draining;
    h->refusal.retryable = true;
    h->refusal.retry_after_ms = 500;
    h->refusal.close = 1013;
    buf_printf(&h->refusal.details, "{\"reason\":\"%s\"}",
               stopping ? "gateway-restarting" : "startup-sidecars");
    sv_copy(h->refusal.reason, sizeof h->refusal.reason, SV("gateway starting"));
    refuse(h, "UNAVAILABLE", "gateway starting; retry shortly");
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
    } else if (!sv_eqc(h->p.role, "operator")) {
        refuse(h, "INVALID_REQUEST", "invalid role");
    } else if ((origin = check_origin(h)) != NULL) {
        refuse_as(h, "INVALID_REQUEST",
                  "origin not allowed (open the Control UI from the gateway host or allow it in "
                  "gateway.controlUi.allowedOrigins)",
                  "CONTROL_UI_ORIGIN_NOT_ALLOWED", origin);
    } else if (locked > 0) {
        h->refusal.retryable = true;
        h->refusal.retry_after_ms = locked;
        buf_str(&h->refusal.details,
                "{\"code\":\"AUTH_RATE_LIMITED\",\"recommendedNextStep\":\"wait_then_retry\"}");
        refuse(h, "INVALID_REQUEST", "unauthorized: too many failed attempts; wait and retry");
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
    h->local = c->peer.loopback && host_is_local(host);
    loop_timer_init(&h->delay, c->e->loop, send_refusal, h);
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
    pair_lists_free(&h->lists);
    for (size_t i = 0; i < h->early_n; i++) {
        buf_free(&h->early[i]);
    }
    xfree(h->host);
    xfree(h->origin);
    xfree(h);
}
