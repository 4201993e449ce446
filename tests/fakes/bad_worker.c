/*
 * bad_worker.c: a worker that misbehaves. Stands in for one executable of a gateway; what it does says the file
 *               <executable>.mode beside it.
 * Runs in: scenarios, started by a supervisor.     Owns: nothing; every way to misbehave has an end of its own.
 * Never: installed.
 * Tested in: tests/scn/h1-bad-workers.test.mjs
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "proto/control.h"

#define LIFE_MS 60000 /* nothing here lives longer, whatever happens */
#define BEAT_MS 1000
#define EAT_STEP ((size_t)8 << 20)
#define EAT_MAX ((size_t)384 << 20) /* then it stops growing: the machine belongs to others too */
#define FLOOD_MAX ((size_t)400 << 20)

static char mode[32], pids_file[PATH_MAX];

static void say(uint16_t type, uint64_t num, const char *text)
{
    struct ctl_packet p = {.type = type, .num = num};
    sv_copy(p.text, sizeof p.text, sv_of(text));
    (void)!ctl_send(CTL_FD, &p, -1);
}

static bool is_mode(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void ignore(int sig)
{
    (void)sigaction(sig, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

static void read_mode(void)
{
    char self[PATH_MAX], path[PATH_MAX + 8];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct buf b = BUF_INIT(sizeof mode - 1);

    self[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "%s.mode", self);
    snprintf(pids_file, sizeof pids_file, "%.4000s.pids", self);
    if (file_read(path, &b) != OK || !sv_copy(mode, sizeof mode, sv_trim(buf_view(&b)))) {
        exit(EXIT_USAGE);
    }
    buf_free(&b);
}

/* ---- children that outlive it ---------------------------------------------------------------------------- */

static void note_pid(pid_t pid)
{
    char line[24];
    int fd = open(pids_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int n = snprintf(line, sizeof line, "%d\n", (int)pid);

    if (fd < 0 || write(fd, line, (size_t)n) != n) {
        _exit(EXIT_CANTCREAT);
    }
    close(fd);
}

static void stay(void)
{
    ignore(SIGTERM);
    ignore(SIGHUP);
    note_pid(getpid());
    for (int fd = 0; fd < 16; fd++) {
        close(fd);
    }
    sleep(LIFE_MS / 1000);
    _exit(0);
}

/* One in the group, one in a session of its own, one that has forked twice. */
static void leave_children(void)
{
    if (fork() == 0) {
        stay();
    }
    if (fork() == 0) {
        setsid();
        stay();
    }
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            stay();
        }
        _exit(0);
    }
}

/* Says in its status how many children of the one before it still live: there must be none. */
static void count_left(void)
{
    struct buf b = BUF_INIT(4096);
    unsigned alive = 0;
    char text[64];

    if (file_read(pids_file, &b) == OK) {
        for (sv rest = buf_view(&b); rest.n > 0;) {
            int64_t pid;
            alive += sv_i64(sv_cut(&rest, '\n'), &pid) && kill((pid_t)pid, 0) == 0 ? 1 : 0;
        }
    }
    buf_free(&b);
    unlink(pids_file);
    snprintf(text, sizeof text, "left by the one before: %u", alive);
    say(CTL_STATUS, 0, text);
}

/* ---- in service ------------------------------------------------------------------------------------------ */

static void flood(size_t *written)
{
    static char line[65536];

    if (*written == 0) {
        memset(line, 'x', sizeof line);
        line[sizeof line - 1] = '\n';
    }
    for (int i = 0; i < 64 && *written < FLOOD_MAX; i++) {
        (void)!write(LOG_FD, line, sizeof line);
        *written += sizeof line;
    }
}

static void eat(size_t *eaten)
{
    char *p = *eaten < EAT_MAX ? malloc(EAT_STEP) : NULL;

    if (p != NULL) {
        for (size_t i = 0; i < EAT_STEP; i += 4096) {
            *(volatile char *)(p + i) = 1; /* nobody reads it: without volatile nothing would happen */
        }
        *eaten += EAT_STEP;
    }
}

/* Beats and obeys DRAIN, as far as the mode lets it. */
static int serve(void)
{
    int64_t end = clock_mono_ms() + LIFE_MS, beat = 0;
    size_t volume = 0;
    bool deaf = is_mode("ignore-term");

    while (clock_mono_ms() < end) {
        struct pollfd p = {.fd = CTL_FD, .events = POLLIN};
        struct ctl_packet got;
        int fd = -1;
        if (clock_mono_ms() >= beat) {
            say(CTL_BEAT, 0, "");
            beat = clock_mono_ms() + BEAT_MS;
        }
        (void)poll(&p, 1, is_mode("flood") || is_mode("eat") ? 5 : 100);
        int rc = ctl_recv(CTL_FD, &got, &fd);
        fd_close(&fd);
        if (rc == ERR_CLOSED || (rc == OK && got.type == CTL_DRAIN && !deaf)) {
            return 0;
        }
        if (is_mode("flood")) {
            flood(&volume);
        } else if (is_mode("eat")) {
            eat(&volume);
        }
    }
    return 0;
}

static void hang(void)
{
    sleep(LIFE_MS / 1000);
    exit(0);
}

int main(void)
{
    read_mode();
    if (is_mode("exit")) {
        return 3;
    }
    if (is_mode("hang-start")) {
        hang();
    }
    say(CTL_HELLO, (uint64_t)getpid(), is_mode("other-build") ? "9.9.9+0123456789ab" : ctl_build_id);
    if (is_mode("ignore-term")) {
        ignore(SIGTERM);
    }
    if (is_mode("forks")) {
        count_left();
        leave_children();
    }
    say(CTL_READY, 0, "");
    if (is_mode("hang-later")) {
        ignore(SIGABRT); /* not even last words */
        hang();
    }
    return serve();
}
