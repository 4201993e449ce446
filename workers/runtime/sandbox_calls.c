/*
 * sandbox_calls.c: the system calls of a profile as a seccomp filter, and the line in the log for what it refuses.
 * Runs in: every worker.     Owns: the handler of SIGSYS.
 * Never: allows a program to start; allows a call because it is not known.
 * Tested in: tests/unit/runtime/test_sandbox.c, tests/scn/s1-walls.test.mjs
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/attrs.h"
#include "common/log.h"
#include "common/sv.h"
#include "proto/control.h"
#include "workers/runtime/sandbox.h"
#include "workers/runtime/sandbox_bits.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code; glibc leaves it to linux/signal.h, which does not go with its own */
#endif

/* What is in no row does not exist: libraries try newer or finer calls first and go on without them when told so. */
#define NOT_THERE SCMP_ACT_ERRNO(ENOSYS)
/* Lines a process may write about refused calls; whoever is trying does not stop after the first. */
#define REPORTS_MAX 32

static const struct {
    int nr;
    const char *name;
    unsigned kinds;
} calls[] = {
#define CALL(name, kinds) {SCMP_SYS(name), #name, kinds},
#include "workers/runtime/syscalls.def"
};

static const struct {
    int nr;
    const char *name;
} denied[] = {
#define DENY(name, why) {SCMP_SYS(name), #name},
#include "workers/runtime/syscalls.def"
};

static const int killed[] = {
#define KILL(name, why) SCMP_SYS(name),
#include "workers/runtime/syscalls.def"
};

/* Those whose arguments decide: only for their names. */
static const struct {
    int nr;
    const char *name;
} judged[] = {
    {SCMP_SYS(clone), "clone"},       {SCMP_SYS(ioctl), "ioctl"},   {SCMP_SYS(kill), "kill"},     {SCMP_SYS(mmap), "mmap"},
    {SCMP_SYS(mprotect), "mprotect"}, {SCMP_SYS(socket), "socket"}, {SCMP_SYS(tgkill), "tgkill"},
};

/* ---- refused calls are seen ------------------------------------------------------------------------------ */

