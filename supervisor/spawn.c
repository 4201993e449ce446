/*
 * spawn.c: starts one worker: control channel, sealed configuration section, clean descriptors and environment.
 * Runs in: supervisor; the second half in the new process, before its program begins.
 * Owns: nothing after it returns; descriptors go into the child's struct.
 * Never: leaks a descriptor into a worker; does anything after fork that is not async-signal-safe.
 * Tested in: tests/unit/supervisor/test_supervise.c, and by every scenario
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

#define SECTION_MAX ((size_t)4 * 1024 * 1024)
#define MAX_INHERITED (LISTEN_FD - CTL_FD + SUP_MAX_LISTEN)
#define MAX_ENV 16
/* Inherited descriptors are first moved up here, so that none is overwritten while they are put in place. */
#define FD_PARKING 64

struct launch {
    char path[PATH_MAX + 64];
    char inc[24];
    const char *argv[8];
    char *env[MAX_ENV + 1];
    size_t env_n;
    int fds[MAX_INHERITED];
    int fd_n;
    struct confined confined;
    pid_t parent;
    int null_in, null_out;
    int out; /* becomes stdout and stderr */
};

/* ---- in the new process: only async-signal-safe calls --------------------------------------------------- */

static void child_descriptors(struct launch *l)
{
    for (int i = 0; i < l->fd_n; i++) {
        l->fds[i] = fcntl(l->fds[i], F_DUPFD, FD_PARKING); /* the console may be our stderr: before the next lines */
    }
    (void)dup2(l->null_in, STDIN_FILENO);
    (void)dup2(l->out, STDOUT_FILENO);
    (void)dup2(l->out, STDERR_FILENO);
    for (int i = 0; i < l->fd_n; i++) {
        if (l->fds[i] < 0 || dup2(l->fds[i], CTL_FD + i) < 0) {
            _exit(EXIT_UNAVAILABLE);
        }
    }
    (void)close_range((unsigned)(CTL_FD + l->fd_n), ~0u, 0);
}

