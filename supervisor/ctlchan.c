/*
 * ctlchan.c: our end of each worker's fd 3: what it reports, and what we tell it.
 * Runs in: supervisor.     Owns: packets that wait for a full socket.
 * Never: blocks; trusts a worker's text beyond showing it.
 * Tested in: tests/unit/supervisor/test_supervise.c, and by every scenario
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/metrics.h"
#include "supervisor/sup.h"

/* Packets read from one worker before others get their turn. */
#define READ_BUDGET 64
/* The store may sit in a long fsync: it may be silent for this many times supervisor.silence. */
#define STORE_PATIENCE 3

static int64_t beat_limit_ms(const struct child *c)
{
    return cfg_int(&c->sup->cfg, "supervisor.silence") * (c->kind->id == WK_store ? STORE_PATIENCE : 1);
}

static void expect_beat(struct child *c)
{
    int64_t limit = beat_limit_ms(c);

    c->beat_due_ms = clock_mono_ms() + limit;
    c->beat.repeat = (double)limit / 1000.;
    ev_timer_again(c->sup->loop, &c->beat);
}

static void on_beat_late(struct ev_loop *loop, ev_timer *t, int events)
{
    struct child *c = t->data;

    UNUSED(loop);
    UNUSED(events);
    if (clock_mono_ms() - c->beat_due_ms > SUP_STALL_MS) {
        log_warn("%s: its beat is late, but so are we; it gets its time again", c->name);
        expect_beat(c);
        return;
    }
    snprintf(c->fail, sizeof c->fail, "no sign of life for %d s", (int)(beat_limit_ms(c) / 1000));
    log_error("%s: %s, ending it", c->name, c->fail);
    life_event(&c->life, LE_BEAT_LATE);
}

static void take_text(char *dst, size_t cap, const struct ctl_packet *p)
{
    sv_copy(dst, cap, sv_mem(p->text, strnlen(p->text, sizeof p->text - 1)));
}

static void on_hello(struct child *c, const struct ctl_packet *p)
{
    if (strcmp(p->text, ctl_build_id) == 0) {
        c->hello = true;
        return;
    }
    snprintf(c->fail, sizeof c->fail, "its program is of build %.60s, the gateway of %s", p->text, ctl_build_id);
    snprintf(c->alarm, sizeof c->alarm, "%.300s: restart the gateway (tenaza stop, tenaza run), or install again", c->fail);
    log_error("%s: refused: %s", c->name, c->alarm);
    life_event(&c->life, LE_REFUSED);
}

static void on_ready(struct child *c, const struct ctl_packet *p)
{
    UNUSED(p);
    if (!c->hello) {
        return; /* refused, or no worker of ours; the deadline of the start ends it */
    }
    c->ready_ms = clock_mono_ms();
    ev_init(&c->beat, on_beat_late);
    c->beat.data = c;
    expect_beat(c);
    life_event(&c->life, LE_READY);
}

static void on_beat(struct child *c, const struct ctl_packet *p)
{
    sv text = sv_mem(p->text, strnlen(p->text, sizeof p->text));

    c->lag_ms = p->num;
    (void)sv_u64(sv_cut(&text, ' '), &c->beat_rss_kb);
    (void)sv_u64(text, &c->beat_cpu_ms);
    if (c->ready_ms != 0) {
        expect_beat(c);
    }
}

static void on_status(struct child *c, const struct ctl_packet *p)
{
    take_text(c->status, sizeof c->status, p);
    c->sup->changed = true;
}

static void on_fail(struct child *c, const struct ctl_packet *p)
{
    take_text(c->fail, sizeof c->fail, p);
}

static void on_alarm(struct child *c, const struct ctl_packet *p)
{
    take_text(c->alarm, sizeof c->alarm, p);
    c->sup->changed = true;
}

static void on_renew(struct child *c, const struct ctl_packet *p)
{
    log_info("%s: starting it again: %.*s", c->name, (int)strnlen(p->text, sizeof p->text), p->text);
    child_renew(c);
}

static void on_configured(struct child *c, const struct ctl_packet *p)
{
    UNUSED(p);
    c->pushed -= c->pushed > 0 ? 1 : 0;
    c->sup->changed = true;
}

static void on_metrics(struct child *c, const struct ctl_packet *p)
{
    if (c->kind->id == WK_edge) {
        metrics_answer(c, p->num);
    }
}

