/*
 * worker_main.c: the skeleton of every worker process.
 * Runs in: every worker.     Owns: loop, config section, planes, control channel (fd 3), beats, exit code.
 * Never: product logic.
 * Tested in: tests/unit/runtime/test_worker.c, and by every scenario
 */
#include "workers/runtime/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/counter.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "proto/control.h"
#include "workers/runtime/ctl.h"
#include "workers/runtime/lastwords.h"
#include "workers/runtime/sandbox.h"
#include "workers/runtime/slot.h"

enum {
    BEAT_MS = 5000,         /* architecture.md 8.3 */
    QUIET_TURNS = 50,       /* of the loop between two beats: an idle worker has about five */
    TERM_DRAIN_MS = 2000,   /* SIGTERM without a DRAIN before it */
    SECTION_MAX = 4 << 20,  /* bytes of the config section */
};

struct worker {
    const struct worker_ops *ops;
    char name[128]; /* for people */
    char peer[128]; /* for store and bus: as the supervisor announced us */
    uint64_t inc;
    struct loop *loop;
    struct conf conf;
    struct ctl *ctl;
    struct plane_store *store;
    struct plane_bus *bus;
    void *ctx;
    struct loop_timer beat, drain_timer;
    ev_signal term;
    struct sandbox sandbox;
    char status[512];
    uint64_t turns_at_beat;
    bool worked; /* since the last quiet beat */
    bool ready, draining, handover, drained, ending, orphan, renewing;
    int exit_code;
};

/* ---- what workers call ----------------------------------------------------------------------------- */

struct loop *worker_loop(struct worker *w)
{
    return w->loop;
}

const struct conf *worker_conf(struct worker *w)
{
    return &w->conf;
}

const char *worker_name(struct worker *w)
{
    return w->name;
}

uint64_t worker_inc(struct worker *w)
{
    return w->inc;
}

const char *worker_run_dir(struct worker *w)
{
    return conf_str(&w->conf, "run.dir", "");
}

const char *worker_state_dir(struct worker *w)
{
    return conf_str(&w->conf, "state.dir", "");
}

void worker_endpoint(struct worker *w, const char *file, char *dst, size_t cap)
{
    int n = snprintf(dst, cap, "ipc://%s/%s", worker_run_dir(w), file);
    struct sockaddr_un un;
    if (n < 0 || (size_t)n >= cap || (size_t)n - strlen("ipc://") >= sizeof un.sun_path) {
        die(EXIT_CONFIG, "run.dir is too long for a socket below it: %s", worker_run_dir(w));
    }
}

struct plane_store *worker_store(struct worker *w)
{
    return w->store;
}

struct plane_bus *worker_bus(struct worker *w)
{
    return w->bus;
}

void *worker_ctx(struct worker *w)
{
    return w->ctx;
}

void worker_set_ctx(struct worker *w, void *ctx)
{
    w->ctx = ctx;
}

bool worker_hands_over(const struct worker *w)
{
    return w->handover;
}

static void end(struct worker *w, int exit_code)
{
    if (!w->ending) {
        w->ending = true;
        w->exit_code = exit_code;
        loop_stop(w->loop);
    }
}

void worker_ready(struct worker *w)
{
    if (!w->ready) {
        w->ready = true;
        ctl_say(w->ctl, CTL_READY, 0, NULL);
    }
}

void worker_drained(struct worker *w)
{
    if (!w->drained) {
        w->drained = true;
        ctl_say(w->ctl, CTL_DRAINED, 0, NULL);
        end(w, 0);
    }
}

void worker_ask_metrics(struct worker *w)
{
    ctl_say(w->ctl, CTL_METRICS, 0, NULL);
}

/* Formats into text[512]; cut where it does not fit. */
#define FORMAT(text, fmt)                                                                          \
    do {                                                                                           \
        va_list ap_;                                                                               \
        va_start(ap_, fmt);                                                                        \
        (void)vsnprintf((text), sizeof(text), (fmt), ap_);                                              \
        va_end(ap_);                                                                               \
    } while (0)

void worker_status(struct worker *w, const char *fmt, ...)
{
    char text[sizeof w->status];
    FORMAT(text, fmt);
    if (strcmp(text, w->status) != 0) {
        memcpy(w->status, text, sizeof text);
        ctl_say(w->ctl, CTL_STATUS, 0, text);
    }
}

