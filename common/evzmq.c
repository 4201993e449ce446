/*
 * evzmq.c: czmq sockets inside the libev loop, and the cure for ZeroMQ's edge-triggered descriptor.
 * Runs in: every worker and the command line.     Owns: the sockets, their watchers and options.
 * Never: blocks; leaves a message waiting while the loop sleeps; lets czmq touch signals.
 * Tested in: tests/unit/common/test_evzmq.c
 *
 * The cure (architecture.md 10 and trap 1): ZMQ_FD becomes readable once per burst of commands, and any
 * call on the socket, a send too, may consume that edge. So the io watcher only wakes the loop; a prepare
 * watcher asks ZMQ_EVENTS before every sleep and drains; an idle watcher keeps the loop awake while more
 * remains, or when a send came after this turn's question.
 */
#include "common/evzmq.h"

#include <czmq.h>
#include <errno.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/map.h"

/* architecture.md 3.2 */
#define RECONNECT_MS 20
#define RECONNECT_MAX_MS 500
/* One turn of a socket without a batch function; with one: the defaults of evzmq_set_batch. */
#define TURN_MAX 64u
#define BATCH_MAX 256u
#define TURN_US 2000
/* Routing id, header, body; anything longer is malformed and its rest is thrown away. */
#define FRAMES_MAX 3

struct evzmq {
    struct list link; /* in `live` */
    struct loop *loop;
    zsock_t *sock;
    void *handle; /* libzmq's socket below sock */
    ev_io io;
    ev_prepare prepare;
    ev_idle again;
    evzmq_recv_fn *fn;
    void *ctx;
    evzmq_batch_fn *batch_fn;
    unsigned max;
    int64_t max_us;
    unsigned asked_turn; /* ev_iteration at the last look at ZMQ_EVENTS */
    uint64_t dropped;    /* malformed messages */
    bool router, draining, closing;
};

static struct list live = {&live, &live};

/* czmq complains about sockets that are open at exit and waits for them; whoever exits early is right. */
static void close_all(void)
{
    LIST_EACH(e, &live)
    {
        struct evzmq *z = CONTAINER_OF(e, struct evzmq, link);
        zsock_set_linger(z->sock, 0);
        zsock_destroy(&z->sock);
        list_del(e);
    }
}

static void init_once(void)
{
    static bool done;
    if (done) {
        return;
    }
    done = true;
    /* Before zsys_init: signals belong to the worker, not to a library. */
    if (setenv("ZSYS_SIGHANDLER", "false", 1) != 0) {
        die(EXIT_TEMPFAIL, "cannot set ZSYS_SIGHANDLER: %s", strerror(errno));
    }
    if (!zsys_init()) { /* one io thread by default, as architecture.md 3.2 wants */
        die(EXIT_UNAVAILABLE, "cannot create a ZeroMQ context: %s", strerror(errno));
    }
    atexit(close_all); /* after czmq's own handler was registered, so it runs before that one */
}

/* "localhost:uid:gid:pid" as libzmq 4.3.4 builds it for ipc from SO_PEERCRED. */
static void read_credentials(const zmq_msg_t *frame, struct evzmq_msg *m)
{
    m->pid = m->uid = -1;
    const char *text = zmq_msg_gets(frame, "Peer-Address");
    sv rest = sv_of(text), field[4];
    size_t n = 0;
    for (; n < ARRAY_LEN(field) && !sv_empty(rest); n++) {
        field[n] = sv_cut(&rest, ':');
    }
    uint64_t uid, pid;
    if (n == 4 && sv_empty(rest) && sv_u64(field[1], &uid) && sv_u64(field[3], &pid) &&
        uid <= INT32_MAX && pid <= INT32_MAX) {
        m->uid = (int32_t)uid;
        m->pid = (int32_t)pid;
    }
}

static sv view(zmq_msg_t *frame)
{
    return sv_mem(zmq_msg_data(frame), zmq_msg_size(frame));
}

