/*
 * run.c: the loop of the supervisor: signals, readiness, orderly stop in waves, incarnation numbers.
 * Runs in: supervisor.     Owns: the loop and its watchers.
 * Never: touches a worker other than through its life cycle.
 * Tested in: tests/unit/supervisor/test_supervise.c, and by every scenario
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "supervisor/sup.h"

/* How often the size of the log file is looked at, in seconds: a worker gone wild writes a gigabyte in one. */
#define LOG_CHECK_S 1.

uint64_t sup_next_inc(struct sup *s)
{
    /* Greater than every one of an earlier gateway on this state: the store remembers them in its records. */
    uint64_t now = (uint64_t)clock_real_ms();

    s->last_inc = now > s->last_inc ? now : s->last_inc + 1;
    return s->last_inc;
}

bool sup_all_ready(const struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        if (c->kind->id != WK_channel && !c->leaving && c->replaces == NULL && c->life.state != LS_READY) {
            return false;
        }
    }
    return true;
}

/*
 * It serves: what every request needs works, and nothing else is just starting for the first time. A worker that has
 * failed is shown and mended, but holds up nobody.
 */
static bool can_serve(const struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        bool required = c->kind->id == WK_store || c->kind->id == WK_bus || c->kind->id == WK_edge;
        bool first_start = c->kind->id != WK_channel && c->restarts == 0 && life_has_process(&c->life);
        if (c->life.state != LS_READY && (required || first_start)) {
            return false;
        }
    }
    return true;
}

/* ---- stopping ------------------------------------------------------------------------------------------ */

/* Stops the workers that come last in the order and still run; true: none does any more. */
static bool stop_next_wave(struct sup *s)
{
    int order = -1;

    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        if (c->life.state != LS_IDLE && c->kind->order > order) {
            order = c->kind->order;
        }
    }
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->kind->order == order && c->life.goal != GOAL_DOWN) {
            life_event(&c->life, LE_STOP);
        }
    }
    return order < 0;
}

static void kill_all(struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        life_event(&s->children[i]->life, LE_KILL);
    }
}

/* The total budget: stopGrace, then this long for SIGKILL to work. Below the 30 s of systemd with the default. */
#define LAST_S 4.

static void on_no_end(struct ev_loop *loop, ev_timer *t, int events)
{
    UNUSED(t);
    UNUSED(events);
    log_error("what is left does not even end on SIGKILL; leaving it to the system");
    ev_break(loop, EVBREAK_ALL);
}

static void on_grace_over(struct ev_loop *loop, ev_timer *t, int events)
{
    UNUSED(events);
    log_warn("not stopped in time: ending what is left");
    kill_all(t->data);
    ev_timer_stop(loop, t);
    ev_set_cb(t, on_no_end);
    ev_timer_set(t, LAST_S, 0.);
    ev_timer_start(loop, t);
}

void sup_stop(struct sup *s, int exit_code)
{
    if (s->stopping) {
        return;
    }
    s->stopping = true;
    s->changed = true;
    s->exit_code = exit_code;
    notify_stopping(s);
    ev_timer_init(&s->grace, on_grace_over, (double)cfg_int(&s->cfg, "supervisor.stopGrace") / 1000., 0.);
    s->grace.data = s;
    ev_timer_start(s->loop, &s->grace);
}

static void on_stop_signal(struct ev_loop *loop, ev_signal *sig, int events)
{
    struct sup *s = sig->data;

    UNUSED(loop);
    UNUSED(events);
    s->signals++;
    if (s->signals == 1) {
        log_info("stopping (%s); once more ends it at once", sig->signum == SIGINT ? "Ctrl-C" : "SIGTERM");
        sup_stop(s, 0);
    } else {
        kill_all(s);
    }
}

static void on_hup(struct ev_loop *loop, ev_signal *sig, int events)
{
    UNUSED(loop);
    UNUSED(events);
    struct buf answer = BUF_INIT((size_t)1024 * 1024);
    reload_run(sig->data, &(struct reload){0}, &answer);
    buf_free(&answer);
}

static void on_usr1(struct ev_loop *loop, ev_signal *sig, int events)
{
    UNUSED(loop);
    UNUSED(events);
    logctl_reopen(sig->data);
}

static void on_chld(struct ev_loop *loop, ev_signal *sig, int events)
{
    UNUSED(loop);
    UNUSED(events);
    strays_reap(sig->data);
}

/* ---- loop ---------------------------------------------------------------------------------------------- */

/* Before each sleep: what follows from changes of the workers' states. */
static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct sup *s = w->data;

    UNUSED(events);
    while (s->changed) {
        s->changed = false;
        if (s->stopping) {
            if (stop_next_wave(s)) {
                ev_break(loop, EVBREAK_ALL);
            }
        } else if (!s->ready_once && can_serve(s)) {
            s->ready_once = true;
            banner_ready(s);
            log_info("ready in %" PRId64 " ms, %s", (clock_mono_us() - s->begun_us) / 1000, s->url);
            notify_ready(s);
        } else {
            reload_turn(s);
        }
        if (s->ready_once && !s->stopping) {
            notify_status(s);
        }
    }
}

static void on_log_check(struct ev_loop *loop, ev_timer *t, int events)
{
    UNUSED(loop);
    UNUSED(events);
    dirs_log_check(t->data);
}

static void watch_signal(struct sup *s, ev_signal *w, void (*fn)(struct ev_loop *, ev_signal *, int), int signum)
{
    ev_signal_init(w, fn, signum);
    w->data = s;
    ev_signal_start(s->loop, w);
}

void loop_setup(struct sup *s)
{
    /* Not the default loop: that one reaps every child by itself. */
    s->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (s->loop == NULL) {
        die(EXIT_UNAVAILABLE, "no event loop");
    }
    watch_signal(s, &s->sig_term, on_stop_signal, SIGTERM);
    watch_signal(s, &s->sig_int, on_stop_signal, SIGINT);
    watch_signal(s, &s->sig_hup, on_hup, SIGHUP);
    watch_signal(s, &s->sig_usr1, on_usr1, SIGUSR1);
    watch_signal(s, &s->sig_chld, on_chld, SIGCHLD);
    ev_prepare_init(&s->turn, on_turn);
    s->turn.data = s;
    ev_prepare_start(s->loop, &s->turn);
    ev_init(&s->banner, NULL);
    ev_timer_init(&s->log_check, on_log_check, LOG_CHECK_S, LOG_CHECK_S);
    s->log_check.data = s;
    ev_timer_start(s->loop, &s->log_check);
}
