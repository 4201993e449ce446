/*
 * http.c: see http.h.
 * Runs in: edge.     Owns: nothing beyond its requests.
 * Never: waits without a deadline.
 * Tested in: the scenarios
 */
#include "workers/edge/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/id.h"
#include "common/log.h"
#include "workers/edge/scopes.h"
#include "workers/edge/server.h"
#include "workers/edge/static.h"

#define ROUTE(method, pattern, cap, need, handler, doc) void handler(struct http_req *r);
#include "workers/edge/routes.def"
#undef ROUTE

const struct route routes[] = {
#define ROUTE(method, pattern, cap, need, handler, doc) {HTTP_##method, pattern, cap, NEED_##need, handler},
#include "workers/edge/routes.def"
#undef ROUTE
    {HTTP_OTHER, NULL, 0, NEED_NOBODY, NULL},
};

static const struct {
    int status;
    const char *reason;
} REASONS[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(REASONS); i++) {
        if (REASONS[i].status == status) {
            return REASONS[i].reason;
        }
    }
    return status < 400 ? "OK" : "Error";
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_deadline(void *ctx)
{
    struct http_req *r = ctx;
    r->close_after = true;
    http_error(r, 408, "invalid_request_error", "body_timeout",
               "The body did not arrive within 30 s.");
}

struct http_req *http_new(struct edge *e, void *wsi, const struct peer *peer)
{
    struct http_req *r = xcalloc(1, sizeof *r);
    r->e = e;
    r->wsi = wsi;
    r->peer = *peer;
    r->body = BUF_INIT(0);
    r->answer = BUF_INIT(OUT_MSG_MAX);
    list_init(&r->of_account);
    loop_timer_init(&r->deadline, e->loop, on_deadline, r);
    return r;
}

void http_free(struct http_req *r)
{
    if (r == NULL) {
        return;
    }
    r->wsi = NULL;
    if (r->work_free != NULL) {
        r->work_free(r);
    }
    loop_timer_stop(&r->deadline);
    if (r->streaming) {
        loop_timer_stop(&r->alive);
    }
    /* An answer that is still to come must not find us. */
    bus_forget(r->e->bus, r);
    store_forget(r->e->store, r);
    list_del(&r->of_account);
    for (size_t i = 0; i < r->headers_n; i++) {
        xfree(r->headers[i].value);
    }
    buf_free(&r->body);
    buf_free(&r->answer);
    xfree(r);
}

sv http_header(const struct http_req *r, const char *name)
{
    for (size_t i = 0; i < r->headers_n; i++) {
        if (strcmp(r->headers[i].name, name) == 0) {
            return sv_of(r->headers[i].value);
        }
    }
    return SV_NULL;
}

sv http_own_header(const struct http_req *r, const char *name)
{
    static const char *const prefixes[] = {"x-tenaza-", "x-openclaw-"};
    for (size_t p = 0; p < ARRAY_LEN(prefixes); p++) {
        size_t n = strlen(prefixes[p]);
        for (size_t i = 0; i < r->headers_n; i++) {
            const char *have = r->headers[i].name;
            if (strncmp(have, prefixes[p], n) == 0 && strcmp(have + n, name) == 0) {
                return sv_of(r->headers[i].value);
            }
        }
    }
    return SV_NULL;
}

/* ---- on its way to the handler --------------------------------------------------------------------- */

static void refuse_method(struct http_req *r, const char *allow)
{
    struct buf extra = BUF_INIT(128);
    buf_printf(&extra, "Allow: %s\r\n", allow);
    const struct http_fail f = {
        .status = 405,
        .type = "invalid_request_error",
        .code = "method_not_allowed",
        .text = SV("Method not allowed."),
        .extra = buf_cstr(&extra),
    };
    http_fail(r, &f);
    buf_free(&extra);
}

static void no_route(struct http_req *r)
{
    const struct web_file *f = static_find(r->e, sv_of(r->path));
    if (f == NULL && sv_starts(sv_of(r->path), SV("/v1/"))) {
        http_error(r, 404, "not_found_error", "unknown_endpoint",
                   "There is no such endpoint; there are /v1/models, /v1/chat/completions, /v1/responses and "
                   "/v1/embeddings.");
    } else if (f == NULL) {
        http_error(r, 404, "not_found_error", "not_found", "There is nothing at this path.");
    } else if (r->method != HTTP_GET && r->method != HTTP_HEAD) {
        refuse_method(r, "GET, HEAD");
    } else {
        static_serve(r, f);
    }
}