void worker_alarm(struct worker *w, const char *fmt, ...)
{
    char text[512];
    FORMAT(text, fmt);
    log_error("%s", text);
    ctl_say(w->ctl, CTL_ALARM, 0, text);
}

void worker_fail(struct worker *w, int exit_code, const char *fmt, ...)
{
    char text[512];
    FORMAT(text, fmt);
    log_error("%s", text);
    ctl_say(w->ctl, CTL_FAIL, (uint64_t)exit_code, text);
    end(w, exit_code);
}

/* ---- supervisor and signals ------------------------------------------------------------------------ */

static void on_drain_late(void *ctx)
{
    struct worker *w = ctx;
    log_warn("not drained in time: leaving what is in progress to its successor");
    end(w, 0);
}

static void drain(struct worker *w, int64_t within_ms)
{
    if (w->draining) {
        return;
    }
    w->draining = true;
    log_debug("draining within %" PRId64 " ms", within_ms);
    loop_timer_start(&w->drain_timer, within_ms);
    if (w->ops->drain) {
        w->ops->drain(w, within_ms);
    } else {
        worker_drained(w);
    }
}

static void on_term(struct ev_loop *ev, ev_signal *s, int revents)
{
    struct worker *w = s->data;
    UNUSED(ev);
    UNUSED(revents);
    if (w->draining) {
        loop_timer_start(&w->drain_timer, TERM_DRAIN_MS);
    } else {
        drain(w, TERM_DRAIN_MS);
    }
}

