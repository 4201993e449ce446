/*
 * obituary.c: one file per death of a worker below <state>/crash: cause, usage, what it was doing, its last lines.
 * Runs in: supervisor.     Owns: the files there, at most KEEP of them.
 * Never: fails or waits because of the disk: what cannot be written is one line in the log; syncs; holds a secret.
 * Tested in: tests/unit/supervisor/test_evidence.c, tests/scn/o1-evidence.test.mjs
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/cgroup.h"
#include "supervisor/crashdir.h"
#include "supervisor/sup.h"

#define REPORT_MAX ((size_t)96 * 1024) /* ring, last words and other output together are below 76 KiB */

/* ---- what the numbers mean ------------------------------------------------------------------------------ */

static const struct {
    int status;
    const char *meaning;
} exits[] = {
    {0, "it ended by itself although nobody asked it to"},
    {1, "an error of a library or a sanitizer: see its output below"},
    {EXIT_USAGE, "it was started wrongly, or is of another version; it waits for you"},
    {EXIT_CONFIG, "its configuration is wrong; it waits until that is put right"},
    {EXIT_UNAVAILABLE, "something it needs is not there; it is tried again"},
    {EXIT_TEMPFAIL, "something it needs is not there for now; it is tried again"},
    {EXIT_INTERNAL, "it gave up because of an internal error"},
    {127, "its program could not be run: missing, not executable, or of another machine"},
};

static const struct {
    int signal;
    const char *meaning;
} signals[] = {
    {SIGSEGV, "a bug: it touched memory that is not its own"},
    {SIGBUS, "a bug, or a file in memory became shorter, or the disk is full"},
    {SIGILL, "a bug, or a processor without a needed feature"},
    {SIGFPE, "a bug: arithmetic"},
    {SIGABRT, "a bug: it noticed that itself and stopped"},
    {SIGSYS, "a system call that its sandbox forbids"},
    {SIGXCPU, "its limit of processor time"},
    {SIGTERM, "somebody told it to end before it could listen"},
};

uint64_t obituary_oom_kills(void)
{
    char text[12288];
    uint64_t n = 0;
    int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    fd_close(&fd);
    text[got > 0 ? got : 0] = '\0';
    const char *at = strstr(text, "\noom_kill ");
    if (at != NULL) {
        (void)sv_u64(sv_mem(at + 10, strspn(at + 10, "0123456789")), &n);
    }
    return n;
}

static const char *meaning_of_signal(const struct child *c, int sig)
{
    if (sig == SIGKILL && c->evidence.killed_by_us) {
        return "the supervisor ended it: it did not listen";
    }
    if (sig == SIGKILL && cgroup_oom_kills(c->security.group) > 0) {
        return "the kernel ended it: it needed more memory than its control group may have";
    }
    if (sig == SIGKILL && obituary_oom_kills() > c->evidence.oom_kills) {
        return "the kernel ended it: out of memory (processes were killed for that while it ran)";
    }
    if (sig == SIGKILL) {
        return "somebody outside killed it";
    }
    if (sig == SIGABRT && c->life.overdue) {
        return "no sign of life in time: it was told to write its last words and end";
    }
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        if (signals[i].signal == sig) {
            return signals[i].meaning;
        }
    }
    return "a signal that we do not know the meaning of";
}

static const char *meaning_of(const struct child *c, const struct death *d)
{
    if (d->code != CLD_EXITED) {
        return meaning_of_signal(c, d->status);
    }
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        if (exits[i].status == d->status) {
            return exits[i].meaning;
        }
    }
    return "an exit code of its own";
}

static const char *message_name(uint16_t type)
{
    static const struct {
        uint16_t type;
        const char *name;
    } names[] = {
#define MSG(num, NAME, name, doc) {(num), #NAME},
#include "proto/messages.def"
#undef MSG
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].type == type) {
            return names[i].name;
        }
    }
    return "an unknown message";
}

/* ---- the report ----------------------------------------------------------------------------------------- */

/* Text of a worker: one line of it, without what would command a terminal. */
static void put_text(struct buf *b, const char *text, size_t cap)
{
    size_t n = strnlen(text, cap);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)text[i];
        (void)buf_ch(b, ch < 0x20 || ch == 0x7f ? ' ' : text[i]);
    }
}

