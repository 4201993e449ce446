/*
 * http.c: HTTP client requests on libcurl's multi_socket interface inside the libev loop.
 * Runs in: agent, chan.     Owns: the multi handle, its socket watchers and the transfers.
 * Never: follows redirects, speaks anything but http and https, repeats a request that may have been acted
 *        on, logs a URL's query or a header value.
 * Tested in: tests/unit/common/test_http.c
 *
 * What may not be done inside a curl callback (removing a handle, calling on_done) is done when
 * curl_multi_socket_action has returned, or deferred to the end of the turn.
 */
#include "common/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <strings.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http_guard.h"
#include "common/map.h"

#define CONNECT_MS 10000
#define IDLE_MS 120000
#define BODY_MAX 1048576u
#define HEADERS_MAX 262144u
#define RETRY_AFTER_MAX_S INT64_C(86400) /* a day */
/* Connections kept for reuse, and open at once to one host; more requests wait inside curl. */
#define CACHED_CONNECTIONS 64L
#define HOST_CONNECTIONS 128L
/* Servers close idle connections after 60 s and more; a younger one is rarely stale. */
#define REUSE_AGE_S 55L

struct http_client {
    struct loop *loop;
    CURLM *multi;
    ev_timer timer;
    struct list reqs;
    int depth;    /* inside a curl call or a callback of a request */
    bool closing; /* http_client_free was called */
    bool reaping; /* a deferred reap is waiting */
};

/* Why we ended a transfer ourselves; the first reason stays. */
enum stop { STOP_NONE, STOP_CANCEL, STOP_TOO_BIG, STOP_IDLE, STOP_BLOCKED, STOP_REPEAT, STOP_BAD };

struct http_req {
    struct list link;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    http_data_fn *on_data;
    http_done_fn *on_done;
    void *ctx;
    struct loop_timer idle;
    int64_t idle_ms, last_rx_ms;
    curl_off_t uploaded; /* at the last look of the idle timer */
    size_t max_body, received, header_bytes;
    struct buf body;
    int64_t retry_after_ms;
    enum stop stop;
    bool allow_private, repeatable, added;
    bool sent; /* a connection stood and the request was about to be written to it */
};

struct http_sock {
    ev_io io;
    struct http_client *client;
};

/* ---- the end of a request ------------------------------------------------------------------- */

static const struct {
    enum stop stop;
    const char *phrase;
} STOP_PHRASES[] = {
    {STOP_CANCEL, "cancelled"},
    {STOP_TOO_BIG, "the answer is larger than the limit"},
    {STOP_IDLE, "no data for too long"},
    {STOP_BLOCKED, "the address is private; only public addresses are allowed here"},
    {STOP_REPEAT, "the connection was closed without an answer"},
    {STOP_BAD, "malformed request header"},
};

static const struct {
    CURLcode code;
    const char *phrase;
} CURL_PHRASES[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "the host name cannot be resolved"},
    {CURLE_COULDNT_RESOLVE_PROXY, "the proxy's name cannot be resolved"},
    {CURLE_URL_MALFORMAT, "not a usable URL"},
    {CURLE_SSL_CONNECT_ERROR, "the TLS handshake failed"},
    {CURLE_PEER_FAILED_VERIFICATION, "the server's TLS certificate is not trusted"},
    {CURLE_GOT_NOTHING, "the connection was closed without an answer"},
    {CURLE_PARTIAL_FILE, "the answer broke off"},
    {CURLE_RECV_ERROR, "the connection broke"},
    {CURLE_SEND_ERROR, "the connection broke while sending"},
    {CURLE_HTTP2, "HTTP/2 protocol error"},
    {CURLE_HTTP2_STREAM, "the answer broke off"},
    {CURLE_WEIRD_SERVER_REPLY, "the answer is not HTTP"},
};

static const char *phrase_of(const struct http_req *r, CURLcode code)
{
    for (size_t i = 0; i < ARRAY_LEN(STOP_PHRASES); i++) {
        if (r->stop == STOP_PHRASES[i].stop) {
            return STOP_PHRASES[i].phrase;
        }
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return r->sent ? "no answer in time" : "no connection in time";
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {
        return r->sent ? "the answer is not HTTP" : "not a usable URL";
    }
    long os_error = 0;
    curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_error);
    if (code == CURLE_COULDNT_CONNECT) {
        return os_error == ECONNREFUSED ? "connection refused" : "no connection to the server";
    }
    for (size_t i = 0; i < ARRAY_LEN(CURL_PHRASES); i++) {
        if (code == CURL_PHRASES[i].code) {
            return CURL_PHRASES[i].phrase;
        }
    }
    return curl_easy_strerror(code);
}

