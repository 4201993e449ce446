/*
 * http_lws.c: plain HTTP requests between libwebsockets and http.c.
 * Runs in: edge.     Owns: nothing.
 * Never: decides what a request gets.
 * Tested in: the scenarios
 */
#include <libwebsockets.h>

#include <string.h>

#include "common/clock.h"
#include "common/id.h"
#include "workers/edge/http.h"
#include "workers/edge/sock_lws.h"

static const char *const KEPT[] = {
#define HEADER(name) name ":",
#include "workers/edge/headers.def"
#undef HEADER
};

static const char *const KEPT_NAMES[] = {
#define HEADER(name) name,
#include "workers/edge/headers.def"
#undef HEADER
};

static const struct {
    enum lws_token_indexes uri;
    enum http_method method;
} METHODS[] = {
    {WSI_TOKEN_GET_URI, HTTP_GET},         {WSI_TOKEN_POST_URI, HTTP_POST},
    {WSI_TOKEN_HEAD_URI, HTTP_HEAD},       {WSI_TOKEN_OPTIONS_URI, HTTP_OPTIONS},
    {WSI_TOKEN_PUT_URI, HTTP_OTHER},       {WSI_TOKEN_PATCH_URI, HTTP_OTHER},
    {WSI_TOKEN_DELETE_URI, HTTP_OTHER},
};

/* Headers that libwebsockets knows by number are not found by name. */
static const struct {
    enum lws_token_indexes token;
    const char *name;
} KNOWN[] = {
    {WSI_TOKEN_HTTP_AUTHORIZATION, "authorization"},
    {WSI_TOKEN_HTTP_CONTENT_TYPE, "content-type"},
    {WSI_TOKEN_HTTP_IF_NONE_MATCH, "if-none-match"},
    {WSI_TOKEN_HTTP_USER_AGENT, "user-agent"},
    {WSI_TOKEN_HTTP_CONTENT_LENGTH, "content-length"},
    {WSI_TOKEN_HTTP_TRANSFER_ENCODING, "transfer-encoding"},
    {WSI_TOKEN_HTTP_EXPECT, "expect"},
    {WSI_TOKEN_HTTP_ACCEPT, "accept"},
    {WSI_TOKEN_ORIGIN, "origin"},
    {WSI_TOKEN_HOST, "host"},
};

#define HEADER_VALUE_MAX 4096
#define SPINS_MAX 20000 /* turns of the loop, a fraction of a second */

static void add_header(struct http_req *r, const char *name, const char *value)
{
    if (r->headers_n < HTTP_HEADERS_MAX) {
        r->headers[r->headers_n++] = (struct http_header){name, xstrdup(value)};
    }
}

