/*
 * reap.c: notices the end of workers (pidfd) and says what it means.
 * Runs in: supervisor.     Owns: nothing.
 * Never: waits; waits for "any" child in a way that could take a worker's exit away from its pidfd.
 * Tested in: tests/scn/f1-kill.test.mjs
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

static enum life_event classify(const struct child *c, const siginfo_t *end)
{
    if (end->si_code != CLD_EXITED) {
        return LE_EXIT_CRASH;
    }
    switch (end->si_status) {
    case 0:
        return LE_EXIT_OK;
    case EXIT_USAGE:
    case EXIT_CONFIG:
        return LE_EXIT_CFG;
    case EXIT_UNAVAILABLE:
    case EXIT_TEMPFAIL:
        return LE_EXIT_TEMP;
    case CANNOT_EXECUTE:
        return c->hello ? LE_EXIT_CRASH : LE_EXIT_EXEC;
    default:
        return LE_EXIT_CRASH;
    }
}

static void describe(struct child *c, const siginfo_t *end)
{
    int status = end->si_status;

    if (c->life.goal == GOAL_HELD && c->fail[0] != '\0') {
        sv_copy(c->last_exit, sizeof c->last_exit, sv_of(c->fail)); /* we ended it; the reason says more */
    } else if (end->si_code == CLD_EXITED) {
        snprintf(c->last_exit, sizeof c->last_exit, "exit %d%s%s", status, c->fail[0] ? ": " : "", c->fail);
    } else {
        const char *name = sigabbrev_np(status);
        snprintf(c->last_exit, sizeof c->last_exit, "signal %d (SIG%s)%s%s%s", status, name ? name : "?",
                 end->si_code == CLD_DUMPED ? ", core dumped" : "", c->fail[0] ? ": " : "", c->fail);
    }
}

static bool was_asked(const struct child *c)
{
    return c->life.state == LS_DRAINING || c->life.state == LS_STOPPING ||
           (c->life.state == LS_KILLING && !c->life.overdue);
}

static void report(struct child *c, enum life_event e)
{
    if (was_asked(c)) {
        log_debug("%s: ended: %s", c->name, c->last_exit);
    } else if (e == LE_EXIT_CFG) {
        snprintf(c->alarm, sizeof c->alarm, "%.300s; put it right, then: tenaza reload, or: tenaza workers start %s", c->last_exit,
                 c->name);
        log_error("%s: stopped until its configuration is put right: %s", c->name, c->last_exit);
    } else {
        log_warn("%s: ended: %s", c->name, c->last_exit);
    }
}

static int64_t micros(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void bury(struct child *c, const siginfo_t *end, const struct rusage *used)
{
    const struct death d = {.code = end->si_code,
                            .status = end->si_status,
                            .asked = was_asked(c),
                            .max_rss_kb = used->ru_maxrss,
                            .user_us = micros(used->ru_utime),
                            .system_us = micros(used->ru_stime)};

    evidence_ended(c);
    obituary_write(c, &d);
}

void reap_child(struct child *c)
{
    siginfo_t end = {0};
    struct rusage used = {0};

    /* Only a look: as long as it is not reaped its pid, and so its group, cannot be given to anybody else. */
    if (c->pidfd < 0 || c->exiting ||
        waitid(P_PIDFD, (id_t)c->pidfd, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0) {
        return;
    }
    c->exiting = true;
    ctlchan_read_rest(c); /* its last packets may say why */
    /* What shares its group and session goes at once; strays.c finds the others. */
    (void)kill(-c->pid, SIGKILL);
    /* The C library's waitid does not hand out what the process used. */
    (void)syscall(SYS_waitid, P_PIDFD, c->pidfd, &end, WEXITED | WNOHANG, &used);
    ev_io_stop(c->sup->loop, &c->pid_io);
    fd_close(&c->pidfd);
    ctlchan_drop(c);
    enum life_event e = classify(c, &end);
    describe(c, &end);
    report(c, e);
    bury(c, &end, &used);
    security_ended(c);
    pid_t pid = c->pid;
    c->pid = 0;
    if (c->kind->planes == WP_BOTH) {
        peers_announce(c->sup, false, c->peer, c->inc, pid);
    }
    c->exiting = false;
    life_event(&c->life, e);
}

static void on_pid(struct ev_loop *loop, ev_io *io, int events)
{
    UNUSED(loop);
    UNUSED(events);
    reap_child(io->data);
}

void reap_watch(struct child *c)
{
    ev_io_init(&c->pid_io, on_pid, c->pidfd, EV_READ);
    c->pid_io.data = c;
    ev_io_start(c->sup->loop, &c->pid_io);
}
