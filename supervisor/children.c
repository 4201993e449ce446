/*
 * children.c: the workers this configuration asks for, and what the life cycle does to them.
 * Runs in: supervisor.     Owns: the struct child of each.
 * Never: decides what follows an event (lifecycle.c does).
 * Tested in: by every scenario
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/id.h"
#include "common/log.h"
#include "supervisor/sup.h"

static struct child *child_of(struct life *l)
{
    return CONTAINER_OF(l, struct child, life);
}

/* ---- effects ------------------------------------------------------------------------------------------- */

static void fx_arm(struct life *l, int64_t after_ms);

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    struct child *c = t->data;

    UNUSED(loop);
    UNUSED(events);
    if (c->life.state == LS_STARTING && clock_mono_ms() - c->next_try_ms > SUP_STALL_MS) {
        log_warn("%s: not ready yet, but we are late ourselves; it gets its time again", c->name);
        fx_arm(&c->life, c->life.start_ms);
        return;
    }
    if (c->life.state == LS_STARTING) {
        snprintf(c->fail, sizeof c->fail, "not ready after %.1f s", (double)c->life.start_ms / 1000.);
        log_error("%s: %s, ending it", c->name, c->fail);
    }
    life_event(&c->life, LE_DEADLINE);
}

static void fx_arm(struct life *l, int64_t after_ms)
{
    struct child *c = child_of(l);

    ev_timer_stop(c->sup->loop, &c->deadline);
    ev_timer_init(&c->deadline, on_deadline, (double)after_ms / 1000., 0.);
    c->deadline.data = c;
    ev_timer_start(c->sup->loop, &c->deadline);
    c->next_try_ms = clock_mono_ms() + after_ms;
}

static void fx_disarm(struct life *l)
{
    struct child *c = child_of(l);

    ev_timer_stop(c->sup->loop, &c->deadline);
}

static void fx_spawn(struct life *l)
{
    struct child *c = child_of(l);

    c->status[0] = '\0';
    c->fail[0] = '\0';
    c->pushed = 0; /* it starts with the section of now */
    if (strays_of(c->sup, c) > 0) {
        log_error("%s: not started: processes of the one before it do not end", c->name);
        life_event(l, LE_SPAWN_FAILED);
        return;
    }
    int rc = spawn_child(c);
    if (rc != 0) {
        life_event(l, rc == ERR_GONE ? LE_NO_PROGRAM : LE_SPAWN_FAILED);
        return;
    }
    c->restarts = c->spawns - 1;
    log_debug("%s: started, pid %d", c->name, (int)c->pid);
    ctlchan_watch(c);
    reap_watch(c);
    peers_replay(c);
    if (c->kind->planes == WP_BOTH) {
        peers_announce(c->sup, true, c->peer, c->inc, c->pid);
    }
}

static void fx_drain(struct life *l)
{
    struct child *c = child_of(l);
    /* A little less than our own deadline, so that its own one comes first. */
    struct ctl_packet p = {.type = c->handover ? CTL_HANDOVER : CTL_DRAIN, .num = (uint64_t)(l->stop_ms * 9 / 10)};

    ctlchan_send(c, &p);
}

static void fx_signal(struct life *l, enum life_signal sig)
{
    struct child *c = child_of(l);

    if (c->pid == 0) {
        return;
    }
    if (sig == LSIG_KILL) {
        c->evidence.killed_by_us = true;
        (void)kill(-c->pid, SIGKILL); /* setsid made it the leader of its group */
        (void)kill(c->pid, SIGKILL);
    } else {
        (void)kill(c->pid, sig == LSIG_ABRT ? SIGABRT : SIGTERM);
    }
}

static void fx_clear(struct life *l)
{
    strays_clear(child_of(l));
}

static int64_t fx_death(struct life *l, bool counts)
{
    struct child *c = child_of(l);
    uint16_t random;

    id_random(&random, sizeof random);
    struct backoff_death d = {.now_ms = clock_mono_ms(),
                              .started_ms = c->started_ms,
                              .ready_ms = c->ready_ms,
                              .counts = counts,
                              .jitter_permille = (int)(random % 401) - 200};
    return backoff_death(&c->backoff, &c->sup->rules, &d);
}

