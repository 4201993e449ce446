/*
 * listen.c: the listening socket. It belongs to the supervisor, so that a dead edge refuses no connection.
 * Runs in: supervisor.     Owns: the descriptor.
 * Never: accepts.
 * Tested in: tests/scn/f1-kill.test.mjs, a2-bad-input.test.mjs
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "supervisor/listen_filter.h"
#include "supervisor/sup.h"

/* Connections that wait while the edge is being restarted. */
#define BACKLOG 1024

union address {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "loopback", "lan" or a literal address; a name would have to be looked up before anything runs. */
static socklen_t parse_bind(const char *bind_to, uint16_t port, union address *a)
{
    const char *text = strcmp(bind_to, "loopback") == 0 || strcmp(bind_to, "localhost") == 0 ? "127.0.0.1"
                       : strcmp(bind_to, "lan") == 0                                         ? "0.0.0.0"
                                                                                             : bind_to;

    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        return sizeof a->v4;
    }
    if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        return sizeof a->v6;
    }
    return 0;
}

static void note_url(struct sup *s, const union address *a)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->sa.sa_family == AF_INET) {
        /* "all addresses" cannot be typed into a browser. */
        bool any = a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(s->url, sizeof s->url, "http://%s:%u", any ? "127.0.0.1" : host, ntohs(a->v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(s->url, sizeof s->url, "http://[%s]:%u", host, ntohs(a->v6.sin6_port));
    }
}

void listen_open(struct sup *s)
{
    const char *bind_to = cfg_str(&s->cfg, "edge.bind");
    int port = (int)cfg_int(&s->cfg, "edge.port");
    union address a;
    socklen_t n = parse_bind(bind_to, (uint16_t)port, &a);
    int on = 1;

    if (n == 0) {
        die(EXIT_CONFIG, "edge.bind: \"%s\" is neither loopback nor lan nor an IP address", bind_to);
    }
    s->listen_fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd < 0) {
        die(EXIT_UNAVAILABLE, "no socket for %s port %d: %s", bind_to, port, strerror(errno));
    }
    (void)setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->listen_fd, &a.sa, n) != 0 || listen(s->listen_fd, BACKLOG) != 0) {
        int code = errno == EACCES ? EXIT_NOPERM : EXIT_UNAVAILABLE;
        die(code, "%s port %d cannot be used: %s; choose another one: tenaza run --port N, or edge.port", bind_to,
            port, errno == EADDRINUSE ? "another program listens there" : strerror(errno));
    }
    if (listen_filter(s->listen_fd) != 0) {
        log_warn("accepted connections could be turned round by a broken edge: no filter on the listening socket");
    }
    socklen_t len = sizeof a;
    if (getsockname(s->listen_fd, &a.sa, &len) != 0) {
        die(EXIT_UNAVAILABLE, "getsockname: %s", strerror(errno));
    }
    note_url(s, &a);
}
