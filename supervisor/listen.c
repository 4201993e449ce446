/*
 * listen.c: the listening sockets. They belong to the supervisor, so that a dead edge refuses no connection.
 * Runs in: supervisor.     Owns: the descriptors.
 * Never: accepts; closes a socket before its successor is there.
 * Tested in: tests/unit/supervisor/test_listen.c, tests/scn/h3-edge.test.mjs, a2-bad-input.test.mjs
 *
 * Where they come from, in this order: a socket unit of systemd, whose addresses then count instead of edge.bind and
 * edge.port; systemd's store of descriptors, into which we put each socket that we make, so that they outlive us,
 * too; ourselves. A stored socket bears the name edge_<address>_<port>, everything else is from a socket unit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/listen_filter.h"
#include "supervisor/sup.h"

/* Connections that wait while the edge is being restarted. */
#define BACKLOG 1024
#define STORED_PREFIX "edge_"

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

static bool host_of(const union address *a, char *dst, socklen_t cap, uint16_t *port)
{
    bool v4 = a->sa.sa_family == AF_INET;

    *port = ntohs(v4 ? a->v4.sin_port : a->v6.sin6_port);
    return inet_ntop(a->sa.sa_family, v4 ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr, dst, cap) !=
           NULL;
}

/* A name for systemd's store, where colons are not allowed. The same setting gives the same name at the next start. */
static void name_of(const union address *a, char *dst, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port;

    (void)host_of(a, host, sizeof host, &port);
    snprintf(dst, cap, STORED_PREFIX "%s_%u", host, port);
    for (char *p = dst; *p != '\0'; p++) {
        *p = *p == ':' ? '-' : *p;
    }
}

static void note_url(struct sup *s)
{
    char host[INET6_ADDRSTRLEN] = "";
    union address a;
    socklen_t n = sizeof a;
    uint16_t port;

    memset(&a, 0, sizeof a);
    if (getsockname(s->listen.v[0].fd, &a.sa, &n) != 0 || !host_of(&a, host, sizeof host, &port)) {
        return;
    }
    /* "all addresses" cannot be typed into a browser. */
    bool any = a.sa.sa_family == AF_INET ? a.v4.sin_addr.s_addr == htonl(INADDR_ANY)
                                         : memcmp(&a.v6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
    if (any) {
        snprintf(host, sizeof host, "%s", a.sa.sa_family == AF_INET ? "127.0.0.1" : "::1");
    }
    bool brackets = strchr(host, ':') != NULL;
    const char *scheme = cfg_int(&s->cfg, "edge.tls.enabled") != 0 ? "https" : "http";
    snprintf(s->url, sizeof s->url, "%s://%s%s%s:%u", scheme, brackets ? "[" : "", host, brackets ? "]" : "", port);
}

/* ---- making -------------------------------------------------------------------------------------------- */

/* One that has been ours before bears a locked filter (-EPERM). */
static void guard(int fd)
{
    int rc = listen_filter(fd);

    if (rc != 0 && rc != -EPERM) {
        log_warn("accepted connections could be turned round by a broken edge: no filter on the listening socket");
    }
}

static int open_one(const char *bind_to, const union address *a, socklen_t n, struct listen_error *err)
{
    int on = 1;
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              /* So that 0.0.0.0 and :: can stand side by side. */
              (a->sa.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
              bind(fd, &a->sa, n) == 0 && listen(fd, BACKLOG) == 0;

    if (!ok) {
        err->denied = errno == EACCES;
        unsigned port = ntohs(a->sa.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
        snprintf(err->text, sizeof err->text, "%.100s port %u cannot be used: %s; choose another one: tenaza run --port N, or edge.port", bind_to,
                 port, errno == EADDRINUSE ? "another program listens there" : strerror(errno));
        fd_close(&fd);
    }
    if (ok) {
        guard(fd);
    }
    return fd;
}

static struct listen_socket *find_named(struct listen_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->v[i].name, name) == 0) {
            return &set->v[i];
        }
    }
    return NULL;
}

static bool is_managed(const struct listen_set *set)
{
    return set->n > 0 && set->v[0].managed;
}

static void close_new(const struct sup *s, struct listen_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct listen_set have = s->listen;
        if (find_named(&have, set->v[i].name) == NULL) {
            fd_close(&set->v[i].fd);
        }
    }
    set->n = 0;
}