static void too_large(struct http_req *r)
{
    char text[120];
    snprintf(text, sizeof text, "The body is larger than the %zu bytes that this route accepts.", r->match.route->cap);
    r->close_after = true;
    http_error(r, 413, "invalid_request_error", "body_too_large", text);
}

static void want_body(struct http_req *r, enum body_kind kind, uint64_t length)
{
    size_t cap = r->match.route->cap;
    r->is_chunked = kind == BODY_CHUNKED;
    if (length > cap) {
        too_large(r);
        return;
    }
    /* libwebsockets does not know where a chunked body ends: nothing can follow on this connection. */
    r->close_after = r->is_chunked;
    r->body.max = cap;
    r->reading = r->is_chunked || length > 0;
    if (r->reading) {
        loop_timer_start(&r->deadline, HTTP_BODY_MS);
    } else {
        http_dispatch(r);
    }
}

/* Everything that the headers alone can be refused for; false: answered. */
static bool may_come_in(struct http_req *r)
{
    const struct route *route = r->match.route;
    if (route->need == NEED_NOBODY) {
        return true;
    }
    return http_origin_ok(r) && http_auth_begin(r) &&
           (r->auth == HTTP_AUTH_PENDING || http_auth_scope(r, route->need));
}

static void route_it(struct http_req *r, enum body_kind kind, uint64_t length)
{
    const char *allow = "";
    enum route_result found = route_find(routes, r->method, sv_of(r->path), &r->match, &allow);
    r->close_after = kind != BODY_NONE; /* for the refusals: the rest of the body is not read */
    if (r->method == HTTP_OPTIONS) {
        http_preflight(r);
    } else if (found == ROUTE_WRONG_METHOD) {
        refuse_method(r, allow);
    } else if (found == ROUTE_NONE) {
        no_route(r);
    } else if (may_come_in(r)) {
        r->close_after = false;
        if (r->match.route->method == HTTP_POST) {
            want_body(r, kind, length);
        } else {
            r->close_after = kind != BODY_NONE;
            http_dispatch(r);
        }
    }
}

void http_begin(struct http_req *r)
{
    uint64_t length = 0;
    enum body_kind kind = body_kind(http_header(r, "content-length"), http_header(r, "transfer-encoding"), &length);
    if (kind == BODY_BAD) {
        r->close_after = true;
        http_error(r, 400, "invalid_request_error", "bad_length",
                   "Content-Length and Transfer-Encoding do not fit: send one of them, the length as a number or "
                   "the coding chunked.");
    } else if (r->e->draining && !worker_hands_over(r->e->w)) {
        r->close_after = true;
        http_error(r, 503, "service_unavailable", "gateway_unavailable", "The gateway is stopping.");
    } else {
        route_it(r, kind, length);
    }
}

void http_body(struct http_req *r, sv piece)
{
    if (!r->reading) {
        return;
    }
    if (!r->is_chunked) {
        if (!buf_sv(&r->body, piece)) {
            too_large(r);
        }
        return;
    }
    switch (chunked_add(&r->chunked, piece, &r->body)) {
    case CHUNKED_MORE:
        break;
    case CHUNKED_DONE:
        http_dispatch(r);
        break;
    case CHUNKED_FULL:
        too_large(r);
        break;
    case CHUNKED_BAD:
        http_error(r, 400, "invalid_request_error", "bad_chunk", "The chunked body is malformed.");
        break;
    }
}

void http_dispatch(struct http_req *r)
{
    r->reading = false;
    loop_timer_stop(&r->deadline);
    if (r->answer.n == 0 && r->auth != HTTP_AUTH_PENDING) {
        r->match.route->handler(r);
    }
}

/* ---- answers --------------------------------------------------------------------------------------- */

static bool has_line(const char *extra, const char *name)
{
    return extra != NULL && strstr(extra, name) != NULL;
}

