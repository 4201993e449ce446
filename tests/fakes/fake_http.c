/*
 * fake_http.c: see fake_http.h. One loop, no limits but the ones a test needs.
 * Runs in: fake_llm.     Owns: its listening socket and connections.
 * Never: listens on anything but loopback.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#include "tests/fakes/fake_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/map.h"

#define IN_MAX (16ul * 1024 * 1024)
#define OUT_MAX (64ul * 1024 * 1024)

struct fh_conn {
    struct list link;
    int fd;
    ev_io in_w, out_w;
    struct buf in, out;
    bool busy;      /* an answer is under way */
    bool close_out; /* close when `out` is empty */
    bool dead;      /* waiting for its deferred free */
    void *data;
    void (*gone)(void *data);
};

static struct {
    struct loop *loop;
    ev_io accept_w;
    fh_handler *fn;
    struct list conns;
} srv;

struct loop *fh_loop(void)
{
    return srv.loop;
}

void fh_attach(struct fh_conn *c, void *data, void (*gone)(void *data))
{
    c->data = data;
    c->gone = gone;
}

static void conn_free(void *ctx)
{
    struct fh_conn *c = ctx;
    list_del(&c->link);
    buf_free(&c->in);
    buf_free(&c->out);
    xfree(c);
}

/* Watchers and descriptor go now, the memory at the end of the turn: callers up the stack still look at it. */
static void conn_kill(struct fh_conn *c)
{
    if (c->dead) {
        return;
    }
    c->dead = true;
    ev_io_stop(loop_ev(srv.loop), &c->in_w);
    ev_io_stop(loop_ev(srv.loop), &c->out_w);
    close(c->fd);
    if (c->gone) {
        void (*gone)(void *) = c->gone;
        c->gone = NULL;
        gone(c->data);
    }
    loop_defer(srv.loop, conn_free, c);
}

static void flush(void *ctx)
{
    struct fh_conn *c = ctx;
    if (c->dead) {
        return;
    }
    if (c->out.n > 0) {
        ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_kill(c);
            return;
        }
        buf_drop_front(&c->out, n > 0 ? (size_t)n : 0);
    }
    if (c->out.n > 0) {
        ev_io_start(loop_ev(srv.loop), &c->out_w);
        return;
    }
    ev_io_stop(loop_ev(srv.loop), &c->out_w);
    if (c->close_out) {
        conn_kill(c);
    }
}

/* Everything written in one turn leaves in one system call. */
static void put(struct fh_conn *c, sv bytes)
{
    if (c->dead || c->close_out) {
        return;
    }
    if (c->out.n == 0) {
        loop_defer(srv.loop, flush, c);
    }
    buf_sv(&c->out, bytes);
}

void fh_raw(struct fh_conn *c, sv bytes)
{
    put(c, bytes);
}

static void put_head(struct fh_conn *c, int status, const char *headers, const char *framing)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(8192);
    buf_printf(&b, "HTTP/1.1 %d %s\r\n%s%s\r\n", status, status < 400 ? "OK" : "Error", headers, framing);
    put(c, buf_view(&b));
}

void fh_open(struct fh_conn *c, int status, const char *content_type)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
    buf_printf(&b, "Content-Type: %s\r\nCache-Control: no-cache\r\n", content_type);
    put_head(c, status, buf_cstr(&b), "Transfer-Encoding: chunked\r\n");
}

void fh_chunk(struct fh_conn *c, sv bytes)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(bytes.n + 32);
    buf_printf(&b, "%zx\r\n", bytes.n);
    buf_sv(&b, bytes);
    buf_str(&b, "\r\n");
    put(c, buf_view(&b));
}

sv fh_header(const struct fh_req *r, const char *name)
{
    sv rest = r->head;
    while (!sv_empty(rest)) {
        sv line = sv_cut(&rest, '\n');
        if (sv_chr(line, ':') > 0) {
            sv key = sv_cut(&line, ':');
            if (sv_eq_nocase(key, sv_of(name))) {
                return sv_trim(line);
            }
        }
    }
    return SV_NULL;
}