/* Reads one whole message. Returns the number of its frames (frames past the third are lost), 0 when none waits. */
static size_t receive(struct evzmq *z, zmq_msg_t frame[FRAMES_MAX])
{
    size_t n = 0;
    bool more = true;
    while (more) {
        zmq_msg_t *f = &frame[n < FRAMES_MAX ? n : FRAMES_MAX - 1];
        int rc;
        do {
            rc = zmq_msg_recv(f, z->handle, ZMQ_DONTWAIT);
        } while (rc < 0 && errno == EINTR);
        if (rc < 0) {
            /* The frames of a message arrive together, so nothing can be missing behind the first. */
            ASSERT(errno == EAGAIN && n == 0);
            return 0;
        }
        more = zmq_msg_more(f) != 0;
        n++;
    }
    return n;
}

static void hand_over(struct evzmq *z, zmq_msg_t frame[FRAMES_MAX], size_t n)
{
    size_t at = z->router ? 1 : 0;
    if (n != at + 2 || zmq_msg_size(&frame[at]) + zmq_msg_size(&frame[at + 1]) > EVZMQ_MAX_MSG) {
        z->dropped++;
        log_warn("malformed message dropped: frames=%zu dropped=%llu", n,
                 (unsigned long long)z->dropped);
        return;
    }
    struct evzmq_msg m = {.pid = -1, .uid = -1};
    if (z->router) {
        m.peer = view(&frame[0]);
        read_credentials(&frame[1], &m);
    }
    m.header = view(&frame[at]);
    m.body = view(&frame[at + 1]);
    z->fn(z->ctx, &m);
}

/* Returns true when the budget ended before the queue did. */
static bool drain(struct evzmq *z)
{
    zmq_msg_t frame[FRAMES_MAX];
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_init(&frame[i]);
    }
    int64_t until = clock_mono_us() + z->max_us;
    unsigned count = 0;
    bool more = true;
    z->draining = true;
    while (more && count < z->max && !z->closing) {
        size_t n = receive(z, frame);
        more = n > 0;
        if (more) {
            hand_over(z, frame, n);
            count++;
            if ((count & 7u) == 0 && clock_mono_us() >= until) {
                break;
            }
        }
    }
    if (count > 0 && z->batch_fn && !z->closing) {
        z->batch_fn(z->ctx);
    }
    z->draining = false;
    for (size_t i = 0; i < FRAMES_MAX; i++) {
        zmq_msg_close(&frame[i]);
    }
    return more;
}

static bool readable(struct evzmq *z)
{
    int events = 0;
    size_t len = sizeof events;
    /* A failure is EINTR: say yes, receiving tells the truth. */
    return zmq_getsockopt(z->handle, ZMQ_EVENTS, &events, &len) < 0 || (events & ZMQ_POLLIN);
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    struct evzmq *z = w->data;
    UNUSED(revents);
    z->asked_turn = ev_iteration(ev);
    bool some = readable(z);
    bool more = some && drain(z);
    if (z->closing) {
        evzmq_free(z);
    } else if (more || (some && readable(z))) { /* asked again: answers sent by the drain may have eaten an edge */
        ev_idle_start(ev, &z->again);
    } else {
        ev_idle_stop(ev, &z->again);
    }
}

static void on_io(struct ev_loop *ev, ev_io *w, int revents)
{
    UNUSED(ev);
    UNUSED(w);
    UNUSED(revents); /* waking the loop was all: on_prepare comes before the next sleep */
}

static void on_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
    UNUSED(ev);
    UNUSED(w);
    UNUSED(revents); /* keeps the loop from sleeping; on_prepare stops it */
}

static struct evzmq *make(struct loop *l, int type, int linger_ms, evzmq_recv_fn *fn, void *ctx)
{
    init_once();
    zsock_t *sock = zsock_new(type);
    if (!sock) {
        return NULL;
    }
    zsock_set_linger(sock, linger_ms);
    zsock_set_sndhwm(sock, EVZMQ_HWM);
    zsock_set_rcvhwm(sock, EVZMQ_HWM);
    zsock_set_maxmsgsize(sock, EVZMQ_MAX_MSG);
    zsock_set_reconnect_ivl(sock, RECONNECT_MS);
    zsock_set_reconnect_ivl_max(sock, RECONNECT_MAX_MS);
    if (type == ZMQ_ROUTER) {
        zsock_set_router_mandatory(sock, 1);
    }
    struct evzmq *z = xcalloc(1, sizeof *z);
    *z = (struct evzmq){.loop = l, .sock = sock, .handle = zsock_resolve(sock), .fn = fn, .ctx = ctx,
                        .max = TURN_MAX, .max_us = TURN_US, .router = type == ZMQ_ROUTER};
    list_add_tail(&live, &z->link);
    return z;
}