void http_answer(struct http_req *r, int status, const char *type, sv body, const char *extra)
{
    if (r->answer.n > 0) {
        return;
    }
    r->reading = false;
    metrics_count_http(r, status);
    loop_timer_stop(&r->deadline);
    struct buf *b = &r->answer;
    out_begin(b);
    buf_printf(b, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    if (!r->streaming && status != 204) {
        buf_printf(b, "Content-Length: %zu\r\n", body.n);
    }
    if (type != NULL && status != 304) {
        buf_printf(b, "Content-Type: %s\r\n", type);
    }
    buf_printf(b, "X-Request-Id: %s\r\n", r->id);
    buf_str(b, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    if (!has_line(extra, "Cache-Control:")) {
        buf_str(b, "Cache-Control: no-store\r\n");
    }
    http_cors_headers(r, b);
    if (extra != NULL) {
        buf_str(b, extra);
    }
    /* During a drain the next request goes to the successor. */
    if (r->close_after || !r->keep_alive || r->e->draining) {
        buf_str(b, "Connection: close\r\n");
    }
    buf_str(b, "\r\n");
    if (r->method != HTTP_HEAD && status != 304) {
        buf_sv(b, body);
    }
    if (r->wsi != NULL) {
        transport_want_write(r->wsi);
    }
}

/* The OpenAI clients repeat 408, 409, 429 and 5xx by themselves unless they are told (1.4). */
static void add_retry(struct buf *b, const struct http_req *r, const struct http_fail *f)
{
    if (f->status == 503 || f->status == 429) {
        int64_t ms = f->retry_ms > 0 ? f->retry_ms : 1000;
        buf_printf(b, "Retry-After: %" PRId64 "\r\nretry-after-ms: %" PRId64 "\r\n", (ms + 999) / 1000, ms);
    }
    if (r->admitted) {
        buf_str(b, "x-should-retry: false\r\n");
    }
}

void http_fail_body(const struct http_req *r, const struct http_fail *f, struct buf *b)
{
    buf_str(b, "{\"error\":{\"message\":");
    buf_json_str(b, f->text);
    buf_printf(b, ",\"type\":\"%s\",\"code\":", f->type);
    buf_json_str(b, sv_of(f->code));
    buf_str(b, ",\"param\":");
    if (f->param != NULL) {
        buf_json_str(b, sv_of(f->param));
    } else {
        buf_str(b, "null");
    }
    buf_str(b, ",\"request_id\":");
    buf_json_str(b, sv_of(r->id));
    buf_str(b, "}}");
}

void http_fail(struct http_req *r, const struct http_fail *f)
{
    struct buf b = BUF_INIT(16384), extra = BUF_INIT(2048);
    http_fail_body(r, f, &b);
    add_retry(&extra, r, f);
    if (f->extra != NULL) {
        buf_str(&extra, f->extra);
    }
    http_answer(r, f->status, "application/json", buf_view(&b), extra.n > 0 ? buf_cstr(&extra) : NULL);
    buf_free(&b);
    buf_free(&extra);
}

void http_error(struct http_req *r, int status, const char *type, const char *code, const char *text)
{
    const struct http_fail f = {.status = status, .type = type, .code = code, .text = sv_of(text)};
    http_fail(r, &f);
}

void http_fail_store(struct http_req *r, int err, uint16_t type, const void *body)
{
    const struct msg_status *s = body != NULL && type == MSG_STATUS ? body : NULL;
    sv text = s != NULL && s->text.n > 0 ? s->text : sv_of(err_text(err));
    struct http_fail f = {.status = 503, .type = "service_unavailable", .code = "store_unavailable", .text = text};
    if (err == ERR_CONFLICT) {
        f = (struct http_fail){.status = 422, .type = "invalid_request_error", .code = "idempotency_mismatch",
                               .text = SV("This Idempotency-Key was used for another request already.")};
    } else if (err == ERR_GONE) {
        f = (struct http_fail){.status = 404, .type = "not_found_error", .code = "not_found", .text = text};
    } else if (err == ERR_BAD || err == ERR_DENIED) {
        f = (struct http_fail){.status = 400, .type = "invalid_request_error", .code = "invalid_request", .text = text};
    } else if (err == ERR_TOOBIG) {
        f = (struct http_fail){.status = 413, .type = "invalid_request_error", .code = "too_large", .text = text};
    } else {
        f.retry_ms = s != NULL ? (int64_t)s->retry_ms : 0;
    }
    http_fail(r, &f);
}