int listen_prepare(struct sup *s, const struct cfg *c, struct listen_set *out, struct listen_error *err)
{
    const char *bind_to;

    *out = (struct listen_set){0};
    if (is_managed(&s->listen)) {
        *out = s->listen;
        return 0;
    }
    for (size_t i = 0; (bind_to = cfg_list_at(c, "edge.bind", i)) != NULL && out->n < SUP_MAX_LISTEN; i++) {
        union address a;
        struct listen_socket one = {.fd = -1};
        socklen_t n = parse_bind(bind_to, (uint16_t)cfg_int(c, "edge.port"), &a);
        if (n == 0) {
            snprintf(err->text, sizeof err->text, "edge.bind: \"%.100s\" is neither loopback nor lan nor an IP address", bind_to);
            close_new(s, out);
            return ERR_BAD;
        }
        name_of(&a, one.name, sizeof one.name);
        struct listen_socket *have = find_named(&s->listen, one.name);
        if (find_named(out, one.name) != NULL) {
            continue; /* loopback and 127.0.0.1 are the same */
        }
        one.fd = have ? have->fd : open_one(bind_to, &a, n, err);
        if (one.fd < 0) {
            close_new(s, out);
            return ERR_UNAVAILABLE;
        }
        out->v[out->n++] = one;
    }
    return 0;
}

void listen_take(struct sup *s, struct listen_set *set)
{
    for (size_t i = 0; i < s->listen.n; i++) {
        struct listen_socket *old = &s->listen.v[i];
        if (find_named(set, old->name) == NULL) {
            notify_forget_fd(old->name);
            fd_close(&old->fd);
        }
    }
    for (size_t i = 0; i < set->n; i++) {
        if (find_named(&s->listen, set->v[i].name) == NULL && !set->v[i].managed) {
            notify_keep_fd(set->v[i].name, set->v[i].fd);
        }
    }
    s->listen = *set;
    note_url(s);
}

/* ---- at the start -------------------------------------------------------------------------------------- */

static bool is_listening(int fd)
{
    return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0 || sd_is_socket(fd, AF_INET6, SOCK_STREAM, 1) > 0;
}

/* What the service manager hands over. Sockets of a unit push out the stored ones. */
static void adopt(struct sup *s)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    struct listen_set stored = {0};
    struct listen_set managed = {0};

    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        const char *name = names && names[i] ? names[i] : "";
        bool ours = strncmp(name, STORED_PREFIX, strlen(STORED_PREFIX)) == 0;
        struct listen_set *set = ours ? &stored : &managed;
        if (!is_listening(fd) || set->n == SUP_MAX_LISTEN) {
            log_warn("descriptor \"%s\" of the service manager is no listening TCP socket that we could use", name);
            fd_close(&fd);
            continue;
        }
        struct listen_socket *one = &set->v[set->n++];
        *one = (struct listen_socket){.fd = fd, .managed = !ours};
        if (ours) {
            sv_copy(one->name, sizeof one->name, sv_of(name));
        } else {
            snprintf(one->name, sizeof one->name, "unit-%d", i);
            guard(fd);
        }
    }
    for (int i = 0; i < n && names != NULL; i++) {
        xfree(names[i]);
    }
    xfree(names);
    for (size_t i = 0; managed.n > 0 && i < stored.n; i++) {
        fd_close(&stored.v[i].fd);
    }
    s->listen = managed.n > 0 ? managed : stored;
    if (managed.n > 0) {
        log_info("the listening sockets are those of the socket unit; edge.bind and edge.port do not count");
    }
}

void listen_open(struct sup *s)
{
    struct listen_set wanted;
    struct listen_error err = {0};

    adopt(s);
    int rc = listen_prepare(s, &s->cfg, &wanted, &err);
    if (rc != 0) {
        die(rc == ERR_BAD ? EXIT_CONFIG : err.denied ? EXIT_NOPERM : EXIT_UNAVAILABLE, "%s", err.text);
    }
    listen_take(s, &wanted);
}

void listen_close(struct sup *s)
{
    for (size_t i = 0; i < s->listen.n; i++) {
        fd_close(&s->listen.v[i].fd);
    }
    s->listen.n = 0;
}
