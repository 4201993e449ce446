/*
 * http_cors.c: requests of browser pages: whose page may ask, and what the browser is told (http-surfaces.md 1.2).
 * Runs in: edge.     Owns: nothing.
 * Never: answers a foreign page, whatever credential it has: a page cannot be told from its visitor.
 * Tested in: tests/scn/h1-http.test.mjs
 */
#include "workers/edge/http.h"
#include "workers/edge/netrules.h"

static bool allowed(const struct http_req *r)
{
    const struct edge_conf *conf = &r->e->conf;
    sv origin = http_header(r, "origin");
    return origin_refused(origin, http_header(r, "host"), conf->origins, conf->origins_n) == NULL;
}

bool http_origin_ok(struct http_req *r)
{
    if (http_header(r, "origin").n == 0 || allowed(r)) {
        return true;
    }
    r->close_after = true;
    http_error(r, 403, "permission_error", "origin_not_allowed",
               "Pages of this origin may not use the gateway; add it to edge.allowedOrigins to allow it.");
    return false;
}

void http_cors_headers(const struct http_req *r, struct buf *b)
{
    sv origin = http_header(r, "origin");
    if (origin.n == 0 || !allowed(r)) {
        return;
    }
    buf_printf(b,
               "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n"
               "Access-Control-Expose-Headers: X-Request-Id, Retry-After, Idempotent-Replay\r\n",
               SV_ARG(origin));
}

void http_preflight(struct http_req *r)
{
    if (http_header(r, "origin").n == 0 || !allowed(r)) {
        const struct http_fail f = {
            .status = 405,
            .type = "invalid_request_error",
            .code = "method_not_allowed",
            .text = SV("Method not allowed."),
            .extra = "Allow: GET, HEAD, POST\r\n",
        };
        http_fail(r, &f);
        return;
    }
    http_answer(r, 204, NULL, SV(""),
                "Access-Control-Allow-Methods: GET, HEAD, POST\r\n"
                "Access-Control-Allow-Headers: *, Authorization\r\n"
                "Access-Control-Max-Age: 600\r\n");
}
