/*
 * lastwords.c: what a dying worker still says.
 * Runs in: every worker.     Owns: the handlers of fatal signals, the alternate stack, panic_hook.
 * Never: allocates or locks inside a handler; survives.
 * Tested in: tests/unit/runtime/test_worker.c
 */
#include "workers/runtime/lastwords.h"

#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/attrs.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/sv.h"
#include "proto/control.h"

enum { STACK_BYTES = 64 * 1024, FRAMES_MAX = 32 };

static struct {
    char name[64];
    uint64_t inc;
    struct lastwords_to to;
    int ctl_fd;
} who = {.to = {.log_fd = -1, .console_fd = -1}, .ctl_fd = -1};

static char stack[STACK_BYTES];

/* Start of the executable in memory: addr2line wants addresses relative to it. Set by the linker. */
extern const char __executable_start[];

/* A line in fixed memory; what does not fit is cut. snprintf may lock or allocate, so numbers are made here. */
struct words {
    char p[1500];
    size_t n;
};

static void add(struct words *w, const char *s)
{
    while (*s && w->n < sizeof w->p - 4) { /* room for what closes the line */
        w->p[w->n++] = *s++;
    }
}

static void add_number(struct words *w, uint64_t v, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v > 0);
    add(w, &digits[at]);
}

static void add_address(struct words *w, const void *p)
{
    add(w, " 0x");
    add_number(w, (uint64_t)(uintptr_t)p, 16);
}

static const char *signal_name(int sig)
{
    switch (sig) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    case SIGABRT:
        return "SIGABRT";
    case SIGSYS:
        return "SIGSYS";
    default:
        return "signal";
    }
}

static void add_story(struct words *w, int sig, const siginfo_t *si)
{
    add(w, "died of ");
    add(w, signal_name(sig));
    if (sig != SIGABRT) {
        add(w, " at");
        add_address(w, si->si_addr);
    } else if (si->si_code == SI_USER && si->si_pid != getpid()) {
        add(w, " from pid ");
        add_number(w, (uint64_t)si->si_pid, 10);
    }
    add(w, ", version " TENAZA_VERSION ", base");
    add_address(w, __executable_start);
    add(w, ", stack");
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    for (int i = 1; i < n; i++) { /* 0 is this handler */
        add_address(w, frames[i]);
    }
}

static void say(int fd, struct words *w, const char *end)
{
    size_t n = strlen(end);
    memcpy(w->p + w->n, end, n);
    ssize_t rc = write(fd, w->p, w->n + n);
    UNUSED(rc); /* nobody is left to tell */
}

/* As log.c would write it; worker names need no escaping: see worker_main.c. */
static void say_json(int sig, const siginfo_t *si)
{
    struct words w;
    char ts[CLOCK_ISO_US_LEN];
    clock_iso_us(clock_real_us(), ts);
    w.n = 0;
    add(&w, "{\"ts\":\"");
    add(&w, ts);
    add(&w, "\",\"level\":\"error\",\"worker\":\"");
    add(&w, who.name);
    add(&w, "\",\"pid\":");
    add_number(&w, (uint64_t)getpid(), 10);
    add(&w, ",\"inc\":");
    add_number(&w, who.inc, 10);
    add(&w, ",\"msg\":\"");
    add_story(&w, sig, si);
    say(who.to.log_fd, &w, "\"}\n");
}

static void on_fatal(int sig, siginfo_t *si, void *context)
{
    UNUSED(context);
    struct words w;
    w.n = 0;
    add_story(&w, sig, si);
    recorder_words(who.to.recorder, w.p, w.n);
    if (who.to.console_fd >= 0) {
        w.n = 0;
        add(&w, who.name);
        add(&w, "#");
        add_number(&w, who.inc, 10);
        add(&w, " ");
        add_story(&w, sig, si);
        say(who.to.console_fd, &w, "\n");
    }
    if (who.to.log_fd >= 0) {
        say_json(sig, si);
    }
    (void)raise(sig); /* SA_RESETHAND: the default action now */
}

static void on_panic(const char *text)
{
    recorder_words(who.to.recorder, text, strlen(text));
    if (who.ctl_fd >= 0) {
        struct ctl_packet p = {.type = CTL_FAIL, .pid = (int32_t)getpid(), .num = EXIT_INTERNAL};
        (void)sv_copy(p.text, sizeof p.text, sv_sub(sv_of(text), 0, sizeof p.text - 1));
        int rc = ctl_send(who.ctl_fd, &p, -1);
        UNUSED(rc);
    }
}

bool lastwords_active(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return false;
#else
    return true;
#endif
#else
    return true;
#endif
}

void lastwords_install(const char *name, uint64_t inc, const struct lastwords_to *to)
{
    (void)sv_copy(who.name, sizeof who.name, sv_sub(sv_of(name), 0, sizeof who.name - 1));
    who.inc = inc;
    who.to = *to;
    panic_hook = on_panic;
    if (!lastwords_active()) {
        return;
    }
    void *warm[2];
    (void)backtrace(warm, 2); /* loads what it needs now, not inside a handler */
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    if (sigaltstack(&alt, NULL) < 0) {
        return;
    }
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    struct sigaction sa = {.sa_sigaction = on_fatal,
                           .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    (void)sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++) {
        (void)sigaction(fatal[i], &sa, NULL);
    }
}

void lastwords_tell(int ctl_fd)
{
    who.ctl_fd = ctl_fd;
}