static const char *name_of(int nr)
{
    for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
        if (denied[i].nr == nr) {
            return denied[i].name;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(judged); i++) {
        if (judged[i].nr == nr) {
            return judged[i].name;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (calls[i].nr == nr) {
            return calls[i].name;
        }
    }
    return "a system call";
}

static struct sigaction last_words; /* what SIGSYS meant before: the handler of lastwords.c */

static bool refuse(void *context)
{
    ucontext_t *u = context;
#if defined(__x86_64__)
    u->uc_mcontext.gregs[REG_RAX] = -EPERM;
    return true;
#elif defined(__aarch64__)
    u->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
    return true;
#else
    UNUSED(u);
    return false;
#endif
}

/* The filter raised it (TRAP): the call did not happen; say so and let it return EPERM. It comes out of a call of this
 * thread, never in the middle of log_at, which makes none that is refused. Everything else is the end, with last
 * words. */
static void on_sigsys(int sig, siginfo_t *si, void *context)
{
    static int reports;
    int error = errno;

    if (si->si_code != SYS_SECCOMP || !refuse(context)) {
        (void)sigaction(sig, &last_words, NULL);
        (void)raise(sig);
        return;
    }
    if (reports < REPORTS_MAX) {
        reports++;
        log_at(NULL, LOG_L_WARN, "sandbox: refused %s%s", name_of(si->si_syscall),
               reports == REPORTS_MAX ? "; no more lines about this" : "");
    }
    errno = error;
}

/* ---- the filter ------------------------------------------------------------------------------------------ */

struct filter {
    scmp_filter_ctx ctx;
    int rc; /* the first error */
};

static void add(struct filter *f, uint32_t action, int nr, unsigned n, const struct scmp_arg_cmp *args)
{
    int rc = seccomp_rule_add_array(f->ctx, action, nr, n, args);

    /* EDOM: a call that this architecture does not have. EACCES: the same as the default. */
    if (rc != 0 && rc != -EDOM && rc != -EACCES && f->rc == 0) {
        f->rc = rc;
    }
}

/* About argument n (from 0): its value, or the bits of it under a mask. */
#define IS(n, value) SCMP_CMP64((n), SCMP_CMP_EQ, (value), 0)
#define IS_NOT(n, value) SCMP_CMP64((n), SCMP_CMP_NE, (value), 0)
#define IS_ABOVE(n, value) SCMP_CMP64((n), SCMP_CMP_GT, (value), 0)
#define BITS(n, mask, value) SCMP_CMP64((n), SCMP_CMP_MASKED_EQ, (mask), (value))

#define ADD(f, action, name, ...)                                                                  \
    add((f), (action), SCMP_SYS(name), sizeof((struct scmp_arg_cmp[]){__VA_ARGS__}) / sizeof(struct scmp_arg_cmp), \
        (struct scmp_arg_cmp[]){__VA_ARGS__})

static void add_tables(struct filter *f, const struct sandbox_profile *p)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        /* Known, but not for this kind: refused where people see it. */
        add(f, calls[i].kinds & p->bit ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP, calls[i].nr, 0, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
        add(f, SCMP_ACT_TRAP, denied[i].nr, 0, NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(killed); i++) {
        add(f, SCMP_ACT_KILL_PROCESS, killed[i], 0, NULL);
    }
}

static void add_sockets(struct filter *f, const struct sandbox_profile *p)
{
    ADD(f, SCMP_ACT_ALLOW, socket, IS(0, AF_UNIX));
    ADD(f, SCMP_ACT_ALLOW, socketpair, IS(0, AF_UNIX));
    if (p->net != SANDBOX_OUT) {
        ADD(f, SCMP_ACT_TRAP, socket, IS_NOT(0, AF_UNIX));
        return;
    }
    ADD(f, SCMP_ACT_ALLOW, socket, IS(0, AF_INET));
    ADD(f, SCMP_ACT_ALLOW, socket, IS(0, AF_INET6));
    /* The resolver asks which addresses this machine has (NETLINK_ROUTE is 0). */
    ADD(f, SCMP_ACT_ALLOW, socket, IS(0, AF_NETLINK), IS(2, 0));
    ADD(f, SCMP_ACT_TRAP, socket, IS_ABOVE(0, AF_NETLINK));
}

/* Threads yes (the resolver of curl), processes no. The flags of clone3 cannot be seen from here, so it is in no row:
 * told that it does not exist, the C library takes clone. */
static void add_processes(struct filter *f)
{
    scmp_datum_t self = (scmp_datum_t)getpid();

    ADD(f, SCMP_ACT_ALLOW, clone, BITS(0, CLONE_THREAD, CLONE_THREAD));
    ADD(f, SCMP_ACT_TRAP, clone, BITS(0, CLONE_THREAD, 0));
    /* A thread of ZeroMQ sets the scheduling it has, and ends the process when it may not. */
    ADD(f, SCMP_ACT_ALLOW, sched_setscheduler, IS(1, SCHED_OTHER));
    ADD(f, SCMP_ACT_ALLOW, kill, IS(0, self));
    ADD(f, SCMP_ACT_TRAP, kill, IS_NOT(0, self));
    ADD(f, SCMP_ACT_ALLOW, tgkill, IS(0, self));
    ADD(f, SCMP_ACT_TRAP, tgkill, IS_NOT(0, self));
    ADD(f, SCMP_ACT_ALLOW, prlimit64, IS(0, 0), IS(2, 0)); /* reading its own */
    ADD(f, SCMP_ACT_ALLOW, prctl, IS(0, PR_SET_NAME));
    ADD(f, SCMP_ACT_ALLOW, prctl, IS(0, PR_GET_NAME));
    ADD(f, SCMP_ACT_ALLOW, prctl, IS(0, PR_SET_VMA)); /* names of mappings, newer C libraries */
}

/* Writable or executable, never both; only libraries (mapped from a file) become executable. */
static void add_memory(struct filter *f)
{
    const scmp_datum_t both = PROT_WRITE | PROT_EXEC;

    ADD(f, SCMP_ACT_ALLOW, mmap, BITS(2, PROT_EXEC, 0));
    ADD(f, SCMP_ACT_ALLOW, mmap, BITS(2, both, PROT_EXEC), BITS(3, MAP_ANONYMOUS, 0));
    ADD(f, SCMP_ACT_TRAP, mmap, BITS(2, both, both));
    ADD(f, SCMP_ACT_ALLOW, mprotect, BITS(2, PROT_EXEC, 0));
    ADD(f, SCMP_ACT_TRAP, mprotect, BITS(2, PROT_EXEC, PROT_EXEC));
}

static void add_ioctls(struct filter *f)
{
    ADD(f, SCMP_ACT_ALLOW, ioctl, IS(1, FIONBIO));
    ADD(f, SCMP_ACT_ALLOW, ioctl, IS(1, FIONREAD));
    ADD(f, SCMP_ACT_ALLOW, ioctl, IS(1, TCGETS)); /* isatty */
    ADD(f, SCMP_ACT_TRAP, ioctl, IS(1, TIOCSTI)); /* typing into the terminal of `tenaza run` */
}

static void see_refused(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK)};

    (void)sigemptyset(&sa.sa_mask);
    (void)sigaction(SIGSYS, &sa, &last_words);
}

int sandbox_seccomp(const struct sandbox_profile *p)
{
    struct filter f = {.ctx = seccomp_init(NOT_THERE)};

    if (f.ctx == NULL) {
        return -ENOMEM;
    }
    f.rc = seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    (void)seccomp_attr_set(f.ctx, SCMP_FLTATR_CTL_LOG, 1);
    (void)seccomp_attr_set(f.ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    add_tables(&f, p);
    add_sockets(&f, p);
    add_processes(&f);
    add_memory(&f);
    add_ioctls(&f);
    see_refused();
    int rc = f.rc != 0 ? f.rc : seccomp_load(f.ctx);
    seccomp_release(f.ctx);
    return rc;
}
