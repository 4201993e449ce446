/*
 * loop.c: the libev loop of a worker: deferred calls, one-shot timers and the lag figure.
 * Runs in: every worker (not the supervisor).     Owns: the ev_loop and the list of deferred calls.
 * Never: blocks; runs a deferred call while the callback that asked for it is still on the stack.
 * Tested in: tests/unit/common/test_loop.c
 */
#include "common/loop.h"

#include <time.h>

#include "common/buf.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/log.h"

/* More waiting calls than this can only be a bug: each object defers at most a few times a turn. */
#define DEFER_MAX (1u << 20)

struct deferred {
    void (*fn)(void *ctx); /* NULL: cancelled */
    void *ctx;
};

struct defer_list {
    struct deferred *v;
    size_t n, cap;
};

struct loop {
    struct ev_loop *ev;
    ev_prepare prepare; /* runs the deferred calls before each sleep */
    ev_idle awake;      /* active while calls wait: the loop does not sleep */
    /* The lag figure costs no wake-up of its own: what comes first after a sleep and what comes last before the
     * next one take the time. */
    ev_check woke;
    ev_prepare sleeps;
    double woke_at;     /* monotonic seconds */
    uint32_t lag_ms;
    struct defer_list waiting, running;
    size_t running_at; /* index behind the entry of `running` that is being called */
};

/* Not clock_mono_ms: that one can be frozen by tests, and lag is about this very process. */
static double mono_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Runs what waits now; calls deferred meanwhile wait for the next turn, so descriptors get their share. */
static void run_deferred(struct loop *l)
{
    struct defer_list batch = l->waiting;
    l->waiting = l->running;
    l->waiting.n = 0;
    l->running = batch;
    for (l->running_at = 0; l->running_at < l->running.n;) {
        struct deferred d = l->running.v[l->running_at++];
        if (d.fn) {
            d.fn(d.ctx);
        }
    }
    l->running.n = 0;
    l->running_at = 0;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    struct loop *l = w->data;
    UNUSED(revents);
    if (l->waiting.n > 0) {
        run_deferred(l);
    }
    if (l->waiting.n == 0) {
        ev_idle_stop(ev, &l->awake);
    }
}

static void on_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
    /* Its being active is the point: the loop polls without sleeping and comes to on_prepare again. */
    UNUSED(ev);
    UNUSED(w);
    UNUSED(revents);
}

static void on_woke(struct ev_loop *ev, ev_check *w, int revents)
{
    struct loop *l = w->data;
    UNUSED(ev);
    UNUSED(revents);
    l->woke_at = mono_s();
    counter_add(C_loop_turns, 1);
}

static void on_sleeps(struct ev_loop *ev, ev_prepare *w, int revents)
{
    struct loop *l = w->data;
    UNUSED(ev);
    UNUSED(revents);
    log_context_end(); /* nothing is being worked on while we sleep */
    double took = mono_s() - l->woke_at;
    uint32_t ms = took < 0 ? 0 : took > 3.6e6 ? UINT32_MAX : (uint32_t)(took * 1e3);
    if (ms > l->lag_ms) {
        l->lag_ms = ms;
    }
}

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof *l);
    l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (!l->ev) {
        die(EXIT_UNAVAILABLE, "cannot create an event loop");
    }
    ev_prepare_init(&l->prepare, on_prepare);
    l->prepare.data = l;
    ev_prepare_start(l->ev, &l->prepare);
    ev_idle_init(&l->awake, on_idle);
    ev_check_init(&l->woke, on_woke);
    ev_set_priority(&l->woke, EV_MAXPRI);
    l->woke.data = l;
    ev_check_start(l->ev, &l->woke);
    ev_prepare_init(&l->sleeps, on_sleeps);
    ev_set_priority(&l->sleeps, EV_MINPRI);
    l->sleeps.data = l;
    ev_prepare_start(l->ev, &l->sleeps);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l) {
        return;
    }
    /* Deferred frees must still happen. A call that defers itself for ever is cut off. */
    for (int round = 0; l->waiting.n > 0 && round < 16; round++) {
        run_deferred(l);
    }
    ev_check_stop(l->ev, &l->woke);
    ev_prepare_stop(l->ev, &l->sleeps);
    ev_idle_stop(l->ev, &l->awake);
    ev_prepare_stop(l->ev, &l->prepare);
    ev_loop_destroy(l->ev);
    xfree(l->waiting.v);
    xfree(l->running.v);
    xfree(l);
}

struct ev_loop *loop_ev(struct loop *l)
{
    return l->ev;
}

void loop_run(struct loop *l)
{
    l->woke_at = mono_s();
    ev_run(l->ev, 0);
}

void loop_stop(struct loop *l)
{
    ev_break(l->ev, EVBREAK_ALL);
}

void loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct defer_list *q = &l->waiting;
    ASSERT(q->n < DEFER_MAX);
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        q->v = xrealloc(q->v, q->cap * sizeof *q->v);
    }
    q->v[q->n++] = (struct deferred){fn, ctx};
    ev_idle_start(l->ev, &l->awake);
}

void loop_defer_cancel(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    for (size_t i = 0; i < l->waiting.n; i++) {
        if (l->waiting.v[i].fn == fn && l->waiting.v[i].ctx == ctx) {
            l->waiting.v[i].fn = NULL;
        }
    }
    for (size_t i = l->running_at; i < l->running.n; i++) {
        if (l->running.v[i].fn == fn && l->running.v[i].ctx == ctx) {
            l->running.v[i].fn = NULL;
        }
    }
}

uint32_t loop_lag_ms(struct loop *l)
{
    uint32_t worst = l->lag_ms;
    l->lag_ms = 0;
    return worst;
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    struct loop_timer *t = w->data;
    UNUSED(ev);
    UNUSED(revents);
    t->fn(t->ctx);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    ev_timer_init(&t->ev, on_timer, 0., 0.);
    t->ev.data = t;
    t->loop = l;
    t->fn = fn;
    t->ctx = ctx;
}

void loop_timer_start(struct loop_timer *t, int64_t after_ms)
{
    ev_timer_stop(t->loop->ev, &t->ev);
    /* libev counts from the start of the turn; after a long callback (an fsync) a short timer would be
     * over before it began. */
    ev_now_update(t->loop->ev);
    ev_timer_set(&t->ev, after_ms > 0 ? (double)after_ms / 1e3 : 0., 0.);
    ev_timer_start(t->loop->ev, &t->ev);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->loop) { /* a zeroed timer was never initialised: stopping it is fine */
        ev_timer_stop(t->loop->ev, &t->ev);
    }
}

bool loop_timer_active(const struct loop_timer *t)
{
    return t->ev.active != 0; /* ev_is_active casts the const away */
}