static void put_doing(struct buf *b, const struct log_context *doing)
{
    char at[CLOCK_ISO_LEN];

    if (doing->message == 0 && doing->run[0] == '\0') {
        (void)buf_str(b, "was doing:   nothing yet\n");
        return;
    }
    clock_iso(doing->at_ms, at);
    (void)buf_printf(b, "was doing:   %s%s", doing->busy ? "" : "nothing; the last was ",
                     doing->message != 0 ? message_name(doing->message) : "work of its own");
    if (doing->run[0] != '\0') {
        (void)buf_str(b, ", run ");
        put_text(b, doing->run, sizeof doing->run);
    }
    if (doing->trace[0] != '\0') {
        (void)buf_str(b, ", trace ");
        put_text(b, doing->trace, sizeof doing->trace);
    }
    (void)buf_printf(b, ", since %s\n", at);
}

static void put_recorder(struct buf *b, const struct recorder *r)
{
    /* A copy of the strings' ends is not needed: nobody writes there any more. */
    put_doing(b, &r->context);
    if (r->words[0] != '\0') {
        (void)buf_str(b, "last words:  ");
        put_text(b, r->words, sizeof r->words);
        (void)buf_ch(b, '\n');
    }
}

static void put_head(struct buf *b, const struct child *c, const struct death *d)
{
    char at[CLOCK_ISO_LEN], ran[32];

    clock_iso(clock_real_ms(), at);
    duration_print(clock_mono_ms() - c->started_ms, ran, sizeof ran);
    (void)buf_printf(b, "worker:      %s\ntime:        %s\ncause:       %s\nmeaning:     %s\n", c->name, at, c->last_exit,
                     meaning_of(c, d));
    (void)buf_printf(b, "asked:       %s\npid:         %d, incarnation %" PRIu64 ", start %u\nran for:     %s%s\n",
                     d->asked ? "yes, it was told to end" : "no", (int)c->pid, c->inc, c->spawns, ran,
                     c->ready_ms == 0 ? ", never ready" : "");
    (void)buf_printf(b, "usage:       %.1f MB at most, %.2f s user, %.2f s system\n", (double)d->max_rss_kb / 1024,
                     (double)d->user_us / 1e6, (double)d->system_us / 1e6);
    if (c->status[0] != '\0') {
        (void)buf_str(b, "status:      ");
        put_text(b, c->status, sizeof c->status);
        (void)buf_ch(b, '\n');
    }
    (void)buf_str(b, "version:     " TENAZA_VERSION "\n");
}

static void build(struct buf *b, const struct child *c, const struct death *d)
{
    const struct evidence *e = &c->evidence;

    put_head(b, c, d);
    if (e->recorder != NULL) {
        put_recorder(b, e->recorder);
    }
    if (e->out.last_n > 0) {
        (void)buf_str(b, "\n--- what it wrote to its standard output and error, newest last ---\n");
        (void)buf_add(b, e->out.last, e->out.last_n);
    }
    if (e->recorder != NULL) {
        (void)buf_str(b, "\n--- its log, newest last ---\n");
        recorder_lines(e->recorder, b);
    }
}

/* ---- the file ------------------------------------------------------------------------------------------- */

static int save(const char *dir, const char *id, sv text)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s.txt", dir, id) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return ERR_IO;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return ERR_IO;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return ERR_IO;
    }
    int rc = fd_write_all(fd, text.p, text.n);
    int why = errno;
    fd_close(&fd);
    if (rc != OK) {
        (void)unlink(path); /* half a report would be believed */
        errno = why;
    }
    return rc;
}

void obituary_write(struct child *c, const struct death *d)
{
    struct buf b = BUF_INIT(REPORT_MAX);
    char dir[PATH_MAX + 16], id[CRASH_ID_MAX];

    if (d->asked && d->code == CLD_EXITED && d->status == 0) {
        return;
    }
    build(&b, c, d);
    crash_dir(c->sup->state_dir, dir, sizeof dir);
    crash_id(c->name, clock_real_ms(), id, sizeof id);
    if (save(dir, id, buf_view(&b)) != OK) {
        log_warn("%s: its crash report is not kept: %s", c->name, strerror(errno));
    } else {
        crash_prune(dir);
        log_info("%s: crash report: tenaza crashes show %s", c->name, id);
    }
    buf_free(&b);
}
