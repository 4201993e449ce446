/*
 * http_auth.c: who asks over HTTP: the gateway's token or password, a paired device, or anybody on loopback when the
 *              mode is none (http-surfaces.md 3).
 * Runs in: edge.     Owns: nothing.
 * Never: says which part of a credential was wrong, takes one from the URL, logs one.
 * Tested in: tests/scn/h1-http.test.mjs
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "workers/edge/http.h"
#include "workers/edge/scopes.h"

static int64_t locked_ms(struct http_req *r)
{
    struct edge *e = r->e;
    sv addr = sv_of(r->peer.addr);
    int64_t now = clock_mono_ms();
    int64_t http = throttle_locked(&e->http_throttle, addr, now);
    int64_t ws = throttle_locked(&e->throttle, addr, now);
    return http > ws ? http : ws;
}

static void refuse(struct http_req *r)
{
    sv addr = sv_of(r->peer.addr);
    int64_t now = clock_mono_ms();
    throttle_fail(&r->e->http_throttle, addr, false, now);
    counter_add(C_auth_failures, 1);
    if (!r->peer.loopback) {
        throttle_fail(&r->e->throttle, addr, false, now); /* the same address over WebSocket */
    }
    log_info("unauthorized request peer=%s path=%s request=%s", r->peer.addr, r->path, r->id);
    const struct http_fail f = {
        .status = 401,
        .type = "authentication_error",
        .code = "unauthorized",
        .text = SV("Unauthorized: send the gateway's token as \"Authorization: Bearer TOKEN\"."),
        .extra = "WWW-Authenticate: Bearer realm=\"tenaza\"\r\n",
    };
    r->close_after = true;
    http_fail(r, &f);
}

static void refuse_locked(struct http_req *r, int64_t ms)
{
    const struct http_fail f = {
        .status = 429,
        .type = "rate_limit_error",
        .code = "too_many_failures",
        .text = SV("Too many wrong credentials from this address; wait and try again."),
        .retry_ms = ms,
    };
    r->close_after = true;
    http_fail(r, &f);
}

/* A script may drop rights of its own: only names that are asked for stay (3.1). */
static uint32_t narrowed(const struct http_req *r, uint32_t scopes)
{
    sv wanted = http_own_header(r, "scopes");
    uint32_t bits = SC_NONE;
    if (wanted.p == NULL) {
        return scopes;
    }
    while (wanted.n > 0) {
        bits |= scopes_of(sv_trim(sv_cut(&wanted, ',')));
    }
    return scopes & bits;
}

bool http_auth_begin(struct http_req *r)
{
    struct edge *e = r->e;
    int64_t locked = locked_ms(r);
    if (query_has_secret(sv_of(r->query))) {
        r->close_after = true;
        http_error(r, 400, "invalid_request_error", "token_in_url",
                   "Credentials do not belong into the URL; send them in the Authorization header.");
        return false;
    }
    if (locked > 0) {
        refuse_locked(r, locked);
        return false;
    }
    sv token = bearer_of(http_header(r, "authorization"));
    if (e->conf.auth != AUTH_NONE && !crypto_equal(secret_sv(&e->conf.secret), token)) {
        refuse(r);
        return false;
    }
    throttle_clear(&e->http_throttle, sv_of(r->peer.addr));
    r->auth = HTTP_AUTH_OK;
    r->scopes = narrowed(r, ~0u);
    return true;
}

bool http_auth_scope(struct http_req *r, uint32_t need)
{
    char text[120];
    if (need == SC_NONE || (r->scopes & need) != 0) {
        return true;
    }
    snprintf(text, sizeof text, "missing scope: %s", scope_name(need));
    http_error(r, 403, "permission_error", "missing_scope", text);
    return false;
}
