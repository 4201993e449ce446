/*
 * http.c: see http.h.
 * Runs in: edge.     Owns: nothing beyond its requests.
 * Never: waits without a deadline.
 * Tested in: the scenarios
 */
#include "workers/edge/http.h"

#include <string.h>

#include "workers/edge/server.h"
#include "workers/edge/static.h"

#define ROUTE(method, pattern, cap, handler, doc) void handler(struct http_req *r);
#include "workers/edge/routes.def"
#undef ROUTE

const struct route routes[] = {
#define ROUTE(method, pattern, cap, handler, doc) {HTTP_##method, pattern, cap, handler},
#include "workers/edge/routes.def"
#undef ROUTE
    {HTTP_OTHER, NULL, 0, NULL},
};

static const struct {
    int status;
    const char *reason;
} REASONS[] = {
    {200, "OK"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
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
    loop_timer_stop(&r->deadline);
    /* An answer of a channel worker that is still to come must not find us. */
    bus_forget(r->e->bus, r);
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

static void refuse_method(struct http_req *r, const char *allow)
{
    struct buf extra = BUF_INIT(128);
    buf_printf(&extra, "Allow: %s\r\n", allow);
    http_answer(r, 405, "application/json",
                SV("{\"error\":{\"message\":\"Method not allowed.\",\"type\":"
                   "\"invalid_request_error\",\"code\":\"method_not_allowed\"}}"),
                buf_cstr(&extra));
    buf_free(&extra);
}

static void no_route(struct http_req *r)
{
    const struct web_file *f = static_find(r->e, sv_of(r->path));
    if (f == NULL) {
        http_error(r, 404, "not_found_error", "not_found", "There is nothing at this path.");
    } else if (r->method != HTTP_GET && r->method != HTTP_HEAD) {
        refuse_method(r, "GET, HEAD");
    } else {
        static_serve(r, f);
    }
}

static void want_body(struct http_req *r, bool has_length, uint64_t length)
{
    size_t cap = r->match.route->cap;
    r->close_after = true; /* for the refusals: the rest of the body is not read */
    if (!has_length) {
        http_error(r, 411, "invalid_request_error", "length_required",
                   "Send the body with a Content-Length header.");
    } else if (length > cap) {
        http_error(r, 413, "invalid_request_error", "body_too_large",
                   "The body is larger than this route accepts.");
    } else {
        r->close_after = false;
        r->body.max = cap;
        r->reading = length > 0;
        if (r->reading) {
            loop_timer_start(&r->deadline, HTTP_BODY_MS);
        } else {
            http_dispatch(r);
        }
    }
}

void http_begin(struct http_req *r, bool has_length, uint64_t length)
{
    const char *allow = "";
    if (r->e->draining) {
        http_error(r, 503, "service_unavailable", "gateway_unavailable", "The gateway is stopping.");
        return;
    }
    enum route_result found = route_find(routes, r->method, sv_of(r->path), &r->match, &allow);
    if (found == ROUTE_WRONG_METHOD) {
        r->close_after = length > 0;
        refuse_method(r, allow);
    } else if (found == ROUTE_NONE) {
        r->close_after = length > 0;
        no_route(r);
    } else if (r->match.route->method == HTTP_POST) {
        want_body(r, has_length, length);
    } else {
        http_dispatch(r);
    }
}

void http_body(struct http_req *r, sv piece)
{
    if (r->reading && !buf_sv(&r->body, piece)) {
        r->close_after = true;
        http_error(r, 413, "invalid_request_error", "body_too_large",
                   "The body is larger than this route accepts.");
    }
}

void http_dispatch(struct http_req *r)
{
    r->reading = false;
    loop_timer_stop(&r->deadline);
    if (r->answer.n == 0) {
        r->match.route->handler(r);
    }
}

void http_answer(struct http_req *r, int status, const char *type, sv body, const char *extra)
{
    if (r->answer.n > 0) {
        return;
    }
    r->reading = false;
    loop_timer_stop(&r->deadline);
    struct buf *b = &r->answer;
    out_begin(b);
    buf_printf(b, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", status, http_reason(status), body.n);
    if (type != NULL && status != 304) {
        buf_printf(b, "Content-Type: %s\r\n", type);
    }
    buf_str(b, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    if (extra == NULL || strstr(extra, "Cache-Control:") == NULL) {
        buf_str(b, "Cache-Control: no-store\r\n");
    }
    if (extra != NULL) {
        buf_str(b, extra);
    }
    if (r->close_after || !r->keep_alive) {
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

void http_error(struct http_req *r, int status, const char *type, const char *code, const char *text)
{
    struct buf b = BUF_INIT(2048);
    buf_str(&b, "{\"error\":{\"message\":");
    buf_json_str(&b, sv_of(text));
    buf_printf(&b, ",\"type\":\"%s\",\"code\":\"%s\"}}", type, code);
    bool wait = status == 503 || status == 429;
    http_answer(r, status, "application/json", buf_view(&b), wait ? "Retry-After: 1\r\n" : NULL);
    buf_free(&b);
}
