/*
 * outpipe.c: what workers write to stdout and stderr becomes log lines of theirs: loaders, sanitizers, libraries.
 * Runs in: supervisor.     Owns: our end of each worker's pipe.
 * Never: blocks; lets a flood cost more than READ_MAX a turn and FLOOD_BYTES a second: then the pipe stays full and
 *        only the worker that writes waits.
 * Tested in: tests/unit/supervisor/test_evidence.c
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

#define READ_MAX 16384u               /* a turn */
#define FLOOD_BYTES (256u * 1024u)    /* a second: more is left in the pipe */
#define LINES_MAX 200u                /* a second: a sanitizer's whole report; more is counted */
#define REST_MAX (256u * 1024u)       /* read after the end: a pipe holds 64 KiB */
#define SECOND_MS 1000

static void note_left_out(struct child *c)
{
    struct outpipe *y = &c->evidence.out;

    if (y->left_out > 0) {
        log_warn("%s: %llu lines of its output left out", c->name, (unsigned long long)y->left_out);
        y->left_out = 0;
    }
}

static void keep_last(struct outpipe *y, sv line)
{
    size_t need = line.n + 1;
    if (y->last_n + need > sizeof y->last) {
        /* Whole lines go, the oldest first. */
        size_t drop = y->last_n + need - sizeof y->last;
        const char *end = drop < y->last_n ? memchr(y->last + drop, '\n', y->last_n - drop) : NULL;
        drop = end ? (size_t)(end - y->last) + 1 : y->last_n;
        memmove(y->last, y->last + drop, y->last_n - drop);
        y->last_n -= drop;
    }
    memcpy(y->last + y->last_n, line.p, line.n);
    y->last[y->last_n + line.n] = '\n';
    y->last_n += need;
}

static void take_line(struct child *c)
{
    struct outpipe *y = &c->evidence.out;
    sv line = sv_trim(sv_mem(y->line, y->line_n));
    const struct log_origin from = {c->name, c->inc, (int32_t)c->pid};

    y->line_n = 0;
    if (sv_empty(line)) {
        return;
    }
    keep_last(y, line);
    y->lines_total++;
    if (y->lines >= LINES_MAX) {
        y->left_out++;
        y->left_out_total++;
        return;
    }
    y->lines++;
    log_foreign(&from, LOG_L_WARN, line);
}

static void take(struct child *c, const char *p, size_t n)
{
    struct outpipe *y = &c->evidence.out;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || y->line_n == sizeof y->line) {
            take_line(c);
        }
        if (p[i] != '\n') {
            y->line[y->line_n++] = p[i];
        }
    }
}

static void new_second(struct child *c)
{
    struct outpipe *y = &c->evidence.out;
    int64_t now = clock_mono_ms();

    if (now - y->second_ms >= SECOND_MS) {
        note_left_out(c);
        y->second_ms = now;
        y->bytes = 0;
        y->lines = 0;
    }
}

/* Up to READ_MAX bytes; 0: nothing there, or the end. */
static size_t read_some(struct child *c)
{
    struct outpipe *y = &c->evidence.out;
    char chunk[4096];
    size_t sum = 0;

    while (sum < READ_MAX && y->fd >= 0) {
        ssize_t n = read(y->fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            if (n == 0) {
                ev_io_stop(c->sup->loop, &y->io); /* nobody holds the other end any more */
            }
            break;
        }
        take(c, chunk, (size_t)n);
        sum += (size_t)n;
    }
    y->bytes += sum;
    return sum;
}

static void on_pause_over(struct ev_loop *loop, ev_timer *t, int events)
{
    struct child *c = t->data;

    UNUSED(events);
    new_second(c);
    if (c->evidence.out.fd >= 0) {
        ev_io_start(loop, &c->evidence.out.io);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    struct child *c = io->data;
    struct outpipe *y = &c->evidence.out;

    UNUSED(events);
    new_second(c);
    (void)read_some(c);
    if (y->bytes >= FLOOD_BYTES) {
        ev_io_stop(loop, io);
        ev_timer_stop(loop, &y->pause);
        ev_timer_set(&y->pause, SECOND_MS / 1000., 0.);
        ev_timer_start(loop, &y->pause);
    }
}

void outpipe_watch(struct child *c)
{
    struct outpipe *y = &c->evidence.out;

    y->line_n = 0;
    y->last_n = 0;
    y->left_out = 0;
    if (y->fd < 0) {
        return;
    }
    ev_io_init(&y->io, on_readable, y->fd, EV_READ);
    y->io.data = c;
    ev_io_start(c->sup->loop, &y->io);
    ev_init(&y->pause, on_pause_over);
    y->pause.data = c;
}

void outpipe_drain(struct child *c)
{
    struct outpipe *y = &c->evidence.out;

    for (size_t sum = 0, n = 1; n > 0 && sum < REST_MAX; sum += n) {
        n = read_some(c);
    }
    if (y->line_n > 0) {
        take_line(c);
    }
    note_left_out(c);
}

void outpipe_close(struct child *c)
{
    struct outpipe *y = &c->evidence.out;

    if (y->fd >= 0) {
        ev_io_stop(c->sup->loop, &y->io);
        ev_timer_stop(c->sup->loop, &y->pause);
        fd_close(&y->fd);
    }
}