/* Our /proc entry is closed to our own user (not dumpable), so where /proc hides such processes only we can look. */
static void own_usage(char text[64])
{
    struct buf statm = BUF_INIT(256);
    struct rusage used = {0};
    uint64_t pages = 0;

    (void)getrusage(RUSAGE_SELF, &used);
    if (file_read("/proc/self/statm", &statm) == OK) {
        sv rest = buf_view(&statm);
        (void)sv_cut(&rest, ' ');
        (void)sv_u64(sv_cut(&rest, ' '), &pages);
    }
    buf_free(&statm);
    int64_t cpu_ms = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * INT64_C(1000) +
                     (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    (void)snprintf(text, 64, "%" PRIu64 " %" PRId64, pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024, cpu_ms);
}

/* A peak of work must not be paid for ever: the first quiet beat after it gives memory back. */
static void notice_quiet(struct worker *w)
{
    uint64_t turns = counters_here->cells[C_loop_turns];
    bool quiet = turns - w->turns_at_beat < QUIET_TURNS;
    w->turns_at_beat = turns;
    if (quiet && w->worked) {
        if (w->ops->quiet) {
            w->ops->quiet(w);
        }
        xtrim();
    }
    w->worked = !quiet;
}

static void on_beat(void *ctx)
{
    char usage[64];
    struct worker *w = ctx;
    uint32_t lag = loop_lag_ms(w->loop);
    counter_set(C_loop_lag, (uint64_t)lag * 1000);
    own_usage(usage);
    ctl_say(w->ctl, CTL_BEAT, lag, usage);
    if (!w->renewing && sandbox_is_stale()) {
        w->renewing = true;
        ctl_say(w->ctl, CTL_RENEW, 0, "the resolver's files were replaced");
    }
    notice_quiet(w);
    loop_timer_start(&w->beat, slot_wait_ms(BEAT_MS));
}

/* Reads and closes fd. Decoded where it lies: a copy on the heap, and what a growing buffer leaves behind, would hold
 * its secrets. */
static bool read_section(int fd, struct conf *conf)
{
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= SECTION_MAX;
    void *p = ok ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    ok = p != MAP_FAILED && conf_decode(sv_mem(p, (size_t)st.st_size), conf) == OK;
    if (p != MAP_FAILED) {
        (void)munmap(p, (size_t)st.st_size);
    }
    fd_close(&fd);
    return ok;
}

static void take_log_level(struct worker *w)
{
    enum log_level level;
    if (log_level_parse(conf_str(&w->conf, "log.level", "info"), &level)) {
        log_set_level(level);
    }
}

/* Another section while we run. What did not change stays where it is in memory. */
static void reconfigure(struct worker *w, int fd)
{
    struct conf next = {0};
    if (!read_section(fd, &next)) {
        log_error("a new section cannot be read; going on with the old one");
        return;
    }
    bool level = !conf_same_at(&w->conf, &next, "log.level");
    conf_update(&w->conf, &next);
    conf_free(&next);
    if (level) {
        take_log_level(w);
    }
    if (w->ops->reconfigure) {
        w->ops->reconfigure(w);
    }
    ctl_say(w->ctl, CTL_CONFIGURED, 0, NULL);
}

/* A packet with a descriptor, which is ours now. */
static void on_descriptor(struct worker *w, const struct ctl_packet *p, int fd)
{
    if (fd < 0) {
        log_warn("%s without its descriptor", ctl_name(p->type));
        return;
    }
    if (p->type == CTL_METRICS_TEXT && w->ops->metrics) {
        w->ops->metrics(w, fd);
        return;
    }
    if (p->type == CTL_LOG_FILE && dup3(fd, LOG_FD, O_CLOEXEC) < 0) {
        log_warn("the new log file cannot be used: %s", strerror(errno));
    }
    fd_close(&fd);
}

static void on_packet(void *ctx, const struct ctl_packet *p, int fd_got)
{
    struct worker *w = ctx;
    if (!p) {
        w->orphan = true; /* the supervisor is gone: end at once, nobody will drain us */
        end(w, 0);
        return;
    }
    if (p->type == CTL_CONFIG && fd_got >= 0) {
        reconfigure(w, fd_got);
        return;
    }
    if (p->type == CTL_METRICS_TEXT || p->type == CTL_LOG_FILE) {
        on_descriptor(w, p, fd_got);
        return;
    }
    fd_close(&fd_got);
    switch ((enum ctl_type)p->type) {
    case CTL_HANDOVER:
    case CTL_DRAIN:
        w->handover = w->handover || p->type == CTL_HANDOVER;
        drain(w, p->num < INT32_MAX ? (int64_t)p->num : INT32_MAX);
        break;
    case CTL_PEER_UP:
    case CTL_PEER_GONE:
        if (w->ops->peer) {
            w->ops->peer(w, p->type == CTL_PEER_UP, p->name, p->num, p->pid);
        }
        break;
    case CTL_LOG_LEVEL:
        if (p->num <= LOG_L_TRACE) {
            log_set_level((enum log_level)p->num);
        }
        break;
    case CTL_CONFIG:
        log_error("a CONFIG without its section");
        break;
    case CTL_METRICS_TEXT:
    case CTL_LOG_FILE: /* above */
    case CTL_METRICS:
    case CTL_HELLO:
    case CTL_READY:
    case CTL_BEAT:
    case CTL_STATUS:
    case CTL_DRAINED:
    case CTL_FAIL:
    case CTL_ALARM:
    case CTL_SECURITY:
    case CTL_RENEW:
    case CTL_CONFIGURED:
    default:
        log_warn("the supervisor sent %s, which only workers send", ctl_name(p->type));
        break;
    }
}

/* ---- start ----------------------------------------------------------------------------------------- */

/* Names go into routing ids, paths of log lines and JSON: keep them plain. */
static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n < sizeof((struct worker *)0)->name &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@+:") == n;
}

static bool arguments(struct worker *w, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--name") == 0 && name_ok(argv[i + 1])) {
            (void)sv_copy(w->name, sizeof w->name, sv_of(argv[i + 1]));
        } else if (strcmp(argv[i], "--peer") == 0 && name_ok(argv[i + 1])) {
            (void)sv_copy(w->peer, sizeof w->peer, sv_of(argv[i + 1]));
        } else if (strcmp(argv[i], "--inc") != 0 || !sv_u64(sv_of(argv[i + 1]), &w->inc)) {
            return false;
        }
    }
    if (w->peer[0] == 0) {
        memcpy(w->peer, w->name, sizeof w->peer);
    }
    return argc % 2 == 1 && w->name[0] != 0 && w->inc > 0;
}

static void ignore(int sig)
{
    struct sigaction sa = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&sa.sa_mask);
    (void)sigaction(sig, &sa, NULL);
}

