/*
 * wall_probe.c: makes one system call inside a worker that runs, as an attacker would who had taken it over.
 * Runs in: scenarios, as root.     Owns: the worker's threads while they are stopped.
 * Never: leaves a worker stopped or changed: registers, stack and code are put back before it goes on.
 * Tested in: tests/scn/s1-walls.test.mjs
 *
 * usage: wall_probe PID open PATH r|w|c   |  socket FAMILY TYPE  |  exec PATH  |  kill PID  |  fork   |  trace PID
 * Prints what the call returned: "ok", "EACCES", "killed SIGSYS" ...; exit 0. Exit 77: not for this processor.
 *
 * How: all threads are stopped; the main thread usually waits in a system call, so that the two bytes before its
 * program counter are the instruction itself. It runs again with our number and arguments; a breakpoint behind it
 * gives the thread back to us, after the worker's own handler of SIGSYS if the call was refused that way.
 */
#include <stdio.h>

#if defined(__x86_64__)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS_MAX = 64, SYSCALL_BYTES = 2, BELOW_STACK = 4096, TRIES = 200 };

static pid_t threads[THREADS_MAX];
static size_t threads_n;

static void fail(const char *what)
{
    (void)fprintf(stderr, "wall_probe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void stop_all(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (d == NULL) {
        fail(path);
    }
    for (struct dirent *e; (e = readdir(d)) != NULL && threads_n < THREADS_MAX;) {
        pid_t t = (pid_t)strtol(e->d_name, NULL, 10);
        int status;
        if (t <= 0) {
            continue;
        }
        if (ptrace(PTRACE_SEIZE, t, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, t, NULL, NULL) != 0 ||
            waitpid(t, &status, __WALL) != t) {
            fail("cannot stop a thread");
        }
        threads[threads_n++] = t;
    }
    (void)closedir(d);
}

static void let_go(void)
{
    for (size_t i = 0; i < threads_n; i++) {
        (void)ptrace(PTRACE_DETACH, threads[i], NULL, NULL);
    }
    threads_n = 0;
}

static long peek(pid_t pid, uint64_t at)
{
    return ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)at, NULL);
}

static void poke(pid_t pid, uint64_t at, long word)
{
    if (ptrace(PTRACE_POKETEXT, pid, (void *)(uintptr_t)at, (void *)word) != 0) {
        fail("poke");
    }
}

static void poke_text(pid_t pid, uint64_t at, const char *text)
{
    size_t n = strlen(text) + 1;
    for (size_t i = 0; i < n; i += sizeof(long)) {
        long word = 0;
        memcpy(&word, text + i, n - i < sizeof word ? n - i : sizeof word);
        poke(pid, at + i, word);
    }
}

static struct user_regs_struct registers(pid_t pid)
{
    struct user_regs_struct r;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &r) != 0) {
        fail("registers");
    }
    return r;
}

/* Stopped behind a system call instruction; false when the worker was just busy. */
static bool waits_in_call(pid_t pid)
{
    struct user_regs_struct r = registers(pid);
    return ((uint64_t)peek(pid, r.rip - SYSCALL_BYTES) & 0xffff) == 0x050f && (long)r.orig_rax >= 0;
}

struct call {
    long nr;
    uint64_t arg[4];
    const char *text; /* put into the worker's memory; the argument text_at points to it */
    int text_at;      /* -1: none */
};