static void watch(struct evzmq *z)
{
    struct ev_loop *ev = loop_ev(z->loop);
    z->asked_turn = ev_iteration(ev) - 1u;
    ev_io_init(&z->io, on_io, zsock_fd(z->sock), EV_READ);
    ev_prepare_init(&z->prepare, on_prepare);
    z->prepare.data = z;
    ev_idle_init(&z->again, on_idle);
    ev_io_start(ev, &z->io);
    ev_prepare_start(ev, &z->prepare);
    ev_idle_start(ev, &z->again); /* something may wait already when the socket is made inside a prepare */
}

static void discard(struct evzmq *z)
{
    int keep = errno;
    list_del(&z->link);
    zsock_destroy(&z->sock);
    xfree(z);
    errno = keep;
}

int evzmq_router(struct loop *l, const char *endpoint, evzmq_recv_fn *fn, void *ctx,
                 struct evzmq **out)
{
    struct evzmq *z = make(l, ZMQ_ROUTER, 0, fn, ctx);
    if (!z) {
        return ERR_IO;
    }
    if (zsock_bind(z->sock, "%s", endpoint) < 0) {
        discard(z);
        return ERR_IO;
    }
    watch(z);
    *out = z;
    return OK;
}

int evzmq_dealer(struct loop *l, const char *endpoint, const char *id, int linger_ms,
                 evzmq_recv_fn *fn, void *ctx, struct evzmq **out)
{
    struct evzmq *z = make(l, ZMQ_DEALER, linger_ms, fn, ctx);
    if (!z) {
        return ERR_IO;
    }
    zsock_set_identity(z->sock, id);
    if (zsock_connect(z->sock, "%s", endpoint) < 0) {
        discard(z);
        return ERR_IO;
    }
    watch(z);
    *out = z;
    return OK;
}

void evzmq_free(struct evzmq *z)
{
    if (!z) {
        return;
    }
    if (z->draining) { /* called from a receive function: on_prepare frees it when the stack is clear */
        z->closing = true;
        return;
    }
    struct ev_loop *ev = loop_ev(z->loop);
    ev_io_stop(ev, &z->io);
    ev_prepare_stop(ev, &z->prepare);
    ev_idle_stop(ev, &z->again);
    discard(z);
}

void evzmq_set_batch(struct evzmq *z, unsigned max, int64_t max_us, evzmq_batch_fn *fn)
{
    z->max = max ? max : BATCH_MAX;
    z->max_us = max_us > 0 ? max_us : TURN_US;
    z->batch_fn = fn;
}

/* One frame. The first one decides; the others of its message cannot fail. */
static int send_frame(struct evzmq *z, sv bytes, int flags, bool first)
{
    int rc;
    do {
        rc = zmq_send(z->handle, bytes.p ? bytes.p : "", bytes.n, ZMQ_DONTWAIT | flags);
    } while (rc < 0 && errno == EINTR);
    if (rc >= 0) {
        return OK;
    }
    ASSERT(first);
    return errno == EHOSTUNREACH ? ERR_GONE : errno == EAGAIN ? ERR_BUSY : ERR_IO;
}

int evzmq_send(struct evzmq *z, sv peer, sv header, sv body)
{
    if (header.n > EVZMQ_MAX_MSG || body.n > EVZMQ_MAX_MSG - header.n) {
        return ERR_TOOBIG;
    }
    struct ev_loop *ev = loop_ev(z->loop);
    if (z->asked_turn == ev_iteration(ev) && !z->draining) {
        /* A prepare of this turn that came after ours: look again before the sleep. */
        ev_idle_start(ev, &z->again);
    }
    if (z->router) {
        int rc = send_frame(z, peer, ZMQ_SNDMORE, true);
        if (rc != OK) {
            return rc;
        }
        (void)send_frame(z, header, ZMQ_SNDMORE, false);
    } else {
        int rc = send_frame(z, header, ZMQ_SNDMORE, true);
        if (rc != OK) {
            return rc;
        }
    }
    return send_frame(z, body, 0, false);
}
