/*
 * strays.c: processes that outlive the worker that started them: found, killed, buried.
 * Runs in: supervisor.     Owns: the list of strays.
 * Never: touches a worker that lives, or what a worker that lives has started.
 * Tested in: tests/unit/supervisor/test_supervise.c, tests/scn/h1-bad-workers.test.mjs
 *
 * Each worker is the subreaper of its own descendants (spawn.c). So whatever it starts stays below it while it
 * lives, also what forks twice and makes a session of its own; when it dies, the kernel hands the first generation of
 * that to us, the next subreaper. A child of ours that is no worker was therefore started by a worker that is dead.
 * Killing it hands us the next generation, and so on until none is left; only then may a successor start.
 * Works without cgroups, for which a kernel or a container may give us no permission.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

/* Processes that are waited for in one turn; the rest comes with the next signal or deadline. */
#define REAP_BUDGET 1024

static struct stray *stray_find(struct sup *s, pid_t pid)
{
    for (size_t i = 0; i < s->stray_n; i++) {
        if (s->strays[i].pid == pid) {
            return &s->strays[i];
        }
    }
    return NULL;
}

size_t strays_of(const struct sup *s, const struct child *c)
{
    size_t n = 0;

    for (size_t i = 0; i < s->stray_n; i++) {
        n += s->strays[i].of == c ? 1 : 0;
    }
    return n;
}

void strays_forget(struct child *c)
{
    for (size_t i = 0; i < c->sup->stray_n; i++) {
        if (c->sup->strays[i].of == c) {
            c->sup->strays[i].of = NULL;
        }
    }
}

static void take_stray(struct sup *s, pid_t pid, struct child *of)
{
    struct child *worker = child_by_pid(s, pid);

    if (worker != NULL || stray_find(s, pid) != NULL || s->stray_n == SUP_MAX_STRAYS) {
        return;
    }
    s->strays[s->stray_n++] = (struct stray){.pid = pid, .of = of};
    /* No race with another process of that number: only we can bury it. */
    (void)kill(pid, SIGKILL);
}

/*
 * Our children that are no workers belong to `of`. The kernel's list is complete although it is read without a lock:
 * nobody but us takes entries away from it, and new ones are put at its end.
 */
static void scan(struct sup *s, struct child *of)
{
    char path[64];
    struct buf text = BUF_INIT((size_t)1024 * 1024);

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    if (file_read(path, &text) != 0) {
        log_error("%s cannot be read: processes that outlive a worker are not found", path);
    }
    for (sv rest = buf_view(&text); rest.n > 0;) {
        uint64_t pid;
        if (sv_u64(sv_cut(&rest, ' '), &pid) && pid <= INT32_MAX) {
            take_stray(s, (pid_t)pid, of);
        }
    }
    buf_free(&text);
}

static void kill_strays(struct sup *s, const struct child *of)
{
    for (size_t i = 0; i < s->stray_n; i++) {
        if (s->strays[i].of == of) {
            (void)kill(s->strays[i].pid, SIGKILL);
        }
    }
}

/* Buries one of our children if it has ended and is no worker; its own children are ours now. */
static void bury(struct sup *s, pid_t pid)
{
    siginfo_t end = {0};
    struct stray *known = stray_find(s, pid);
    struct child *of = known ? known->of : NULL;

    if (waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG) != 0 || end.si_pid == 0) {
        return;
    }
    if (known != NULL) {
        log_debug("%s: what it had started has ended, pid %d", of ? of->name : "a worker", (int)pid);
        *known = s->strays[--s->stray_n];
        scan(s, of);
    }
}

static void raise_cleared(struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->life.state == LS_CLEARING && strays_of(s, c) == 0) {
            life_event(&c->life, LE_CLEARED);
        }
    }
}

void strays_clear(struct child *c)
{
    struct sup *s = c->sup;

    scan(s, c);
    /* Those that shared its group are dead already and only wait for us. */
    for (size_t i = s->stray_n; i-- > 0;) {
        if (i < s->stray_n && s->strays[i].of == c) {
            bury(s, s->strays[i].pid);
        }
    }
    size_t left = strays_of(s, c);
    if (left == 0) {
        life_event(&c->life, LE_CLEARED);
        return;
    }
    log_info("%s: %zu process%s that it had started outlived it; no successor before they have ended", c->name, left,
             left == 1 ? "" : "es");
    kill_strays(s, c);
}

void strays_reap(struct sup *s)
{
    /* Peek first: the exit of a worker belongs to its pidfd. Each turn takes one away, so this ends. */
    for (int i = 0; i < REAP_BUDGET; i++) {
        siginfo_t end = {0};
        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0) {
            break;
        }
        struct child *c = child_by_pid(s, end.si_pid);
        if (c != NULL) {
            reap_child(c);
        } else {
            bury(s, end.si_pid);
        }
    }
    raise_cleared(s);
}