static bool left_us(const struct http_req *r)
{
    long bytes = 0;
    curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return r->sent && bytes > 0;
}

static enum http_fail fail_of(const struct http_req *r, CURLcode code)
{
    if (r->stop == STOP_CANCEL) {
        return HTTP_CANCELLED;
    }
    if (r->stop == STOP_TOO_BIG) {
        return HTTP_TOO_BIG;
    }
    if (code == CURLE_OK && r->stop == STOP_NONE) {
        return HTTP_OK;
    }
    return left_us(r) ? HTTP_UNKNOWN : HTTP_NOT_SENT;
}

/* Takes the request apart; calls on_done. Never from inside a curl callback. */
static void complete(struct http_req *r, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    struct http_result res = {
        .fail = fail_of(r, code),
        .status = (int)status,
        .retry_after_ms = r->retry_after_ms,
        .body = buf_view(&r->body),
    };
    res.error = res.fail == HTTP_OK ? "" : phrase_of(r, code);
    loop_timer_stop(&r->idle);
    list_del(&r->link);
    struct http_client *c = r->client;
    c->depth++;
    if (r->added) {
        curl_multi_remove_handle(c->multi, r->easy);
    }
    r->on_done(r->ctx, &res);
    c->depth--;
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    buf_free(&r->body);
    xfree(r);
}

static void client_destroy(struct http_client *c)
{
    c->reaping = true; /* a request that on_done starts now is ended by this very loop */
    while (!list_empty(&c->reqs)) {
        struct http_req *r = CONTAINER_OF(c->reqs.next, struct http_req, link);
        r->stop = STOP_CANCEL;
        complete(r, CURLE_ABORTED_BY_CALLBACK);
    }
    curl_multi_cleanup(c->multi); /* closes its connections, which frees the http_socks */
    ev_timer_stop(loop_ev(c->loop), &c->timer);
    xfree(c);
}

/* Ends what was stopped by us (cancel, idle, bad request). Deferred. */
static void reap(void *ctx)
{
    struct http_client *c = ctx;
    c->reaping = false;
    if (c->closing) {
        client_destroy(c);
        return;
    }
    for (bool again = true; again;) { /* on_done may stop others: start over after each */
        again = false;
        LIST_EACH(e, &c->reqs)
        {
            struct http_req *r = CONTAINER_OF(e, struct http_req, link);
            if (r->stop != STOP_NONE) {
                complete(r, CURLE_ABORTED_BY_CALLBACK);
                again = !c->closing;
                break;
            }
        }
    }
}

static void stop(struct http_req *r, enum stop why)
{
    struct http_client *c = r->client;
    if (r->stop == STOP_NONE) {
        r->stop = why;
    }
    if (!c->reaping) {
        c->reaping = true;
        loop_defer(c->loop, reap, c);
    }
}

/* ---- curl inside the loop -------------------------------------------------------------------- */

static void collect_finished(struct http_client *c)
{
    int left;
    CURLMsg *m;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (m->msg == CURLMSG_DONE) {
            struct http_req *r = NULL;
            CURLcode code = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
            complete(r, code);
        }
    }
}

static void act(struct http_client *c, curl_socket_t fd, int what)
{
    int running;
    c->depth++;
    curl_multi_socket_action(c->multi, fd, what, &running);
    collect_finished(c);
    c->depth--;
}

