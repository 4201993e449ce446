/*
 * ctl.c: a worker's end of the control channel (fd 3).
 * Runs in: every worker.     Owns: the descriptor and the few packets that the socket did not take yet.
 * Never: blocks; loses a READY or DRAINED.
 * Tested in: tests/unit/runtime/test_worker.c
 */
#include "workers/runtime/ctl.h"

#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/sv.h"
#include "common/text.h"

enum {
    WAITING_MAX = 16, /* packets; beats are not queued, everything else is rare */
    PER_TURN = 64,    /* packets handled before other descriptors get their share */
};

struct ctl {
    struct loop *loop;
    int fd;
    ctl_fn *fn;
    void *ctx;
    ev_io in, out;
    struct ctl_packet *waiting; /* made when first needed: 650 bytes each, normally none */
    size_t waiting_n;
    bool gone;
};

static void lost(struct ctl *c)
{
    if (c->gone) {
        return;
    }
    c->gone = true;
    ev_io_stop(loop_ev(c->loop), &c->in);
    ev_io_stop(loop_ev(c->loop), &c->out);
    c->fn(c->ctx, NULL, -1);
}

static void on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
    UNUSED(ev);
    UNUSED(revents);
    ctl_drain(w->data);
}

void ctl_drain(struct ctl *c)
{
    for (int i = 0; i < PER_TURN && !c->gone; i++) {
        struct ctl_packet p;
        int fd_got, rc = ctl_recv(c->fd, &p, &fd_got);
        if (rc == ERR_UNAVAILABLE) {
            return;
        }
        if (rc == ERR_PARSE) {
            log_error("malformed packet from the supervisor");
            continue;
        }
        if (rc != OK) {
            lost(c);
            return;
        }
        c->fn(c->ctx, &p, fd_got);
    }
}

static void on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
    struct ctl *c = w->data;
    UNUSED(revents);
    while (c->waiting_n > 0) {
        int rc = ctl_send(c->fd, &c->waiting[0], -1);
        if (rc == ERR_BUSY) {
            return;
        }
        c->waiting_n--; /* sent, or nobody will ever take it: reading notices the end */
        memmove(&c->waiting[0], &c->waiting[1], c->waiting_n * sizeof c->waiting[0]);
    }
    ev_io_stop(ev, &c->out);
}

static void queue(struct ctl *c, const struct ctl_packet *p)
{
    if (p->type == CTL_BEAT) {
        return;
    }
    if (!c->waiting) {
        c->waiting = xcalloc(WAITING_MAX, sizeof *c->waiting);
    }
    if (c->waiting_n == WAITING_MAX) {
        log_warn("the supervisor does not read: %s is lost", ctl_name(p->type));
        return;
    }
    c->waiting[c->waiting_n++] = *p;
    ev_io_start(loop_ev(c->loop), &c->out);
}

void ctl_say(struct ctl *c, uint16_t type, uint64_t num, const char *text)
{
    if (c->gone) {
        return;
    }
    struct ctl_packet p = {.type = type, .pid = (int32_t)getpid(), .num = num};
    sv t = sv_of(text);
    t.n = utf8_cut(t, sizeof p.text - 1);
    (void)sv_copy(p.text, sizeof p.text, t);
    if (c->waiting_n > 0 || ctl_send(c->fd, &p, -1) == ERR_BUSY) {
        queue(c, &p);
    }
}

struct ctl *ctl_new(struct loop *l, int fd, ctl_fn *fn, void *ctx)
{
    struct ctl *c = xcalloc(1, sizeof *c);
    c->loop = l;
    c->fd = fd;
    c->fn = fn;
    c->ctx = ctx;
    ev_io_init(&c->in, on_readable, fd, EV_READ);
    c->in.data = c;
    ev_io_init(&c->out, on_writable, fd, EV_WRITE);
    c->out.data = c;
    ev_io_start(loop_ev(l), &c->in);
    return c;
}

void ctl_free(struct ctl *c)
{
    if (!c) {
        return;
    }
    ev_io_stop(loop_ev(c->loop), &c->in);
    ev_io_stop(loop_ev(c->loop), &c->out);
    (void)close(c->fd);
    xfree(c->waiting);
    xfree(c);
}
