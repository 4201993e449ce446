/*
 * stream.c: see stream.h.
 * Runs in: channel workers.     Owns: the socket, the TLS state, unsent bytes.
 * Never: frees itself while a callback of it is running (the last step is deferred).
 * Tested in: tests/unit/chan/test_stream.c; scenario c1
 */
#include "workers/chan/stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "workers/chan/resolve.h"
#include "workers/chan/stream_tls.h"

enum phase { PH_RESOLVE, PH_CONNECT, PH_HANDSHAKE, PH_OPEN, PH_OVER };

struct stream {
    struct loop *l;
    const struct stream_ops *ops;
    void *ctx;
    char *host;
    bool tls, verify;
    char *cert_file, *key_file;
    enum phase phase;
    struct resolve *resolve;
    struct addrinfo_copy {
        struct sockaddr_storage addr;
        socklen_t len;
    } addrs[8];
    size_t addrs_n, addr_i;
    int fd;
    ev_io io;
    struct loop_timer deadline;
    struct stream_tls *t;
    struct buf out;
    uint64_t queued, left;
    bool paused, want_write;
    char why[256];
};

static void try_next(struct stream *s, const char *why);

static void watch(struct stream *s)
{
    int events = 0;
    if (s->phase == PH_CONNECT) {
        events = EV_WRITE;
    } else if (s->phase == PH_HANDSHAKE || s->phase == PH_OPEN) {
        events = (s->paused ? 0 : EV_READ) | (s->want_write || s->out.n > 0 ? EV_WRITE : 0);
    }
    if (ev_is_active(&s->io) && s->io.fd == s->fd && (s->io.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(loop_ev(s->l), &s->io);
    if (s->fd >= 0 && events) {
        ev_io_set(&s->io, s->fd, events);
        ev_io_start(loop_ev(s->l), &s->io);
    }
}

/* Ends the connection and tells the owner, who usually frees us inside. */
static void over(struct stream *s, const char *why, bool trust)
{
    if (s->phase == PH_OVER) {
        return;
    }
    s->phase = PH_OVER;
    loop_timer_stop(&s->deadline);
    ev_io_stop(loop_ev(s->l), &s->io);
    char text[256];
    if (!sv_copy(text, sizeof text, sv_sub(sv_of(why), 0, sizeof text - 1))) {
        text[0] = '\0';
    }
    s->ops->down(s->ctx, text, trust);
}

static void close_fd(struct stream *s)
{
    ev_io_stop(loop_ev(s->l), &s->io);
    stream_tls_free(s->t);
    s->t = NULL;
    fd_close(&s->fd);
}

static void opened(struct stream *s)
{
    s->phase = PH_OPEN;
    s->want_write = false;
    loop_timer_stop(&s->deadline);
    watch(s);
    s->ops->up(s->ctx);
}

static void handshake(struct stream *s)
{
    switch (stream_tls_handshake(s->t, s->why, sizeof s->why)) {
    case TLS_OK:
        opened(s);
        return;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        s->want_write = stream_tls_wants_write(s->t);
        watch(s);
        return;
    case TLS_UNTRUSTED:
        over(s, s->why, true);
        return;
    case TLS_CLOSED:
    case TLS_ERROR:
        over(s, s->why, false);
        return;
    }
}

static void connected(struct stream *s)
{
    int err = 0;
    socklen_t n = sizeof err;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0 || err != 0) {
        try_next(s, strerror(err ? err : errno));
        return;
    }
    int one = 1;
    if (setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
        one = 0; /* only a matter of speed */
    }
    if (!s->tls) {
        opened(s);
        return;
    }
    s->t = stream_tls_new(s->fd, s->host, s->verify, s->cert_file, s->key_file, s->why, sizeof s->why);
    if (!s->t) {
        over(s, s->why, true);
        return;
    }
    s->phase = PH_HANDSHAKE;
    handshake(s);
}

/* Connects to the next address of the list; `why` is what became of the one before. */
static void try_next(struct stream *s, const char *why)
{
    close_fd(s);
    while (s->addr_i < s->addrs_n) {
        const struct addrinfo_copy *a = &s->addrs[s->addr_i++];
        s->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0) {
            why = strerror(errno);
            continue;
        }
        int rc = connect(s->fd, (const struct sockaddr *)(const void *)&a->addr, a->len);
        if (rc == 0 || errno == EINPROGRESS) {
            s->phase = PH_CONNECT;
            watch(s);
            return;
        }
        why = strerror(errno);
        fd_close(&s->fd);
    }
    over(s, why, false);
}

static void on_resolved(void *ctx, const struct addrinfo *list, const char *why)
{
    struct stream *s = (struct stream *)ctx;
    s->resolve = NULL;
    for (const struct addrinfo *a = list; a && s->addrs_n < ARRAY_LEN(s->addrs); a = a->ai_next) {
        if (a->ai_addrlen <= sizeof s->addrs[0].addr) {
            memcpy(&s->addrs[s->addrs_n].addr, a->ai_addr, a->ai_addrlen);
            s->addrs[s->addrs_n++].len = a->ai_addrlen;
        }
    }
    try_next(s, why ? why : "no address");
}

/* ---- bytes ------------------------------------------------------------------------------------------- */

static ssize_t raw_write(struct stream *s, const char *p, size_t n)
{
    if (s->t) {
        return stream_tls_write(s->t, p, n);
    }
    ssize_t w = send(s->fd, p, n, MSG_NOSIGNAL);
    return w < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : w;
}