static void on_sock(struct ev_loop *ev, ev_io *w, int revents)
{
    struct http_client *c = ((struct http_sock *)w->data)->client;
    UNUSED(ev);
    act(c, w->fd, (revents & EV_READ ? CURL_CSELECT_IN : 0) | (revents & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    UNUSED(ev);
    UNUSED(revents);
    act(w->data, CURL_SOCKET_TIMEOUT, 0);
}

static int sock_cb(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
    struct http_client *c = ctx;
    struct http_sock *s = sock;
    struct ev_loop *ev = loop_ev(c->loop);
    UNUSED(easy);
    if (s) {
        ev_io_stop(ev, &s->io);
    }
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(c->multi, fd, NULL);
        xfree(s);
        return 0;
    }
    if (!s) {
        s = xcalloc(1, sizeof *s);
        s->client = c;
        curl_multi_assign(c->multi, fd, s);
    }
    ev_io_init(&s->io, on_sock, fd, (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    s->io.data = s;
    ev_io_start(ev, &s->io);
    return 0;
}

static int timer_cb(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_client *c = ctx;
    struct ev_loop *ev = loop_ev(c->loop);
    UNUSED(multi);
    ev_timer_stop(ev, &c->timer);
    if (timeout_ms >= 0) {
        ev_timer_set(&c->timer, (double)timeout_ms / 1e3, 0.);
        ev_timer_start(ev, &c->timer);
    }
    return 0;
}

struct http_client *http_client_new(struct loop *l)
{
    static bool ready;
    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        die(EXIT_UNAVAILABLE, "libcurl cannot be initialised");
    }
    ready = true;
    struct http_client *c = xcalloc(1, sizeof *c);
    c->loop = l;
    list_init(&c->reqs);
    ev_timer_init(&c->timer, on_timer, 0., 0.);
    c->timer.data = c;
    c->multi = curl_multi_init();
    if (!c->multi) {
        die(EXIT_TEMPFAIL, "no memory for libcurl");
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, sock_cb);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_cb);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, CACHED_CONNECTIONS);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c || c->closing) {
        return;
    }
    c->closing = true;
    if (c->depth == 0) {
        loop_defer_cancel(c->loop, reap, c);
        client_destroy(c);
    } else if (!c->reaping) { /* from inside a callback of this client: when the stack is clear */
        c->reaping = true;
        loop_defer(c->loop, reap, c);
    }
}

/* ---- callbacks of one transfer ---------------------------------------------------------------- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct http_req *r = ctx;
    n *= size;
    if (r->stop != STOP_NONE) {
        return CURL_WRITEFUNC_ERROR;
    }
    r->last_rx_ms = clock_mono_ms();
    if (n > r->max_body - r->received) {
        r->stop = STOP_TOO_BIG; /* our error ends the transfer; no reaping needed */
        return CURL_WRITEFUNC_ERROR;
    }
    r->received += n;
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (r->on_data && status >= 200 && status <= 299) {
        r->on_data(r->ctx, (sv){p, n});
        return r->stop == STOP_NONE ? n : CURL_WRITEFUNC_ERROR; /* on_data may have cancelled */
    }
    return buf_add(&r->body, p, n) ? n : CURL_WRITEFUNC_ERROR;
}

/* Seconds or an HTTP date (RFC 9110 10.2.3); retry-after-ms is what some model servers add. */
static int64_t retry_after(sv name, sv value)
{
    uint64_t n;
    if (sv_eq_nocase(name, SV("retry-after-ms"))) {
        return sv_u64(value, &n) && n <= (uint64_t)RETRY_AFTER_MAX_S * 1000 ? (int64_t)n : -1;
    }
    if (!sv_eq_nocase(name, SV("retry-after"))) {
        return -1;
    }
    if (sv_u64(value, &n)) {
        return (int64_t)(n < RETRY_AFTER_MAX_S ? n : RETRY_AFTER_MAX_S) * 1000;
    }
    char date[64];
    time_t when = sv_copy(date, sizeof date, value) ? curl_getdate(date, NULL) : -1;
    if (when < 0) {
        return -1;
    }
    int64_t ms = (int64_t)when * 1000 - clock_real_ms();
    return ms < 0 ? 0 : ms > RETRY_AFTER_MAX_S * 1000 ? RETRY_AFTER_MAX_S * 1000 : ms;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): curl gives the type */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct http_req *r = ctx;
    n *= size;
    r->last_rx_ms = clock_mono_ms();
    r->header_bytes += n;
    if (r->header_bytes > HEADERS_MAX) {
        r->stop = STOP_TOO_BIG;
        return 0;
    }
    sv line = {p, n};
    if (sv_starts(line, SV("HTTP/"))) {
        r->retry_after_ms = -1; /* headers of an interim answer do not count */
        return n;
    }
    if (sv_chr(line, ':') > 0) {
        sv name = sv_cut(&line, ':');
        int64_t ms = retry_after(name, sv_trim(line));
        if (ms >= 0) {
            r->retry_after_ms = ms;
        }
    }
    return n;
}

/*
 * The connection stands and the request is about to be written. A second call means that curl found a
 * reused connection closed and wants to write it again: right if nothing left us or if the method may be
 * repeated; otherwise the outcome is unknown and the caller decides.
 */
