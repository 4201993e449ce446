/*
 * connect_refuse.c: how a handshake ends badly: codes, texts, close codes (gateway-ws.md 3.2, 3.3, 5.4, 7.4).
 * Runs in: edge.     Owns: nothing.
 * Never: says more to an unauthenticated client than the protocol does.
 * Tested in: tests/scn/e1-protocol.test.mjs, e4-device.test.mjs
 */
#include "workers/edge/connect_int.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "common/names.h"
#include "workers/edge/rpc.h"

void handshake_send_refusal(void *ctx)
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

void refuse(struct handshake *h, const char *code, const char *message)
{
    h->refusal.code = code;
    h->refusal.close = h->refusal.close ? h->refusal.close : 1008;
    sv_copy(h->refusal.message, sizeof h->refusal.message, sv_of(message));
    handshake_send_refusal(h);
}

void refuse_as(struct handshake *h, const char *code, const char *message, const char *detail, const char *reason)
{
    buf_printf(&h->refusal.details, "{\"code\":\"%s\"", detail);
    if (reason != NULL) {
        buf_printf(&h->refusal.details, ",\"reason\":\"%s\"", reason);
    }
    buf_ch(&h->refusal.details, '}');
    refuse(h, code, message);
}

void refuse_auth(struct handshake *h, const struct auth_refusal *r)
{
    struct edge *e = h->c->e;
    h->refusal.code = "INVALID_REQUEST";
    h->refusal.close = 1008;
    sv_copy(h->refusal.message, sizeof h->refusal.message, sv_of(r->message));
    buf_printf(&h->refusal.details,
               "{\"code\":\"%s\",\"authReason\":\"%s\",\"canRetryWithDeviceToken\":%s,"
               "\"recommendedNextStep\":\"%s\"}",
               r->detail, r->reason, r->retry_with_device ? "true" : "false", r->next);
    int64_t wait = throttle_fail(&e->throttle, sv_of(h->c->peer.addr), h->c->peer.loopback, clock_mono_ms());
    counter_add(C_auth_failures, 1);
    h->c->state = CONN_CHECKING;
    if (wait > 0) {
        loop_timer_start(&h->delay, wait);
    } else {
        handshake_send_refusal(h);
    }
}

void refuse_secret(struct handshake *h)
{
    static const struct auth_refusal rows[2][2] = {
        {{"unauthorized: gateway token missing (use this gateway's gateway.auth.token or pair the device)",
          "AUTH_TOKEN_MISSING", "token_missing", "update_auth_configuration", false},
         {"unauthorized: gateway token mismatch (use this gateway's gateway.auth.token or pair the device)",
          "AUTH_TOKEN_MISMATCH", "token_mismatch", "update_auth_credentials", false}},
        {{"unauthorized: gateway password missing (use this gateway's gateway.auth.password or pair the device)",
          "AUTH_PASSWORD_MISSING", "password_missing", "update_auth_configuration", false},
         {"unauthorized: gateway password mismatch (use this gateway's gateway.auth.password or pair the device)",
          "AUTH_PASSWORD_MISMATCH", "password_mismatch", "update_auth_credentials", false}},
    };
    bool given = connect_has_secret(&h->p);
    struct auth_refusal r = rows[h->c->e->conf.auth == AUTH_PASSWORD][given];
    if (given && h->p.has_device) {
        r.retry_with_device = true;
        r.next = "retry_with_device_token";
    }
    refuse_auth(h, &r);
}

void refuse_locked(struct handshake *h, int64_t ms)
{
    h->refusal.retryable = true;
    h->refusal.retry_after_ms = ms;
    buf_str(&h->refusal.details, "{\"code\":\"AUTH_RATE_LIMITED\",\"recommendedNextStep\":\"wait_then_retry\"}");
    refuse(h, "INVALID_REQUEST", "unauthorized: too many failed attempts; wait and retry");
}

void refuse_for_now(struct handshake *h, const char *message)
{
    h->refusal.retryable = true;
    h->refusal.retry_after_ms = 1000;
    h->refusal.close = 1013;
    refuse(h, "UNAVAILABLE", message);
}

void refuse_protocol(struct handshake *h)
{
    buf_printf(&h->refusal.details,
               "{\"code\":\"PROTOCOL_MISMATCH\",\"clientMinProtocol\":%" PRId64
               ",\"clientMaxProtocol\":%" PRId64
               ",\"expectedProtocol\":%d,\"minimumProbeProtocol\":%d}",
               h->p.min_protocol, h->p.max_protocol, PROTOCOL_VERSION, PROTOCOL_PROBE_MIN);
    h->refusal.close = 1002;
    refuse(h, "INVALID_REQUEST", "protocol mismatch");
}

void refuse_starting(struct handshake *h)
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

void refuse_pairing(struct handshake *h, sv request_id)
{
    const struct pair_result *r = &h->pair;
    struct buf *d = &h->refusal.details;
    buf_printf(d, "{\"code\":\"PAIRING_REQUIRED\",\"reason\":\"%s\",\"requestId\":", r->reason);
    buf_json_str(d, request_id);
    buf_printf(d, ",\"remediationHint\":\"%s\",\"deviceId\":", r->hint);
    buf_json_str(d, h->p.device.id);
    buf_str(d, ",\"requestedRole\":");
    buf_json_str(d, h->p.role);
    buf_str(d, ",\"requestedScopes\":");
    names_json(d, buf_view(&h->p.scopes));
    if (h->approved_roles.n > 0) {
        buf_str(d, ",\"approvedRoles\":");
        names_json(d, buf_view(&h->approved_roles));
        buf_str(d, ",\"approvedScopes\":");
        names_json(d, buf_view(&h->approved_scopes));
    }
    if (connect_is_ui(&h->p)) {
        h->refusal.retryable = true;
        buf_str(d, ",\"recommendedNextStep\":\"wait_then_retry\",\"retryable\":true,"
                   "\"pauseReconnect\":false");
    }
    buf_ch(d, '}');
    snprintf(h->refusal.reason, sizeof h->refusal.reason, "%s (requestId: %.*s)", r->message, SV_ARG(request_id));
    refuse(h, "NOT_PAIRED", r->message);
}
