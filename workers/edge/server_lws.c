/*
 * server_lws.c: the libwebsockets context on our loop, and the table from its events to our handlers.
 * Runs in: edge.     Owns: the context, the sockets.
 * Never: listens (listener.c accepts), frees a connection from inside another one's callback.
 * Tested in: the scenarios
 */
#include <libwebsockets.h>

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/counter.h"
#include "common/log.h"
#include "workers/edge/netrules.h"
#include "workers/edge/sock_lws.h"
#include "workers/edge/tls.h"

#define RX_CHUNK 2048           /* bytes handed over at a time; each WebSocket keeps such a buffer */
#define HEADERS_MAX 16384       /* http-surfaces.md 1.2: request line and headers together */
#define HEADER_POOL 256         /* requests whose headers are being read at once */
#define SPARE_FILES 128         /* descriptors besides the client connections */

struct server {
    struct edge *e;
    struct lws_context *ctx;
    struct lws_vhost *vhost;
    struct list socks;
    size_t socks_n;
};

static sock_fn on_destroy;

/* Everything that is not in this table is of no interest to us. */
static sock_fn *const HANDLERS[] = {
    [LWS_CALLBACK_HTTP] = http_on_request,
    [LWS_CALLBACK_HTTP_BODY] = http_on_body,
    [LWS_CALLBACK_HTTP_BODY_COMPLETION] = http_on_body_end,
    [LWS_CALLBACK_HTTP_WRITEABLE] = http_on_writable,
    [LWS_CALLBACK_CLOSED_HTTP] = http_on_closed,
    [LWS_CALLBACK_HTTP_CONFIRM_UPGRADE] = ws_on_upgrade,
    [LWS_CALLBACK_ESTABLISHED] = ws_on_open,
    [LWS_CALLBACK_RECEIVE] = ws_on_receive,
    [LWS_CALLBACK_RECEIVE_PONG] = ws_on_pong,
    [LWS_CALLBACK_SERVER_WRITEABLE] = ws_on_writable,
    [LWS_CALLBACK_CLOSED] = ws_on_closed,
    [LWS_CALLBACK_WSI_DESTROY] = on_destroy,
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
        struct server *s = lws_context_user(lws_get_context(wsi));
        return tls_load(user, sv_of(s->e->conf.tls_certificate), sv_of(s->e->conf.tls_key)) ? 0 : -1;
    }
    if ((size_t)reason >= ARRAY_LEN(HANDLERS) || HANDLERS[reason] == NULL || wsi == NULL) {
        return 0;
    }
    struct sock *s = lws_get_opaque_user_data(wsi);
    return s != NULL ? HANDLERS[reason](s, in, n) : 0;
}

static const struct lws_protocols PROTOCOLS[] = {
    {"tenaza", on_event, 0, RX_CHUNK, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

static void sock_free(struct sock *s)
{
    list_del(&s->all);
    s->server->socks_n--;
    counter_set(C_edge_connections, s->server->socks_n);
    http_on_closed(s, NULL, 0);
    ws_on_closed(s, NULL, 0);
    xfree(s->host);
    xfree(s->origin);
    xfree(s);
}

static int on_destroy(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    lws_set_opaque_user_data(s->wsi, NULL);
    struct edge *e = s->e;
    sock_free(s);
    edge_check_drained(e);
    return 0;
}

static void on_log(int level, const char *line)
{
    size_t n = strlen(line);
    int cut = (int)(n > 0 && line[n - 1] == '\n' ? n - 1 : n);
    if (level & LLL_ERR) {
        log_warn("libwebsockets: %.*s", cut, line);
    } else {
        log_debug("libwebsockets: %.*s", cut, line);
    }
}

/* libwebsockets makes tables as long as the descriptor limit: keep it near what we need. */
static void limit_files(size_t connections)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0) {
        return;
    }
    rlim_t want = connections + SPARE_FILES;
    lim.rlim_cur = lim.rlim_max == RLIM_INFINITY || want < lim.rlim_max ? want : lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) != 0) {
        log_warn("cannot set the limit of open files to %llu", (unsigned long long)lim.rlim_cur);
    }
}

static bool make_context(struct server *s)
{
    static const lws_retry_bo_t no_pings = {.secs_since_valid_hangup = 0}; /* pings.c does that */
    void *loops[] = {loop_ev(s->e->loop)};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = PROTOCOLS;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = loops;
    info.max_http_header_data = HEADERS_MAX;
    info.max_http_header_pool = HEADER_POOL;
    info.timeout_secs = (unsigned)(s->e->conf.header_ms / 1000);
    info.keepalive_timeout = (int)(s->e->conf.idle_ms / 1000);
    info.retry_and_idle_policy = &no_pings;
    info.vhost_name = "edge";
    info.user = s;
    if (s->e->conf.tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    }
    s->ctx = lws_create_context(&info);
    if (s->ctx == NULL) {
        return false;
    }
    s->vhost = lws_create_vhost(s->ctx, &info);
    return s->vhost != NULL;
}