static ssize_t raw_read(struct stream *s, char *p, size_t n)
{
    if (s->t) {
        return stream_tls_read(s->t, p, n);
    }
    ssize_t r = recv(s->fd, p, n, 0);
    if (r == 0) {
        return STREAM_EOF;
    }
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : r;
}

/* false: the connection is over. */
static bool flush_out(struct stream *s)
{
    while (s->out.n > 0) {
        ssize_t w = raw_write(s, s->out.p, s->out.n);
        if (w < 0) {
            over(s, s->t ? "TLS write failed" : strerror(errno), false);
            return false;
        }
        if (w == 0) {
            break;
        }
        s->left += (uint64_t)w;
        buf_drop_front(&s->out, (size_t)w);
    }
    return true;
}

static void on_more(void *ctx);

/* Reads a bounded amount. The owner may free us in data() and down(): the memory stays until the end of the
 * turn, and the phase tells. */
static void read_some(struct stream *s)
{
    char chunk[8192];
    size_t total = 0;
    while (s->phase == PH_OPEN && !s->paused && total < STREAM_READ_MAX) {
        ssize_t r = raw_read(s, chunk, sizeof chunk);
        if (r == 0) {
            return;
        }
        if (r == STREAM_EOF) {
            over(s, "the server closed the connection", false);
            return;
        }
        if (r < 0) {
            over(s, s->t ? "TLS read failed" : strerror(errno), false);
            return;
        }
        total += (size_t)r;
        s->ops->data(s->ctx, sv_mem(chunk, (size_t)r));
    }
    if (total >= STREAM_READ_MAX && s->phase == PH_OPEN) {
        loop_defer(s->l, on_more, s); /* TLS may hold bytes that the descriptor does not show */
    }
}

static void on_more(void *ctx)
{
    struct stream *s = (struct stream *)ctx;
    if (s->phase == PH_OPEN && !s->paused) {
        read_some(s);
        if (s->phase == PH_OPEN) {
            watch(s);
        }
    }
}

static void on_io(EV_P_ ev_io *w, int revents)
{
    struct stream *s = (struct stream *)w->data;
    UNUSED(loop);
    if (s->phase == PH_CONNECT) {
        connected(s);
    } else if (s->phase == PH_HANDSHAKE) {
        handshake(s);
    } else if (s->phase == PH_OPEN) {
        if ((revents & EV_WRITE) && !flush_out(s)) {
            return;
        }
        on_more(s);
    }
}

static void on_deadline(void *ctx)
{
    struct stream *s = (struct stream *)ctx;
    over(s, s->phase == PH_HANDSHAKE ? "the TLS handshake took too long" : "no connection in time", false);
}

/* ---- owner's side ------------------------------------------------------------------------------------ */

struct stream *stream_open(struct loop *l, const struct stream_opts *o, const struct stream_ops *ops, void *ctx)
{
    struct stream *s = (struct stream *)xcalloc(1, sizeof *s);
    s->l = l;
    s->ops = ops;
    s->ctx = ctx;
    s->host = xstrdup(o->host);
    s->tls = o->tls;
    s->verify = o->verify;
    s->cert_file = o->cert_file ? xstrdup(o->cert_file) : NULL;
    s->key_file = o->key_file ? xstrdup(o->key_file) : NULL;
    s->fd = -1;
    s->out = BUF_INIT(STREAM_OUT_MAX);
    ev_init(&s->io, on_io);
    s->io.data = s;
    loop_timer_init(&s->deadline, l, on_deadline, s);
    loop_timer_start(&s->deadline, o->connect_ms);
    s->resolve = resolve_start(l, o->host, o->port, o->connect_ms, on_resolved, s);
    return s;
}

static void destroy(void *ctx)
{
    struct stream *s = (struct stream *)ctx;
    buf_free(&s->out);
    xfree(s->host);
    xfree(s->cert_file);
    xfree(s->key_file);
    xfree(s);
}

void stream_free(struct stream *s)
{
    if (!s) {
        return;
    }
    if (s->phase == PH_OPEN && s->out.n > 0 && raw_write(s, s->out.p, s->out.n) < 0) {
        buf_reset(&s->out); /* a last word that did not get through */
    }
    s->phase = PH_OVER;
    loop_timer_stop(&s->deadline);
    if (s->resolve) {
        resolve_cancel(s->resolve);
    }
    close_fd(s);
    loop_defer(s->l, destroy, s);
}

int stream_write(struct stream *s, sv bytes)
{
    if (s->phase != PH_OPEN) {
        return ERR_CLOSED;
    }
    if (bytes.n > s->out.max - s->out.n || !buf_sv(&s->out, bytes)) {
        return ERR_FULL; /* asked first: a buffer that has refused once refuses for good */
    }
    s->queued += bytes.n;
    watch(s); /* sent by the loop, so that no callback runs inside the caller */
    return OK;
}

uint64_t stream_queued(const struct stream *s)
{
    return s->queued;
}

uint64_t stream_left(const struct stream *s)
{
    return s->left;
}

void stream_pause(struct stream *s, bool on)
{
    if (s->paused == on) {
        return;
    }
    s->paused = on;
    watch(s);
    if (!on && s->phase == PH_OPEN) {
        loop_defer(s->l, on_more, s);
    }
}