/* What came of it: the return value, or -1000 - signal when the worker died. */
static long run(pid_t pid, const struct call *c)
{
    const struct user_regs_struct before = registers(pid);
    struct user_regs_struct r = before;
    uint64_t below = (before.rsp - BELOW_STACK) & ~UINT64_C(15);
    uint64_t arg[4];
    memcpy(arg, c->arg, sizeof arg);
    if (c->text_at >= 0) {
        poke_text(pid, below, c->text);
        arg[c->text_at] = below;
    }
    long code = peek(pid, before.rip);
    poke(pid, before.rip, (long)(((uint64_t)code & ~UINT64_C(0xff)) | 0xcc));
    r.rip = before.rip - SYSCALL_BYTES;
    r.rsp = below - 512; /* a handler works below our text */
    r.orig_rax = (unsigned long long)-1;
    r.rax = (unsigned long long)c->nr;
    r.rdi = arg[0];
    r.rsi = arg[1];
    r.rdx = arg[2];
    r.r10 = arg[3];
    if (ptrace(PTRACE_SETREGS, pid, NULL, &r) != 0) {
        fail("registers");
    }
    long deliver = 0;
    for (int i = 0; i < TRIES; i++) {
        int status;
        if (ptrace(PTRACE_CONT, pid, NULL, (void *)deliver) != 0) {
            fail("go on");
        }
        /* Its end is told only after that of its other threads. */
        pid_t who;
        do {
            who = waitpid(-1, &status, __WALL);
        } while (who > 0 && who != pid);
        if (who < 0) {
            fail("wait");
        }
        if (WIFSIGNALED(status)) {
            return -1000 - WTERMSIG(status);
        }
        if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && status >> 16 == 0) {
            r = registers(pid);
            if (r.rip == before.rip + 1) {
                break;
            }
        }
        deliver = WIFSTOPPED(status) && status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
    }
    long result = (long)r.rax;
    if (c->nr == SYS_fork && result > 0) {
        (void)kill((pid_t)result, SIGKILL); /* a copy of the worker nobody wants */
    } else if (result >= 0 && (c->nr == SYS_openat || c->nr == SYS_socket)) {
        /* Given back by a second call, so that the worker is as before. */
        poke(pid, before.rip, code);
        struct user_regs_struct again = before;
        again.orig_rax = (unsigned long long)-1;
        if (ptrace(PTRACE_SETREGS, pid, NULL, &again) != 0) {
            fail("registers");
        }
        const struct call shut = {.nr = SYS_close, .arg = {(uint64_t)result}, .text_at = -1};
        (void)run(pid, &shut);
        return result;
    }
    poke(pid, before.rip, code);
    r = before;
    r.orig_rax = (unsigned long long)-1;
    r.rax = (unsigned long long)-EINTR; /* its own waiting was interrupted, nothing more */
    if (ptrace(PTRACE_SETREGS, pid, NULL, &r) != 0) {
        fail("registers");
    }
    return result;
}

static struct call parse(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";
    struct call c = {.nr = -1, .text_at = -1};
    if (strcmp(what, "open") == 0 && argc == 5) {
        int flags = argv[4][0] == 'r' ? O_RDONLY : argv[4][0] == 'w' ? O_WRONLY : O_WRONLY | O_CREAT;
        c = (struct call){SYS_openat, {(uint64_t)(int64_t)AT_FDCWD, 0, (uint64_t)(flags | O_CLOEXEC), 0600}, argv[3], 1};
    } else if (strcmp(what, "socket") == 0 && argc == 5) {
        c = (struct call){SYS_socket, {strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10)}, NULL, -1};
    } else if (strcmp(what, "exec") == 0 && argc == 4) {
        c = (struct call){SYS_execve, {0}, argv[3], 0};
    } else if (strcmp(what, "kill") == 0 && argc == 4) {
        c = (struct call){SYS_kill, {strtoull(argv[3], NULL, 10), 0}, NULL, -1};
    } else if (strcmp(what, "fork") == 0 && argc == 3) {
        c.nr = SYS_fork;
    } else if (strcmp(what, "trace") == 0 && argc == 4) {
        c = (struct call){SYS_ptrace, {PTRACE_SEIZE, strtoull(argv[3], NULL, 10), 0, 0}, NULL, -1};
    } else {
        (void)fprintf(stderr, "usage: wall_probe PID open PATH r|w|c | socket FAMILY TYPE | exec PATH | kill PID | fork | trace PID\n");
        exit(2);
    }
    return c;
}

int main(int argc, char **argv)
{
    pid_t pid = argc > 1 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
    struct call c = parse(argc, argv);
    for (int i = 0; i < TRIES; i++) {
        stop_all(pid);
        if (waits_in_call(pid)) {
            break;
        }
        let_go();
        (void)usleep(5000);
    }
    if (threads_n == 0) {
        errno = EAGAIN;
        fail("the worker is never at rest");
    }
    long rc = run(pid, &c);
    if (rc > -1000) {
        let_go();
    }
    if (rc <= -1000) {
        (void)printf("killed SIG%s\n", sigabbrev_np((int)(-1000 - rc)));
    } else if (rc < 0) {
        (void)printf("%s\n", strerrorname_np((int)-rc));
    } else {
        (void)printf("ok\n");
    }
    return 0;
}

#else

int main(void)
{
    (void)puts("not for this processor");
    return 77;
}

#endif