/* NOLINTNEXTLINE(readability-non-const-parameter): curl gives the type */
static int on_prereq(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct http_req *r = ctx;
    UNUSED(local_ip);
    UNUSED(port);
    UNUSED(local_port);
    /* The open-socket guard does not see reused connections, which another request may have opened. */
    if (!r->allow_private && http_guard_private_text(ip)) {
        r->stop = STOP_BLOCKED;
        return CURL_PREREQFUNC_ABORT;
    }
    if (left_us(r) && !r->repeatable) {
        r->stop = STOP_REPEAT;
        return CURL_PREREQFUNC_ABORT;
    }
    if (!r->sent) {
        r->sent = true;
        r->last_rx_ms = clock_mono_ms();
        loop_timer_start(&r->idle, r->idle_ms);
    }
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t open_guarded(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_req *r = ctx;
    UNUSED(purpose);
    if (http_guard_private(&a->addr)) {
        r->stop = STOP_BLOCKED;
        return CURL_SOCKET_BAD;
    }
    r->stop = r->stop == STOP_BLOCKED ? STOP_NONE : r->stop; /* a later address of the name is public */
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* Only looks at times: re-arming on each byte would cost more than the transfer. */
static void on_idle(void *ctx)
{
    struct http_req *r = ctx;
    curl_off_t up = 0;
    curl_easy_getinfo(r->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    int64_t quiet = clock_mono_ms() - r->last_rx_ms;
    if (up != r->uploaded) {
        r->uploaded = up;
        quiet = 0;
    }
    if (quiet < r->idle_ms) {
        loop_timer_start(&r->idle, r->idle_ms - quiet);
    } else {
        stop(r, STOP_IDLE);
    }
}

/* ---- starting ---------------------------------------------------------------------------------- */

static bool add_headers(struct http_req *r, const char *const *h)
{
    for (; h && *h; h++) {
        if (strpbrk(*h, "\r\n") || !strchr(*h, ':')) {
            return false;
        }
        r->headers = curl_slist_append(r->headers, *h);
    }
    r->headers = curl_slist_append(r->headers, "Expect:"); /* no extra round trip before large bodies */
    return r->headers != NULL;
}

static void set_method(struct http_req *r, const struct http_opts *o)
{
    const char *m = o->method ? o->method : "GET";
    r->repeatable = strcmp(m, "GET") == 0 || strcmp(m, "HEAD") == 0;
    if (strcmp(m, "HEAD") == 0) {
        curl_easy_setopt(r->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (strcmp(m, "POST") == 0 || o->body.n > 0) {
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.n);
        curl_easy_setopt(r->easy, CURLOPT_COPYPOSTFIELDS, o->body.p ? o->body.p : "");
    }
    if (strcmp(m, "POST") != 0 && strcmp(m, "GET") != 0) {
        curl_easy_setopt(r->easy, CURLOPT_CUSTOMREQUEST, m);
    }
}

static void set_options(struct http_req *r, const struct http_opts *o)
{
    CURL *e = r->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, r);
    curl_easy_setopt(e, CURLOPT_URL, o->url);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* ending a transfer does not wait for its resolver thread */
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "tenaza/" TENAZA_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, REUSE_AGE_S);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connect_ms > 0 ? o->connect_ms : CONNECT_MS));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(o->total_ms > 0 ? o->total_ms : 0));
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
    if (!o->allow_private) {
        curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_guarded);
        curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, r);
        curl_easy_setopt(e, CURLOPT_NOPROXY, "*"); /* behind a proxy the guard would judge the proxy */
    }
}

struct http_req *http_start(struct http_client *c, const struct http_opts *o, http_data_fn *on_data,
                            http_done_fn *on_done, void *ctx)
{
    struct http_req *r = xcalloc(1, sizeof *r);
    r->client = c;
    r->on_data = on_data;
    r->on_done = on_done;
    r->ctx = ctx;
    r->retry_after_ms = -1;
    r->idle_ms = o->idle_ms > 0 ? o->idle_ms : IDLE_MS;
    r->max_body = o->max_body > 0 ? o->max_body : BODY_MAX;
    r->body = BUF_INIT(r->max_body);
    r->allow_private = o->allow_private;
    loop_timer_init(&r->idle, c->loop, on_idle, r);
    list_add_tail(&c->reqs, &r->link);
    r->easy = curl_easy_init();
    if (!r->easy) {
        die(EXIT_TEMPFAIL, "no memory for libcurl");
    }
    bool ok = add_headers(r, o->headers);
    set_method(r, o);
    set_options(r, o);
    if (!ok || c->closing || curl_multi_add_handle(c->multi, r->easy) != CURLM_OK) {
        stop(r, c->closing ? STOP_CANCEL : STOP_BAD);
    } else {
        r->added = true;
    }
    return r;
}

void http_cancel(struct http_req *r)
{
    stop(r, STOP_CANCEL);
}