/* Handles the requests that are complete in the buffer, one at a time. */
static void serve(void *ctx)
{
    struct fh_conn *c = ctx;
    while (!c->busy && !c->dead && !c->close_out && c->in.n > 0) {
        sv all = buf_view(&c->in);
        ptrdiff_t end = sv_find(all, SV("\r\n\r\n"));
        if (end < 0) {
            return;
        }
        struct fh_req r = {.head = sv_sub(all, 0, (size_t)end + 4)};
        uint64_t length = 0;
        sv given = fh_header(&r, "content-length");
        if (given.p && (!sv_u64(given, &length) || length > IN_MAX)) {
            conn_kill(c);
            return;
        }
        size_t total = (size_t)end + 4 + (size_t)length;
        if (c->in.n < total) {
            return;
        }
        sv line = sv_cut(&r.head, '\n');
        r.method = sv_cut(&line, ' ');
        sv target = sv_cut(&line, ' ');
        r.path = sv_cut(&target, '?');
        r.body = sv_sub(all, (size_t)end + 4, (size_t)length);
        c->busy = true;
        srv.fn(c, &r);
        buf_drop_front(&c->in, total);
    }
}

static void end_answer(struct fh_conn *c)
{
    c->busy = false;
    c->gone = NULL;
    if (!c->dead) {
        loop_defer(srv.loop, serve, c); /* pipelined requests */
    }
}

void fh_end(struct fh_conn *c)
{
    put(c, SV("0\r\n\r\n"));
    end_answer(c);
}

void fh_answer(struct fh_conn *c, int status, const char *headers, sv body)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(256);
    buf_printf(&b, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
    put_head(c, status, headers, buf_cstr(&b));
    put(c, body);
    end_answer(c);
}

void fh_close(struct fh_conn *c)
{
    c->gone = NULL;
    if (!c->dead) {
        c->close_out = true;
        loop_defer(srv.loop, flush, c);
    }
}

static void on_out(struct ev_loop *ev, ev_io *w, int revents)
{
    UNUSED(ev);
    UNUSED(revents);
    flush(w->data);
}

static void on_in(struct ev_loop *ev, ev_io *w, int revents)
{
    struct fh_conn *c = w->data;
    UNUSED(ev);
    UNUSED(revents);
    char *room = buf_room(&c->in, 65536 / 4);
    ssize_t n = room ? recv(c->fd, room, 65536 / 4, 0) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        conn_kill(c);
        return;
    }
    c->in.n += (size_t)n;
    serve(c);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int revents)
{
    UNUSED(revents);
    for (int i = 0; i < 64; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0) {
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct fh_conn *c = xcalloc(1, sizeof *c);
        c->fd = fd;
        c->in = BUF_INIT(IN_MAX + 65536);
        c->out = BUF_INIT(OUT_MAX);
        list_add_tail(&srv.conns, &c->link);
        ev_io_init(&c->in_w, on_in, fd, EV_READ);
        ev_io_init(&c->out_w, on_out, fd, EV_WRITE);
        c->in_w.data = c->out_w.data = c;
        ev_io_start(ev, &c->in_w);
    }
}

uint16_t fh_listen(struct loop *l, uint16_t port, fh_handler *fn)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)(void *)&a, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&a, &len) != 0) {
        close(fd);
        return 0;
    }
    srv.loop = l;
    srv.fn = fn;
    list_init(&srv.conns);
    ev_io_init(&srv.accept_w, on_accept, fd, EV_READ);
    ev_io_start(loop_ev(l), &srv.accept_w);
    return ntohs(a.sin_port);
}

void fh_stop(void)
{
    ev_io_stop(loop_ev(srv.loop), &srv.accept_w);
    close(srv.accept_w.fd);
    LIST_EACH(e, &srv.conns)
    {
        conn_kill(CONTAINER_OF(e, struct fh_conn, link));
    }
}