static void read_headers(struct sock *s, struct http_req *r)
{
    char value[HEADER_VALUE_MAX];
    for (size_t i = 0; i < ARRAY_LEN(KNOWN); i++) {
        if (sock_header(s, (int)KNOWN[i].token, value, sizeof value) && value[0] != '\0') {
            add_header(r, KNOWN[i].name, value);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(KEPT); i++) {
        int n = (int)strlen(KEPT[i]);
        int len = lws_hdr_custom_length(s->wsi, KEPT[i], n);
        if (len > 0 && len < HEADER_VALUE_MAX &&
            lws_hdr_custom_copy(s->wsi, value, HEADER_VALUE_MAX, KEPT[i], n) > 0) {
            add_header(r, KEPT_NAMES[i], value);
        }
    }
}

/* libwebsockets has cut the query at each '&' and would join it with commas. What does not fit is left out. */
static void read_query(struct sock *s, struct http_req *r)
{
    size_t n = 0;
    for (int i = 0; n + 2 < sizeof r->query; i++) {
        size_t at = n > 0 ? n + 1 : 0;
        int len = lws_hdr_copy_fragment(s->wsi, r->query + at, (int)(sizeof r->query - at), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (len <= 0) {
            break;
        }
        if (n > 0) {
            r->query[n] = '&';
        }
        n = at + (size_t)len;
    }
    r->query[n] = '\0';
}

static void read_line(struct sock *s, struct http_req *r)
{
    char value[64];
    r->method = HTTP_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
        if (lws_hdr_total_length(s->wsi, METHODS[i].uri) > 0) {
            r->method = METHODS[i].method;
            break;
        }
    }
    read_query(s, r);
    sock_header(s, WSI_TOKEN_CONNECTION, value, sizeof value);
    bool http10 = false;
    char version[16];
    if (sock_header(s, WSI_TOKEN_HTTP, version, sizeof version)) {
        http10 = strcmp(version, "HTTP/1.0") == 0;
    }
    r->http10 = http10;
    r->keep_alive = http10 ? sv_eq_nocase(sv_of(value), SV("keep-alive"))
                           : !sv_eq_nocase(sv_of(value), SV("close"));
}

/* A caller's id is echoed and logged; otherwise we make one. */
static void name_request(struct http_req *r)
{
    sv given = http_header(r, "x-request-id");
    if (!request_id_ok(given) || !sv_copy(r->id, sizeof r->id, given)) {
        id_sortable(r->id);
    }
}

/*
 * A client that sends its next request before this one is answered: libwebsockets would tell us of those bytes in a
 * circle, so they are not read until there is something to write (it writes nothing while reading is off).
 */
static void hold(struct sock *s)
{
    if (s->pipelined && !s->held) {
        s->held = true;
        lws_rx_flow_control(s->wsi, LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
    }
}

static int finish(struct sock *s)
{
    struct http_req *r = s->req;
    bool close = r->close_after || !r->keep_alive || s->e->draining;
    s->served = true;
    s->req = NULL;
    http_free(r);
    s->body_seen = s->pipelined = false;
    s->spins = 0;
    sock_release(s);
    /* Nothing of the next request may be read before the rest of this answer is out: lws takes care. */
    if (close) {
        lws_set_timeout(s->wsi, PENDING_TIMEOUT_HTTP_CONTENT, 10);
    }
    return lws_http_transaction_completed(s->wsi) || close ? -1 : 0;
}

/* Writes an answer, or the next piece of one. Called in a callback of this very connection. */
static int flush(struct sock *s)
{
    struct http_req *r = s->req;
    if (r == NULL || r->answer.n == 0) {
        return 0;
    }
    if (r->streaming && !r->ended && out_text(&r->answer).n == 0 && r->pull != NULL) {
        r->pull(r);
    }
    sv out = out_text(&r->answer);
    bool last = !r->streaming || r->ended;
    if (out.n > 0 && lws_write(s->wsi, (unsigned char *)r->answer.p + OUT_PRE, out.n,
                               last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0) {
        return -1;
    }
    if (last) {
        return finish(s);
    }
    if (out.n > 0) {
        buf_free(&r->answer);
        r->answer = BUF_INIT(OUT_MSG_MAX);
        out_begin(&r->answer);
        r->wrote_ms = clock_mono_ms();
        lws_callback_on_writable(s->wsi); /* there may be more to pull */
    } else {
        hold(s);
    }
    return 0;
}

/* The client waits for this before it sends a large body. */
static int say_continue(struct sock *s)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char out[OUT_PRE + sizeof text];
    if (!s->req->reading || s->req->http10 || !sv_eq_nocase(http_header(s->req, "expect"), SV("100-continue"))) {
        return 0;
    }
    memcpy(out + OUT_PRE, text, sizeof text - 1);
    return lws_write(s->wsi, out + OUT_PRE, sizeof text - 1, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

int http_on_request(struct sock *s, void *in, size_t n)
{
    if (s->req != NULL) {
        return -1; /* cannot happen: one request at a time */
    }
    struct http_req *r = http_new(s->e, s->wsi, &s->peer);
    s->req = r;
    read_line(s, r);
    read_headers(s, r);
    name_request(r);
    const char *body = NULL;
    int refused = sock_gate(s, &body);
    if (refused != 0) {
        r->close_after = true;
        http_answer(r, refused, "application/json", sv_of(body), NULL);
    } else if (!sv_copy(r->path, sizeof r->path, sv_mem(in, n))) {
        r->close_after = true;
        http_error(r, 400, "invalid_request_error", "bad_request", "The request line is malformed.");
    } else {
        http_begin(r);
    }
    if (r->answer.n > 0) {
        return flush(s);
    }
    /* Answered later: our own deadlines apply, not those of the library. */
    lws_set_timeout(s->wsi, NO_PENDING_TIMEOUT, 0);
    return say_continue(s);
}

int http_on_body(struct sock *s, void *in, size_t n)
{
    if (s->req == NULL) {
        return 0;
    }
    http_body(s->req, sv_mem(in, n));
    lws_set_timeout(s->wsi, NO_PENDING_TIMEOUT, 0);
    return flush(s);
}

/* The end of the body is told a second time: bytes of the next request are there. */
static int next_is_here(struct sock *s)
{
    s->pipelined = true;
    if (s->req->answer.n == 0 || out_text(&s->req->answer).n == 0) {
        hold(s);
        return 0;
    }
    /* An answer waits for a slow reader that sends on: not for ever. */
    return ++s->spins < SPINS_MAX ? 0 : -1;
}

int http_on_body_end(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    if (s->req != NULL && s->req->reading) {
        http_dispatch(s->req);
        lws_set_timeout(s->wsi, NO_PENDING_TIMEOUT, 0);
    } else if (s->req != NULL && s->body_seen) {
        return next_is_here(s);
    }
    s->body_seen = s->req != NULL;
    return flush(s);
}

int http_on_writable(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    return flush(s);
}

int http_on_closed(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    http_free(s->req);
    s->req = NULL;
    return 0;
}