static void child_signals(void)
{
    sigset_t none;
    struct sigaction dfl = {.sa_handler = SIG_DFL};

    sigemptyset(&none);
    sigemptyset(&dfl.sa_mask);
    for (int i = 1; i < NSIG; i++) {
        (void)sigaction(i, &dfl, NULL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Says why over the control channel, which is in place by now. */
static void child_cannot_run(const struct launch *l) ATTR_NORETURN;
static void child_cannot_run(const struct launch *l)
{
    const char *parts[] = {"its program ", l->path, " cannot be executed: ", strerrordesc_np(errno)};
    struct ctl_packet p = {.type = CTL_FAIL, .num = CANNOT_EXECUTE};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t len = parts[i] ? strnlen(parts[i], sizeof p.text - 1 - n) : 0;
        memcpy(p.text + n, parts[i] ? parts[i] : "", len);
        n += len;
    }
    (void)!ctl_send(CTL_FD, &p, -1);
    _exit(CANNOT_EXECUTE);
}

static void child_run(struct launch *l) ATTR_NORETURN;
static void child_run(struct launch *l)
{
    char *argv[ARRAY_LEN(l->argv)];

    child_signals();
    (void)setsid();
    if (!confine_join(&l->confined)) {
        _exit(EXIT_UNAVAILABLE);
    }
    child_descriptors(l);
    if (!confine_enter(&l->confined)) {
        _exit(EXIT_UNAVAILABLE);
    }
    /* Dies with us; if we are gone already, nobody will ever ask for it. A change of user forgets it, so it comes after. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != l->parent) {
        _exit(EXIT_UNAVAILABLE);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* What it starts stays below it, however often that forks and whatever session it makes, until it dies; then it
     * comes to us (strays.c). */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    memcpy(argv, l->argv, sizeof argv);
    execve(l->path, argv, l->env);
    child_cannot_run(l);
}

/* ---- before fork --------------------------------------------------------------------------------------- */

/* The section in memory that nobody can change any more. */
int spawn_section(const struct child *c)
{
    struct conf conf = {0};
    struct buf bytes = BUF_INIT(SECTION_MAX);
    struct sup *s = c->sup;
    const struct cfg_place place = config_place(s, s->token, s->listen.n);
    int fd = memfd_create("tenaza-section", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    cfg_section(&s->cfg, c->kind->id, c->kind->id == WK_channel ? &c->account : NULL, &place, &conf);
    conf_set_str(&conf, "log.level", sv_of(c->log_level[0] ? c->log_level : s->log_level));
    confine_section(&s->confine, &s->cfg, c->kind->id, &conf);
    bool ok = fd >= 0 && conf_encode(&conf, &bytes) && fd_write_all(fd, bytes.p, bytes.n) == 0 &&
              lseek(fd, 0, SEEK_SET) == 0 &&
              fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
    if (bytes.p != NULL) {
        explicit_bzero(bytes.p, bytes.n); /* it holds secrets */
    }
    buf_free(&bytes);
    conf_free(&conf);
    if (!ok) {
        fd_close(&fd);
    }
    return fd;
}

static void add_env(struct launch *l, const char *name)
{
    const char *value = getenv(name);

    if (value != NULL && l->env_n < MAX_ENV) {
        l->env[l->env_n++] = xasprintf("%s=%s", name, value);
    }
}

/* A clean environment: keys and everything else that a worker should have come in its section. */
static void make_env(struct launch *l, const struct child *c)
{
    static const char *const names[] = {"PATH",          "LANG",         "LC_ALL",       "TZ",
                                        "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                                        "LSAN_OPTIONS"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        add_env(l, names[i]);
    }
#ifdef TENAZA_CRASH_POINTS
    /* The first incarnation dies at the named place; its successor shows what is left. */
    if (c->spawns == 0) {
        add_env(l, "TENAZA_CRASH_AT");
    }
#else
    UNUSED(c);
#endif
}

/* False: what is wrong stands in c->last_exit. */
static bool find_program(struct launch *l, struct child *c)
{
    const char *dirs[] = {c->sup->exe_dir, c->sup->libexec};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        snprintf(l->path, sizeof l->path, "%s/%s", dirs[i], c->kind->exe);
        if (access(l->path, X_OK) == 0) {
            return true;
        }
        if (access(l->path, F_OK) == 0) {
            snprintf(c->last_exit, sizeof c->last_exit, "its program %.400s is not executable: chmod +x, or install again",
                     l->path);
            return false;
        }
    }
    snprintf(c->last_exit, sizeof c->last_exit, "its program %s is missing in %.400s: install again", c->kind->exe,
             c->sup->exe_dir);
    return false;
}

static void make_argv(struct launch *l, const struct child *c)
{
    snprintf(l->inc, sizeof l->inc, "%" PRIu64, c->inc);
    l->argv[0] = c->kind->exe;
    l->argv[1] = "--name";
    l->argv[2] = c->name;
    l->argv[3] = "--inc";
    l->argv[4] = l->inc;
    l->argv[5] = strcmp(c->peer, c->name) != 0 ? "--peer" : NULL;
    l->argv[6] = l->argv[5] ? c->peer : NULL;
    l->argv[7] = NULL;
}

static int launch_process(struct launch *l, struct child *c)
{
    l->parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        log_error("%s: no new process: %s", c->name, strerror(errno));
        return ERR_IO;
    }
    if (pid == 0) {
        child_run(l);
    }
    /* Safe although not atomic: a pid is not given away before it is reaped, and only we reap. */
    c->pidfd = pidfd_open(pid, 0);
    if (c->pidfd < 0) {
        log_error("%s: pidfd_open: %s", c->name, strerror(errno));
        (void)kill(pid, SIGKILL); /* the subreaper path buries it */
        return ERR_IO;
    }
    (void)fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
    c->pid = pid;
    return 0;
}

static int open_null(int flags)
{
    return open("/dev/null", flags | O_CLOEXEC);
}

static void add_fd(struct launch *l, int fd)
{
    l->fds[l->fd_n++] = fd >= 0 ? fd : l->null_out;
}

static int prepare_and_launch(struct launch *l, struct child *c, int far_end)
{
    int section = spawn_section(c);
    int recorder = evidence_recorder(c);
    int out = evidence_outpipe(c);
    int rc = ERR_IO;

    l->null_in = open_null(O_RDONLY);
    l->null_out = open_null(O_WRONLY | O_APPEND);
    if (section >= 0 && l->null_in >= 0 && l->null_out >= 0) {
        l->out = out >= 0 ? out : l->null_out;
        add_fd(l, far_end); /* in the order of control.h */
        add_fd(l, section);
        add_fd(l, c->sup->log_fd);
        add_fd(l, recorder);
        add_fd(l, c->sup->console_fd);
        for (size_t k = 0; c->kind->id == WK_edge && k < c->sup->listen.n; k++) {
            add_fd(l, c->sup->listen.v[k].fd);
        }
        rc = launch_process(l, c);
    } else {
        log_error("%s: its configuration section cannot be made: %s", c->name, strerror(errno));
    }
    evidence_spawned(c, rc == 0);
    fd_close(&section);
    fd_close(&recorder);
    fd_close(&out);
    fd_close(&l->null_in);
    fd_close(&l->null_out);
    return rc;
}

int spawn_child(struct child *c)
{
    struct launch l = {0};
    int pair[2];

    if (!find_program(&l, c)) {
        log_error("%s: %s", c->name, c->last_exit);
        return ERR_GONE;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        log_error("%s: no control channel: %s", c->name, strerror(errno));
        return ERR_IO;
    }
    c->inc = sup_next_inc(c->sup);
    make_argv(&l, c);
    make_env(&l, c);
    security_prepare(c, &l.confined);
    int rc = prepare_and_launch(&l, c, pair[1]);
    for (size_t i = 0; i < l.env_n; i++) {
        xfree(l.env[i]);
    }
    fd_close(&pair[1]);
    if (rc != 0) {
        fd_close(&pair[0]);
        return rc;
    }
    c->ctl = pair[0];
    c->started_ms = clock_mono_ms();
    c->ready_ms = 0;
    c->hello = false;
    c->spawns++;
    return 0;
}
