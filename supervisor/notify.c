/*
 * notify.c: what the service manager is told (sd_notify); nothing when there is none.
 * Runs in: supervisor.     Owns: nothing.
 * Never: pats the watchdog while store or bus do not work.
 * Tested in: tests/unit/supervisor/test_supervise.c
 */
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "common/clock.h"
#include "supervisor/sup.h"

void notify_ready(struct sup *s)
{
    (void)sd_notifyf(0, "READY=1\nSTATUS=ready on %s", s->url);
}

void notify_stopping(struct sup *s)
{
    /* A longer stopGrace than the manager's own limit is granted by telling it. */
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%lld",
                     (long long)(cfg_int(&s->cfg, "supervisor.stopGrace") + 5000) * 1000);
}

void notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading", (long long)clock_mono_us());
}

void notify_keep_fd(const char *name, int fd)
{
    char text[128];

    snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
    (void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void notify_forget_fd(const char *name)
{
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void notify_status(struct sup *s)
{
    size_t ready = 0;

    for (size_t i = 0; i < s->child_n; i++) {
        ready += s->children[i]->life.state == LS_READY ? 1 : 0;
    }
    (void)sd_notifyf(0, "STATUS=%zu of %zu workers ready, %s", ready, s->child_n, s->url);
}

static bool hubs_ready(const struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        if ((c->kind->id == WK_store || c->kind->id == WK_bus) && c->life.state != LS_READY) {
            return false;
        }
    }
    return true;
}

static void on_watchdog(struct ev_loop *loop, ev_timer *t, int events)
{
    UNUSED(loop);
    UNUSED(events);
    if (hubs_ready(t->data)) {
        (void)sd_notify(0, "WATCHDOG=1");
    }
}

void notify_watchdog_start(struct sup *s)
{
    uint64_t us = 0;

    ev_init(&s->watchdog, on_watchdog);
    s->watchdog.data = s;
    if (sd_watchdog_enabled(0, &us) > 0 && us > 0) {
        ev_timer_set(&s->watchdog, 0., (double)us / 1e6 / 3.);
        ev_timer_start(s->loop, &s->watchdog);
    }
}
