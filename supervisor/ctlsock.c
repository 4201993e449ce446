/*
 * ctlsock.c: <run>/ctl.sock: one request line, one JSON line as answer, as often as the client likes.
 * Runs in: supervisor.     Owns: the connections.
 * Never: parses more than a word and an argument; talks to other users.
 * Tested in: by every scenario
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/metrics.h"
#include "supervisor/sup.h"

#define REQUEST_MAX (PATH_MAX + 64)
#define ANSWER_MAX ((size_t)1024 * 1024)

static void close_client(struct client *cl)
{
    struct sup *s = cl->sup;

    if (cl->name[0] != '\0') {
        peers_announce(s, false, cl->name, cl->inc, cl->pid);
    }
    ev_io_stop(s->loop, &cl->read_io);
    ev_io_stop(s->loop, &cl->write_io);
    fd_close(&cl->fd);
    buf_free(&cl->in);
    buf_free(&cl->out);
    cl->name[0] = '\0';
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static void refuse(struct client *cl, const char *code, const char *fmt, ...) ATTR_PRINTF(3, 4);
static void refuse(struct client *cl, const char *code, const char *fmt, ...)
{
    char message[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    buf_printf(&cl->out, "{\"ok\":false,\"code\":\"%s\",\"error\":", code);
    buf_json_str(&cl->out, sv_of(message));
    buf_ch(&cl->out, '}');
}

static void do_status(struct client *cl, sv arg)
{
    UNUSED(arg);
    status_json(cl->sup, &cl->out);
}

static void do_stop(struct client *cl, sv arg)
{
    struct sup *s = cl->sup;

    log_info("asked to stop by pid %d", (int)cl->pid);
    buf_printf(&cl->out, "{\"ok\":true,\"pid\":%d}", (int)getpid());
    sup_stop(s, 0);
    if (sv_eqc(arg, "now")) {
        for (size_t i = 0; i < s->child_n; i++) {
            life_event(&s->children[i]->life, LE_KILL);
        }
    }
}

/* worker VERB NAME */
static void do_worker(struct client *cl, sv arg)
{
    char name[136];
    sv verb = sv_cut(&arg, ' ');
    sv wanted = sv_trim(arg);
    struct child *c = sv_copy(name, sizeof name, wanted) ? child_by_name(cl->sup, name) : NULL;

    if (c == NULL) {
        refuse(cl, "unknown_worker", "there is no worker %.*s", SV_ARG(wanted));
        return;
    }
    if (cl->sup->stopping) {
        refuse(cl, "stopping", "the gateway is stopping");
        return;
    }
    log_info("%s: %.*s asked for by pid %d", c->name, SV_ARG(verb), (int)cl->pid);
    int old = (int)c->pid;
    uint64_t inc = c->inc;
    const char *why = operator_do(c, verb);
    if (why != NULL) {
        refuse(cl, "refused", "%s: %s", c->name, why);
    } else {
        buf_printf(&cl->out, "{\"ok\":true,\"pid\":%d,\"inc\":%" PRIu64 "}", old, inc);
    }
}

static void do_attach(struct client *cl, sv arg)
{
    struct sup *s = cl->sup;

    UNUSED(arg);
    if (cl->name[0] == '\0') {
        snprintf(cl->name, sizeof cl->name, "cli-%d", (int)cl->pid);
        cl->inc = sup_next_inc(s);
        peers_announce(s, true, cl->name, cl->inc, cl->pid);
    }
    buf_printf(&cl->out, "{\"ok\":true,\"name\":\"%s\",\"inc\":%" PRIu64 ",\"store\":", cl->name, cl->inc);
    char endpoint[PATH_MAX + 32];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/store/sock", s->run_dir);
    buf_json_str(&cl->out, sv_of(endpoint));
    buf_str(&cl->out, ",\"bus\":");
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bus/sock", s->run_dir);
    buf_json_str(&cl->out, sv_of(endpoint));
    buf_ch(&cl->out, '}');
}

/* log-level LEVEL [WORKER] */
static void do_log_level(struct client *cl, sv arg)
{
    enum log_level level;
    char text[8], name[136];
    sv word = sv_cut(&arg, ' ');
    sv wanted = sv_trim(arg);
    struct child *only = sv_copy(name, sizeof name, wanted) ? child_by_name(cl->sup, name) : NULL;

    if (!sv_copy(text, sizeof text, word) || !log_level_parse(text, &level)) {
        refuse(cl, "bad_level", "%.*s is no level: error, warn, info, debug, trace", SV_ARG(word));
    } else if (!sv_empty(wanted) && only == NULL) {
        refuse(cl, "unknown_worker", "there is no worker %.*s", SV_ARG(wanted));
    } else {
        logctl_level(cl->sup, only, level);
        buf_str(&cl->out, "{\"ok\":true}");
    }
}

/* Status and counters, for `tenaza stats` and `tenaza top`. */
static void do_stats(struct client *cl, sv arg)
{
    UNUSED(arg);
    buf_str(&cl->out, "{\"status\":");
    status_json(cl->sup, &cl->out);
    buf_str(&cl->out, ",\"stats\":");
    metrics_json(cl->sup, &cl->out);
    buf_ch(&cl->out, '}');
}

/* reload; with "check": only says what it would do */
static void do_reload(struct client *cl, sv arg)
{
    const struct reload r = {.dry = sv_eqc(arg, "check")};

    if (cl->sup->stopping) {
        refuse(cl, "stopping", "the gateway is stopping");
    } else {
        reload_run(cl->sup, &r, &cl->out);
    }
}