static void fx_forget(struct life *l)
{
    backoff_forget(&child_of(l)->backoff);
}

static void fx_exhausted(struct life *l)
{
    struct child *c = child_of(l);

    bool no_program = l->event == LE_NO_PROGRAM || (l->event == LE_CLEARED && l->end == LE_EXIT_EXEC);
    int n = no_program ? snprintf(c->alarm, sizeof c->alarm, "%.300s", c->last_exit)
                       : snprintf(c->alarm, sizeof c->alarm, "died %u times within %lld s, last: %.200s",
                                  c->sup->rules.failures, (long long)(c->sup->rules.within / 1000), c->last_exit);
    if (c->kind->on_exhausted == WX_ESCALATE) {
        log_error("%s: %s; nothing works without it, giving up", c->name, c->alarm);
        sup_stop(c->sup, EXIT_INTERNAL);
        return;
    }
    snprintf(c->alarm + n, sizeof c->alarm - (size_t)n, "; next try in %d minutes, or at once: tenaza workers start %s",
             LIFE_RETRY_PARKED_MS / 60000, c->name);
    log_error("%s: %s", c->name, c->alarm);
}

static void fx_changed(struct life *l, enum life_state from)
{
    struct child *c = child_of(l);

    if (l->state == LS_READY) {
        c->alarm[0] = '\0';
        if (c->sup->ready_once) {
            log_info("%s: ready", c->name);
        }
    }
    log_trace("%s: %s -> %s", c->name, life_state_text(from), life_state_text(l->state));
    c->sup->changed = true;
}

static const struct life_effects effects = {
    .spawn = fx_spawn,   .drain = fx_drain, .signal = fx_signal,       .clear = fx_clear,
    .arm = fx_arm,     .disarm = fx_disarm, .death = fx_death,   .forget = fx_forget, .exhausted = fx_exhausted, .changed = fx_changed,
};

/* ---- the set of workers -------------------------------------------------------------------------------- */

struct child *child_add(struct sup *s, const struct cfg_worker *w)
{
    ASSERT(s->child_n < SUP_MAX_CHILDREN); /* config_read has counted */
    const struct worker_kind *kind = &worker_kinds[w->kind];
    struct child *c = xcalloc(1, sizeof *c);
    c->life = (struct life){.state = LS_IDLE, .stop_ms = kind->stop_ms, .fx = &effects};
    c->life.start_ms = cfg_int(&s->cfg, "supervisor.startTimeout");
    c->sup = s;
    c->kind = kind;
    c->account = w->account;
    c->pidfd = -1;
    c->ctl = -1;
    c->evidence.out.fd = -1;
    c->security.group = -1;
    sv_copy(c->name, sizeof c->name, sv_of(w->name));
    sv_copy(c->peer, sizeof c->peer, sv_of(w->name));
    ev_init(&c->deadline, on_deadline);
    ev_init(&c->beat, on_deadline);
    s->children[s->child_n++] = c;
    return c;
}

void children_make(struct sup *s)
{
    struct cfg_worker w;

    for (size_t i = 0; cfg_worker_at(&s->cfg, i, &w); i++) {
        child_add(s, &w);
    }
}

struct child *child_by_name(struct sup *s, const char *name)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (strcmp(s->children[i]->name, name) == 0) {
            return s->children[i];
        }
    }
    return NULL;
}

struct child *child_by_pid(struct sup *s, pid_t pid)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (s->children[i]->pid == pid) {
            return s->children[i];
        }
    }
    return NULL;
}

void child_remove(struct child *c)
{
    struct sup *s = c->sup;

    for (size_t i = 0; i < s->child_n; i++) {
        if (s->children[i] == c) {
            memmove(&s->children[i], &s->children[i + 1], (s->child_n - i - 1) * sizeof(struct child *));
            s->child_n--;
            child_free(c);
            return;
        }
    }
}

void child_free(struct child *c)
{
    ev_timer_stop(c->sup->loop, &c->deadline);
    if (c->pidfd >= 0) {
        ev_io_stop(c->sup->loop, &c->pid_io);
    }
    ctlchan_drop(c);
    strays_forget(c);
    evidence_free(c);
    fd_close(&c->pidfd);
    xfree(c);
}
