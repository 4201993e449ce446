/*
 * ws_lws.c: WebSockets between libwebsockets and conn.c.
 * Runs in: edge.     Owns: the count of sockets per address that have not logged in.
 * Never: looks into messages.
 * Tested in: the scenarios
 */
#include <libwebsockets.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "workers/edge/http.h"
#include "common/counter.h"
#include "workers/edge/pings.h"
#include "workers/edge/sock_lws.h"

_Static_assert(OUT_PRE >= LWS_PRE, "messages leave room for the frame header");

static uintptr_t waiting_of(const struct edge *e, const char *addr)
{
    return (uintptr_t)map_get(&e->waiting, sv_of(addr));
}

static void waiting_add(struct sock *s)
{
    uintptr_t n = waiting_of(s->e, s->peer.addr) + 1;
    map_put(&s->e->waiting, sv_of(s->peer.addr), (void *)n);
    s->counted = true;
}

static void waiting_drop(struct sock *s)
{
    if (!s->counted) {
        return;
    }
    s->counted = false;
    uintptr_t n = waiting_of(s->e, s->peer.addr);
    if (n > 1) {
        map_put(&s->e->waiting, sv_of(s->peer.addr), (void *)(n - 1));
    } else {
        map_del(&s->e->waiting, sv_of(s->peer.addr));
    }
}

/* An HTTP answer instead of the upgrade; 1 tells the library that we have answered. */
static int refuse(struct sock *s, int status, const char *body)
{
    char out[OUT_PRE + 1024];
    int n = snprintf(out + OUT_PRE, sizeof out - OUT_PRE,
                     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n%s",
                     status, http_reason(status), strlen(body),
                     status == 503 ? "Retry-After: 1\r\n" : "", body);
    if (n < 0 || (size_t)n >= sizeof out - OUT_PRE ||
        lws_write(s->wsi, (unsigned char *)out + OUT_PRE, (size_t)n, LWS_WRITE_HTTP_FINAL) < 0) {
        return -1;
    }
    return -1; /* the bytes are out (they fit any socket buffer): close */
}

static char *header_dup(struct sock *s, int token)
{
    char value[600];
    bool fits = sock_header(s, token, value, sizeof value);
    return xstrdup(fits ? value : "too long");
}

int ws_on_upgrade(struct sock *s, void *in, size_t n)
{
    const char *body = NULL;
    UNUSED(n);
    if (in == NULL || strcasecmp(in, "websocket") != 0) {
        return refuse(s, 400,
                      "{\"error\":{\"message\":\"Only WebSocket upgrades are supported.\","
                      "\"type\":\"invalid_request_error\",\"code\":\"bad_upgrade\"}}");
    }
    int refused = sock_gate(s, &body);
    if (refused != 0) {
        return refuse(s, refused, body);
    }
    if ((s->e->draining && !worker_hands_over(s->e->w)) || waiting_of(s->e, s->peer.addr) >= CONN_WAITING_MAX) {
        return refuse(s, 503,
                      "{\"error\":{\"message\":\"Too many connections that have not logged in.\","
                      "\"type\":\"service_unavailable\",\"code\":\"too_many_unauthenticated\"}}");
    }
    xfree(s->host);
    xfree(s->origin);
    s->host = header_dup(s, WSI_TOKEN_HOST);
    s->origin = header_dup(s, WSI_TOKEN_ORIGIN);
    if (!s->counted) {
        waiting_add(s);
    }
    return 0;
}

int ws_on_open(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    s->conn = conn_new(s->e, s->wsi, &s->peer, sv_of(s->host), sv_of(s->origin));
    xfree(s->host);
    xfree(s->origin);
    s->host = s->origin = NULL;
    return 0;
}

int ws_on_receive(struct sock *s, void *in, size_t n)
{
    struct conn *c = s->conn;
    if (c == NULL || c->state == CONN_CLOSING) {
        return 0;
    }
    pings_heard(c);
    bool first = lws_is_first_fragment(s->wsi) != 0, last = lws_is_final_fragment(s->wsi) != 0;
    size_t limit = conn_limit(c);
    size_t coming = c->in.n + n + lws_remaining_packet_payload(s->wsi);
    if (coming > limit || c->swallowing) {
        conn_too_large(c, last && lws_remaining_packet_payload(s->wsi) == 0);
        return 0;
    }
    if (first && last) {
        conn_message(c, sv_mem(in, n));
    } else {
        if (c->in.n == 0) {
            c->in = BUF_INIT(CONN_MAX_AFTER_HELLO);
        }
        buf_add(&c->in, in, n);
        if (last) {
            struct buf whole = c->in;
            c->in = BUF_INIT(CONN_MAX_AFTER_HELLO);
            conn_message(c, buf_view(&whole));
            buf_free(&whole);
        }
    }
    if (c->state == CONN_READY) {
        waiting_drop(s);
    }
    return 0;
}

int ws_on_pong(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    if (s->conn != NULL) {
        pings_heard(s->conn);
    }
    return 0;
}

static int write_ping(struct sock *s)
{
    static const char payload[] = "alive?"; /* libwebsockets does not tell of pongs without one */
    unsigned char out[OUT_PRE + sizeof payload];
    s->conn->want_ping = false;
    memcpy(out + OUT_PRE, payload, sizeof payload - 1);
    return lws_write(s->wsi, out + OUT_PRE, sizeof payload - 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

int ws_on_writable(struct sock *s, void *in, size_t n)
{
    struct conn *c = s->conn;
    UNUSED(in);
    UNUSED(n);
    if (c == NULL) {
        return 0;
    }
    if (c->want_ping && c->state != CONN_CLOSING) {
        if (outq_head(&c->out) != NULL) {
            lws_callback_on_writable(s->wsi); /* one write a turn */
        }
        return write_ping(s);
    }
    c->want_write = false;
    struct out_msg *m = outq_head(&c->out);
    if (m != NULL) {
        counter_add(C_ws_out, m->n);
        int wrote = lws_write(s->wsi, (unsigned char *)m->mem + OUT_PRE, m->n, LWS_WRITE_TEXT);
        outq_pop(&c->out);
        if (wrote < 0) {
            return -1;
        }
    }
    if (c->state == CONN_READY) {
        waiting_drop(s);
    }
    if (outq_head(&c->out) != NULL) {
        c->want_write = true;
        lws_callback_on_writable(s->wsi);
    } else if (c->state == CONN_CLOSING) {
        lws_close_reason(s->wsi, (enum lws_close_status)c->close_code,
                         (unsigned char *)c->close_reason, strlen(c->close_reason));
        return -1;
    }
    return 0;
}

int ws_on_closed(struct sock *s, void *in, size_t n)
{
    UNUSED(in);
    UNUSED(n);
    waiting_drop(s);
    if (s->conn != NULL) {
        conn_free(s->conn);
        s->conn = NULL;
    }
    return 0;
}