/* plan [FILE] */
static void do_plan(struct client *cl, sv arg)
{
    char file[PATH_MAX];
    const struct reload r = {.dry = true, .file = sv_copy(file, sizeof file, arg) && file[0] ? file : NULL};

    reload_run(cl->sup, &r, &cl->out);
}

static const struct {
    const char *word;
    void (*fn)(struct client *cl, sv arg);
} requests[] = {
    {"status", do_status}, {"stop", do_stop},           {"worker", do_worker},
    {"attach", do_attach}, {"log-level", do_log_level},
    {"reload", do_reload}, {"plan", do_plan}, {"stats", do_stats},
};

static void answer(struct client *cl, sv line)
{
    sv arg = sv_trim(line);
    sv word = sv_cut(&arg, ' ');
    size_t before = cl->out.n;

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (sv_eqc(word, requests[i].word)) {
            requests[i].fn(cl, sv_trim(arg));
            buf_ch(&cl->out, '\n');
            return;
        }
    }
    ASSERT(cl->out.n == before);
    refuse(cl, "unknown_request", "unknown request %.*s", SV_ARG(word));
    buf_ch(&cl->out, '\n');
}

/* ---- connections --------------------------------------------------------------------------------------- */

/* Writes what it can; false: the connection is closed. */
static bool flush(struct client *cl)
{
    while (cl->out.n > 0) {
        ssize_t n = send(cl->fd, cl->out.p, cl->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            buf_drop_front(&cl->out, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            ev_io_start(cl->sup->loop, &cl->write_io);
            return true;
        } else {
            close_client(cl);
            return false;
        }
    }
    ev_io_stop(cl->sup->loop, &cl->write_io);
    if (cl->closing) {
        close_client(cl);
        return false;
    }
    return true;
}

static void on_write(struct ev_loop *loop, ev_io *io, int events)
{
    UNUSED(loop);
    UNUSED(events);
    (void)flush(io->data);
}

static void take_lines(struct client *cl)
{
    while (!cl->closing) {
        sv all = buf_view(&cl->in);
        ptrdiff_t end = sv_chr(all, '\n');
        if (end < 0) {
            break;
        }
        answer(cl, sv_sub(all, 0, (size_t)end));
        cl->closing = cl->out.full;
        buf_drop_front(&cl->in, (size_t)end + 1);
    }
    if (!cl->closing && cl->in.n >= REQUEST_MAX) {
        refuse(cl, "too_long", "a request has at most %d bytes", REQUEST_MAX);
        buf_ch(&cl->out, '\n');
        cl->closing = true;
    }
}

static void on_read(struct ev_loop *loop, ev_io *io, int events)
{
    struct client *cl = io->data;

    UNUSED(loop);
    UNUSED(events);
    char *room = buf_room(&cl->in, REQUEST_MAX - cl->in.n);
    ssize_t n = room ? recv(cl->fd, room, REQUEST_MAX - cl->in.n, MSG_DONTWAIT) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        close_client(cl);
        return;
    }
    cl->in.n += (size_t)n;
    take_lines(cl);
    (void)flush(cl);
}

/* A worker has no business here, even where it has our user: what it may ask for goes over its control channel. */
static bool is_allowed(const struct sup *s, int fd, pid_t *pid)
{
    struct ucred who;
    socklen_t n = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0) {
        return false;
    }
    *pid = who.pid;
    return (who.uid == 0 || who.uid == getuid()) && !security_is_worker(s, who.pid);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    struct sup *s = io->data;
    pid_t pid = 0;

    UNUSED(events);
    int fd = accept4(s->ctl_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    for (size_t i = 0; i < SUP_MAX_CLIENTS; i++) {
        struct client *cl = &s->clients[i];
        if (cl->fd >= 0 || !is_allowed(s, fd, &pid)) {
            continue;
        }
        *cl = (struct client){.sup = s, .fd = fd, .pid = pid, .in = BUF_INIT(REQUEST_MAX), .out = BUF_INIT(ANSWER_MAX)};
        ev_io_init(&cl->read_io, on_read, fd, EV_READ);
        ev_io_init(&cl->write_io, on_write, fd, EV_WRITE);
        cl->read_io.data = cl;
        cl->write_io.data = cl;
        ev_io_start(loop, &cl->read_io);
        return;
    }
    log_warn("control socket: pid %d refused (a worker, another user, or too many connections)", (int)pid);
    fd_close(&fd);
}

void ctlsock_open(struct sup *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/ctl.sock", s->run_dir);
    if (n < 0 || (size_t)n >= sizeof a.sun_path) {
        die(EXIT_CONFIG, "runtime directory %s: path too long for a socket", s->run_dir);
    }
    for (size_t i = 0; i < SUP_MAX_CLIENTS; i++) {
        s->clients[i].fd = -1;
    }
    /* The lock says that nobody else uses it. */
    (void)unlink(a.sun_path);
    s->ctl_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    bool ok = s->ctl_fd >= 0 && bind(s->ctl_fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(s->ctl_fd, 64) == 0;
    umask(old);
    if (!ok) {
        die(EXIT_CANTCREAT, "control socket %s: %s", a.sun_path, strerror(errno));
    }
    ev_io_init(&s->ctl_io, on_accept, s->ctl_fd, EV_READ);
    s->ctl_io.data = s;
    ev_io_start(s->loop, &s->ctl_io);
}

void ctlsock_close(struct sup *s)
{
    char path[PATH_MAX + 16];

    for (size_t i = 0; i < SUP_MAX_CLIENTS; i++) {
        if (s->clients[i].fd >= 0) {
            close_client(&s->clients[i]);
        }
    }
    ev_io_stop(s->loop, &s->ctl_io);
    snprintf(path, sizeof path, "%s/ctl.sock", s->run_dir);
    (void)unlink(path);
    fd_close(&s->ctl_fd);
}
