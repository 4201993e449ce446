/*
 * http_stub.c: see http_stub.h.
 * Runs in: test_http.     Owns: its sockets and connections.
 * Never: leaves loopback, parses more than a test needs.
 * Tested in: test_http.c, by use.
 */
#include "tests/unit/common/http_stub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

static void conn_free(struct stub_conn *c)
{
    ev_io_stop(loop_ev(c->stub->loop), &c->io);
    loop_timer_stop(&c->timer);
    list_del(&c->link);
    close(c->io.fd);
    buf_free(&c->in);
    xfree(c);
}

void stub_close(struct stub_conn *c)
{
    conn_free(c);
}

void stub_reset(struct stub_conn *c)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    conn_free(c);
}

void stub_write_n(struct stub_conn *c, const void *p, size_t n)
{
    ssize_t done = send(c->io.fd, p, n, MSG_NOSIGNAL); /* short texts into an empty socket buffer */
    UNUSED(done);
}

void stub_write(struct stub_conn *c, const char *text)
{
    stub_write_n(c, text, strlen(text));
}

void stub_answer(struct stub_conn *c, int status, const char *headers, sv body)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(1024 * 1024);
    buf_printf(&b, "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n", status, headers, body.n);
    buf_sv(&b, body);
    stub_write_n(c, b.p, b.n);
}

static void on_tick(void *ctx)
{
    struct stub_conn *c = ctx;
    c->tick(c);
}

void stub_after(struct stub_conn *c, int64_t ms, void (*tick)(struct stub_conn *c))
{
    c->tick = tick;
    loop_timer_start(&c->timer, ms);
}

static size_t content_length(sv head)
{
    uint64_t n = 0;
    while (!sv_empty(head)) {
        sv line = sv_trim(sv_cut(&head, '\n'));
        sv name = sv_cut(&line, ':');
        if (sv_eq_nocase(name, SV("content-length")) && !sv_u64(sv_trim(line), &n)) {
            panic("bad content-length");
        }
    }
    return (size_t)n;
}

static void dispatch(struct stub_conn *c, sv head, sv body)
{
    struct stub *s = c->stub;
    sv line = head;
    (void)sv_cut(&line, ' ');
    sv path = sv_cut(&line, ' ');
    s->requests++;
    c->requests++;
    buf_reset(&s->last_head);
    buf_reset(&s->last_body);
    buf_sv(&s->last_head, head);
    buf_sv(&s->last_body, body);
    for (const struct stub_script *x = s->scripts; x->path; x++) {
        if (sv_eqc(path, x->path)) {
            x->run(c, buf_view(&s->last_head), buf_view(&s->last_body));
            return;
        }
    }
    stub_answer(c, 404, "", SV("no such script"));
}

static void on_conn(struct ev_loop *ev, ev_io *w, int revents)
{
    struct stub_conn *c = w->data;
    char chunk[65536 / 8];
    UNUSED(ev);
    UNUSED(revents);
    ssize_t n = recv(w->fd, chunk, sizeof chunk, 0);
    if (n <= 0) {
        conn_free(c);
        return;
    }
    buf_add(&c->in, chunk, (size_t)n);
    ptrdiff_t end = sv_find(buf_view(&c->in), SV("\r\n\r\n"));
    if (end < 0) {
        return;
    }
    size_t head_n = (size_t)end + 4;
    size_t body_n = content_length((sv){c->in.p, head_n});
    if (c->in.n < head_n + body_n) {
        return;
    }
    struct buf copy ATTR_CLEANUP(buf_free) = BUF_INIT(4u * 1024 * 1024);
    buf_add(&copy, c->in.p, head_n + body_n);
    buf_drop_front(&c->in, head_n + body_n); /* before the script, which may free c */
    dispatch(c, (sv){copy.p, head_n}, (sv){copy.p + head_n, body_n});
}

static void on_accept(struct ev_loop *ev, ev_io *w, int revents)
{
    struct stub *s = w->data;
    UNUSED(revents);
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct stub_conn *c = xcalloc(1, sizeof *c);
    c->stub = s;
    c->in = BUF_INIT(4u * 1024 * 1024);
    s->accepted++;
    list_add_tail(&s->conns, &c->link);
    loop_timer_init(&c->timer, s->loop, on_tick, c);
    ev_io_init(&c->io, on_conn, fd, EV_READ);
    c->io.data = c;
    ev_io_start(ev, &c->io);
}

void stub_start(struct stub *s, struct loop *l, const struct stub_script *scripts)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&a, len) != 0 || listen(fd, 512) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)&a, &len) != 0) {
        panic("no listening socket");
    }
    *s = (struct stub){.loop = l, .port = ntohs(a.sin_port), .scripts = scripts,
                       .last_head = BUF_INIT(65536), .last_body = BUF_INIT(4u * 1024 * 1024)};
    list_init(&s->conns);
    ev_io_init(&s->io, on_accept, fd, EV_READ);
    s->io.data = s;
    ev_io_start(loop_ev(l), &s->io);
}

void stub_stop(struct stub *s)
{
    LIST_EACH(e, &s->conns)
    {
        conn_free(CONTAINER_OF(e, struct stub_conn, link));
    }
    ev_io_stop(loop_ev(s->loop), &s->io);
    close(s->io.fd);
    buf_free(&s->last_head);
    buf_free(&s->last_body);
}