static bool is_control_socket(int fd)
{
    int type = 0;
    socklen_t n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

/* The descriptor, or -1 when none was handed over; kept from programs that are started. */
static int inherited(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

static void start_log(struct worker *w)
{
    enum log_style style = LOG_STYLE_PLAIN;
    (void)log_style_parse(conf_str(&w->conf, "log.style", "plain"), &style);
    struct lastwords_to to = {.log_fd = inherited(LOG_FD), .console_fd = inherited(CONSOLE_FD)};
    log_init(w->name, w->inc, style, to.log_fd);
    log_set_console(to.console_fd);
    take_log_level(w);
    to.recorder = recorder_use(REC_FD, w->name, w->inc);
    to.console_fd = style == LOG_STYLE_JOURNAL ? -1 : to.console_fd; /* only whole datagrams go there */
    (void)close(REC_FD);
    lastwords_install(w->name, w->inc, &to);
    lastwords_tell(CTL_FD);
}

static void connect_planes(struct worker *w)
{
    char to[160];
    worker_endpoint(w, "store/sock", to, sizeof to);
    w->store = plane_store_new(w->loop, to, w->peer, w->inc);
    worker_endpoint(w, "bus/sock", to, sizeof to);
    w->bus = plane_bus_new(w->loop, to, w->peer, w->inc);
}

/* Everything is loaded and connected: from here on only what the profile allows. */
static void close_sandbox(struct worker *w)
{
    sandbox_calls(&w->sandbox);
    if (w->sandbox.profile != NULL) {
        ctl_say(w->ctl, CTL_SECURITY, sandbox_bits(&w->sandbox), w->sandbox.why);
    }
}

static void start(struct worker *w)
{
    sandbox_files(&w->sandbox, &w->conf); /* before the thread of ZeroMQ exists */
    w->loop = loop_new();
    loop_timer_init(&w->beat, w->loop, on_beat, w);
    loop_timer_init(&w->drain_timer, w->loop, on_drain_late, w);
    (void)fcntl(CTL_FD, F_SETFD, FD_CLOEXEC);
    w->ctl = ctl_new(w->loop, CTL_FD, on_packet, w);
    ev_signal_init(&w->term, on_term, SIGTERM);
    w->term.data = w;
    ev_signal_start(loop_ev(w->loop), &w->term);
    ctl_say(w->ctl, CTL_HELLO, (uint64_t)getpid(), ctl_build_id);
    if (w->ops->planes == PLANES_BOTH) {
        connect_planes(w);
    }
}

static void finish(struct worker *w)
{
    if (w->ops->stop) {
        w->ops->stop(w);
    }
    plane_bus_free(w->bus);
    plane_store_free(w->store);
    loop_timer_stop(&w->beat);
    loop_timer_stop(&w->drain_timer);
    ev_signal_stop(loop_ev(w->loop), &w->term);
    lastwords_tell(-1);
    ctl_free(w->ctl);
    loop_free(w->loop);
    conf_free(&w->conf);
}

int worker_main(int argc, char **argv, const struct worker_ops *ops)
{
    static struct worker worker;
    struct worker *w = &worker;
    w->ops = ops;
    if (!arguments(w, argc, argv) || !is_control_socket(CTL_FD)) {
        (void)fprintf(stderr, "tenaza-%s is started by tenaza-supervisor, not by hand; see `tenaza run`\n",
                      ops->kind);
        return EXIT_USAGE;
    }
    ignore(SIGPIPE);
    ignore(SIGINT); /* Ctrl-C reaches the whole terminal group; the supervisor decides what it means */
    ignore(SIGHUP);
    sandbox_begin(&w->sandbox, ops->kind);
    bool section = read_section(CONF_FD, &w->conf);
    start_log(w);
    if (!section) {
        die(EXIT_USAGE, "the config section on descriptor %d cannot be read", CONF_FD);
    }
    start(w);
    int rc = ops->init(w);
    if (rc != 0) {
        end(w, rc);
    }
    if (!w->ending) {
        close_sandbox(w);
        on_beat(w);
        ctl_drain(w->ctl);
    }
    if (!w->ending) {
        loop_run(w->loop);
    }
    finish(w);
    if (w->orphan) {
        _exit(0); /* not through the lingering of sockets: nobody is left to talk to */
    }
    return w->exit_code;
}