struct server *server_new(struct edge *e)
{
    struct server *s = xcalloc(1, sizeof *s);
    s->e = e;
    list_init(&s->socks);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
    limit_files(e->conf.max_connections);
    if (!make_context(s)) {
        server_free(s);
        return NULL;
    }
    return s;
}

void server_free(struct server *s)
{
    if (s == NULL) {
        return;
    }
    if (s->ctx != NULL) {
        lws_context_destroy(s->ctx);
    }
    LIST_EACH(it, &s->socks)
    {
        sock_free(CONTAINER_OF(it, struct sock, all));
    }
    xfree(s);
}

void server_adopt(struct server *s, int fd, const struct peer *peer)
{
    struct sock *k = xcalloc(1, sizeof *k);
    k->server = s;
    k->e = s->e;
    k->peer = *peer;
    list_add_tail(&s->socks, &k->all);
    s->socks_n++;
    counter_set(C_edge_connections, s->socks_n);
    k->wsi = lws_adopt_socket_vhost(s->vhost, fd); /* closes fd when it fails */
    if (k->wsi == NULL) {
        sock_free(k);
        return;
    }
    lws_set_opaque_user_data(k->wsi, k);
}

void server_close_idle(struct server *s, bool fresh)
{
    LIST_EACH(it, &s->socks)
    {
        struct sock *k = CONTAINER_OF(it, struct sock, all);
        if (k->conn == NULL && k->req == NULL && (k->served || fresh)) {
            transport_kill(k->wsi);
        }
    }
}

size_t server_sockets(const struct server *s)
{
    return s->socks_n;
}

void sock_release(struct sock *s)
{
    if (s->held) {
        s->held = false;
        lws_rx_flow_control(s->wsi, 1 | LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
    }
}

void transport_want_write(void *wsi)
{
    struct sock *s = lws_get_opaque_user_data(wsi);
    if (s != NULL) {
        sock_release(s);
    }
    lws_callback_on_writable(wsi);
}

void transport_kill(void *wsi)
{
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

bool sock_header(struct sock *s, int token, char *dst, size_t cap)
{
    enum lws_token_indexes index = (enum lws_token_indexes)token;
    dst[0] = '\0';
    int n = lws_hdr_total_length(s->wsi, index);
    if (n <= 0) {
        return true;
    }
    if ((size_t)n >= cap || lws_hdr_copy(s->wsi, dst, (int)cap, index) < 0) {
        dst[0] = '\0';
        return false;
    }
    return true;
}

static bool has_custom(struct sock *s, const char *name)
{
    return lws_hdr_custom_length(s->wsi, name, (int)strlen(name)) >= 0;
}

/* Says that a proxy stands in front; we know of none that may (gateway-ws.md section 1). */
static bool is_forwarded(struct sock *s)
{
    return lws_hdr_total_length(s->wsi, WSI_TOKEN_X_FORWARDED_FOR) > 0 ||
           lws_hdr_total_length(s->wsi, WSI_TOKEN_HTTP_X_REAL_IP) > 0 ||
           has_custom(s, "x-forwarded-host:") ||
           has_custom(s, "x-forwarded-proto:") || has_custom(s, "x-forwarded-port:") ||
           has_custom(s, "forwarded:");
}

int sock_gate(struct sock *s, const char **body)
{
    char host[300];
    if (is_forwarded(s)) {
        *body = "{\"error\":{\"message\":\"The request went through a proxy that is not trusted here. "
                "Remove the forwarding headers or configure the proxy.\","
                "\"type\":\"proxy_attribution_required\",\"code\":\"proxy_attribution_required\"}}";
        return 403;
    }
    bool fits = sock_header(s, WSI_TOKEN_HOST, host, sizeof host);
    /* DNS rebinding: a page of another name must not reach a gateway that only listens on loopback. */
    if (s->e->conf.loopback_only && (!fits || (host[0] != '\0' && !host_allowed(sv_of(host), s->e->conf.hosts, s->e->conf.hosts_n)))) {
        *body = "{\"error\":{\"message\":\"This gateway answers to localhost only.\","
                "\"type\":\"invalid_request_error\",\"code\":\"host_not_allowed\"}}";
        return 421;
    }
    return 0;
}