static const struct {
    uint16_t type;
    void (*fn)(struct child *c, const struct ctl_packet *p);
} handlers[] = {
    {CTL_HELLO, on_hello}, {CTL_READY, on_ready}, {CTL_BEAT, on_beat},
    {CTL_STATUS, on_status}, {CTL_FAIL, on_fail}, {CTL_ALARM, on_alarm},
    {CTL_SECURITY, security_told}, {CTL_RENEW, on_renew},
    {CTL_CONFIGURED, on_configured}, {CTL_METRICS, on_metrics},
};

static void dispatch(struct child *c, const struct ctl_packet *p)
{
    for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
        if (handlers[i].type == p->type) {
            handlers[i].fn(c, p);
            return;
        }
    }
    /* DRAINED needs no answer: the exit follows. Anything else is a newer worker's business. */
}

/* Reads up to `budget` packets. */
static void read_packets(struct child *c, int budget)
{
    struct ctl_packet p;

    while (budget-- > 0 && c->ctl >= 0) {
        int fd = -1;
        int rc = ctl_recv(c->ctl, &p, &fd);
        fd_close(&fd);
        if (rc == 0) {
            dispatch(c, &p);
        } else if (rc == ERR_UNAVAILABLE) {
            return;
        } else if (rc == ERR_CLOSED || rc == ERR_IO) {
            ev_io_stop(c->sup->loop, &c->ctl_io); /* its exit is about to be reported */
            return;
        } else {
            log_error("%s: talks nonsense on its control channel, ending it", c->name);
            ev_io_stop(c->sup->loop, &c->ctl_io);
            c->life.fx->signal(&c->life, LSIG_KILL);
            return;
        }
    }
}

static void flush(struct child *c)
{
    size_t sent = 0;

    while (sent < c->queue_n && ctl_send(c->ctl, &c->queue[sent].packet, c->queue[sent].fd) == 0) {
        fd_close(&c->queue[sent].fd);
        sent++;
    }
    c->queue_n -= sent;
    if (c->queue_n > 0) {
        memmove(c->queue, c->queue + sent, c->queue_n * sizeof *c->queue);
        return;
    }
    xfree(c->queue);
    c->queue = NULL;
    ev_io_stop(c->sup->loop, &c->ctl_io);
    ev_io_set(&c->ctl_io, c->ctl, EV_READ);
    ev_io_start(c->sup->loop, &c->ctl_io);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct child *c = io->data;

    UNUSED(loop);
    if (events & EV_READ) {
        read_packets(c, READ_BUDGET);
    }
    if ((events & EV_WRITE) && c->ctl >= 0 && c->queue_n > 0) {
        flush(c);
    }
}

void ctlchan_watch(struct child *c)
{
    ev_io_init(&c->ctl_io, on_io, c->ctl, EV_READ);
    c->ctl_io.data = c;
    ev_io_start(c->sup->loop, &c->ctl_io);
}

void ctlchan_drop(struct child *c)
{
    if (c->ctl >= 0) {
        ev_io_stop(c->sup->loop, &c->ctl_io);
    }
    ev_timer_stop(c->sup->loop, &c->beat);
    fd_close(&c->ctl);
    for (size_t i = 0; i < c->queue_n; i++) {
        fd_close(&c->queue[i].fd);
    }
    xfree(c->queue);
    c->queue = NULL;
    c->queue_n = 0;
}

void ctlchan_read_rest(struct child *c)
{
    read_packets(c, 1024);
}

void ctlchan_send(struct child *c, const struct ctl_packet *p)
{
    ctlchan_send_fd(c, p, -1);
}

void ctlchan_send_fd(struct child *c, const struct ctl_packet *p, int fd)
{
    if (c->ctl < 0) {
        fd_close(&fd);
        return;
    }
    if (c->queue_n == 0) {
        int rc = ctl_send(c->ctl, p, fd);
        if (rc != ERR_BUSY) {
            fd_close(&fd);
            return; /* sent, or nobody there any more: the exit follows */
        }
        ev_io_stop(c->sup->loop, &c->ctl_io);
        ev_io_set(&c->ctl_io, c->ctl, EV_READ | EV_WRITE);
        ev_io_start(c->sup->loop, &c->ctl_io);
    }
    if (c->queue_n == CHILD_QUEUE_MAX) {
        log_error("%s: does not read its control channel, ending it", c->name);
        c->life.fx->signal(&c->life, LSIG_KILL);
        fd_close(&fd);
        return;
    }
    /* Rare and short: grown in steps, freed when empty. */
    if (c->queue_n % 64 == 0) {
        c->queue = xrealloc(c->queue, (c->queue_n + 64) * sizeof *c->queue);
    }
    c->queue[c->queue_n++] = (struct ctl_queued){*p, fd};
}
