/*
 * listener.c: see listener.h.
 * Runs in: edge.     Owns: nothing else.
 * Never: accepts more than a bounded number per turn.
 * Tested in: the scenarios
 */
#include "workers/edge/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "proto/control.h"
#include "workers/edge/netrules.h"
#include "workers/edge/server.h"

#define LISTEN_MAX 8     /* sockets; two loopback families and some addresses */
#define ACCEPT_BUDGET 64 /* connections per turn, so that a flood does not starve the others */

struct accept_watch {
    ev_io io;
    struct listener *l;
};

struct listener {
    struct edge *e;
    struct accept_watch watch[LISTEN_MAX];
    size_t n;
    int spare; /* given up for a moment when descriptors run out, so that a caller can be told */
    bool running;
};

static void peer_of(const struct sockaddr_storage *a, struct peer *p)
{
    memset(p, 0, sizeof *p);
    if (a->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, p->addr, sizeof p->addr);
    } else if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, p->addr, sizeof p->addr);
    }
    p->loopback = addr_is_loopback(sv_of(p->addr));
}

static void turn_away(int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 1\r\nConnection: close\r\n\r\n";
    if (send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        log_debug("could not tell a client that there are too many connections");
    }
    fd_close(&fd);
}

/* No descriptor left: take the spare one to accept and turn away one client, then get the spare back.
 * Without it the listening socket would stay readable and the loop would spin. */
static void out_of_files(struct listener *l, int lfd)
{
    log_warn("no descriptor left for a new connection");
    fd_close(&l->spare);
    int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        turn_away(fd);
    }
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool accept_one(struct listener *l, int lfd)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof addr;
    int fd = accept4(lfd, (struct sockaddr *)&addr, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
            out_of_files(l, lfd);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    if (server_sockets(l->e->server) >= l->e->conf.max_connections) {
        turn_away(fd);
        return true;
    }
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        log_debug("cannot set TCP_NODELAY");
    }
    struct peer p;
    peer_of(&addr, &p);
    server_adopt(l->e->server, fd, &p);
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    UNUSED(loop);
    UNUSED(events);
    struct accept_watch *w = CONTAINER_OF(io, struct accept_watch, io);
    for (int i = 0; i < ACCEPT_BUDGET && accept_one(w->l, io->fd); i++) {
    }
}

static bool inspect(int fd, bool *loopback)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof addr;
    int listening = 0;
    socklen_t ln = sizeof listening;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &ln) != 0 || !listening ||
        getsockname(fd, (struct sockaddr *)&addr, &n) != 0) {
        return false;
    }
    struct peer p;
    peer_of(&addr, &p);
    *loopback = p.loopback;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

struct listener *listener_new(struct edge *e, size_t count, bool *loopback_only)
{
    struct listener *l = xcalloc(1, sizeof *l);
    l->e = e;
    l->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    *loopback_only = true;
    for (size_t i = 0; i < count && i < LISTEN_MAX; i++) {
        int fd = LISTEN_FD + (int)i;
        bool loopback = false;
        if (!inspect(fd, &loopback)) {
            log_error("descriptor %d is not a listening socket", fd);
            listener_free(l);
            return NULL;
        }
        *loopback_only = *loopback_only && loopback;
        l->watch[i].l = l;
        ev_io_init(&l->watch[i].io, on_readable, fd, EV_READ);
        l->n++;
    }
    return l;
}

void listener_start(struct listener *l)
{
    for (size_t i = 0; i < l->n && !l->running; i++) {
        ev_io_start(loop_ev(l->e->loop), &l->watch[i].io);
    }
    l->running = true;
}

void listener_stop(struct listener *l)
{
    for (size_t i = 0; i < l->n && l->running; i++) {
        ev_io_stop(loop_ev(l->e->loop), &l->watch[i].io);
    }
    l->running = false;
}

void listener_free(struct listener *l)
{
    if (l == NULL) {
        return;
    }
    listener_stop(l);
    fd_close(&l->spare);
    xfree(l);
}
