/*
 * cmd_top.c: top: a live view of the processes in the terminal.
 * Runs in: command line.     Owns: the terminal's mode, until it ends.
 * Never: leaves the terminal changed, also not when a signal ends it; needs a terminal library.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/top.h"

#define INTERVAL_MS 1000
#define INTERVAL_MIN_MS 100

static struct termios saved;
static bool changed;
static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    if (sig != SIGWINCH) { /* that one only has to interrupt the wait: the size is asked for at each frame */
        ended = 1;
    }
}

static void terminal_restore(void)
{
    if (changed) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
        (void)fputs("\x1b[?25h\x1b[?1049l", stdout); /* cursor, first screen */
        (void)fflush(stdout);
        changed = false;
    }
}

static void terminal_take(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    struct sigaction sa = {.sa_handler = on_signal};
    (void)sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        (void)sigaction(signals[i], &sa, NULL);
    }
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &saved) != 0) {
        return;
    }
    raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    changed = true;
    (void)atexit(terminal_restore);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void)fputs("\x1b[?1049h\x1b[?25l", stdout);
}

static void size_of_terminal(struct top *t)
{
    struct winsize ws;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 && ws.ws_col > 0;
    t->rows = known ? ws.ws_row : 50;
    t->columns = known ? ws.ws_col : 160;
}

static void ask(struct top *t, int fd)
{
    static int64_t asked_us;
    int64_t now = clock_mono_us();
    json_free(&t->before);
    t->before = t->now;
    t->now = ctl_request(t->cli, fd, "stats");
    t->seconds = (double)(now - asked_us) / 1e6;
    asked_us = now;
}

static void draw(struct top *t)
{
    struct buf frame = BUF_INIT((size_t)1024 * 1024);
    size_of_terminal(t);
    top_frame(t, &frame);
    (void)fputs("\x1b[H", stdout);
    sv rest = buf_view(&frame);
    while (!sv_empty(rest)) {
        sv line = sv_cut(&rest, '\n');
        printf("%.*s\x1b[K%s", SV_ARG(line), sv_empty(rest) ? "" : "\r\n"); /* a last newline would scroll */
    }
    (void)fputs("\x1b[J", stdout);
    (void)fflush(stdout);
    buf_free(&frame);
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static void restart(struct top *t, int fd, const char *name)
{
    char *request = xasprintf("worker restart %s\n", name);
    /* Not ctl_request: a refusal is a line here, not the end. */
    bool sent = fd_write_all(fd, request, strlen(request)) == OK;
    char answer[512] = "";
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t n = sent && poll(&p, 1, 2000) > 0 ? read(fd, answer, sizeof answer - 1) : 0;
    json_t *v = n > 0 ? json_parse(sv_trim(sv_mem(answer, (size_t)n)), NULL, 0) : NULL;
    sv why = json_sv(v, "error");
    (void)snprintf(t->note, sizeof t->note, "%s: %.*s", name, v && sv_empty(why) ? 10 : (int)why.n,
                   v && sv_empty(why) ? "restarting" : why.p ? why.p : "no answer");
    json_free(&v);
    xfree(request);
}

static void type_filter(struct top *t, char key)
{
    size_t n = strlen(t->filter);
    if (key == '\r' || key == '\n') {
        t->typing = false;
    } else if (key == '\x1b') {
        t->typing = false;
        t->filter[0] = '\0';
    } else if ((key == '\x7f' || key == '\b') && n > 0) {
        t->filter[n - 1] = '\0';
    } else if ((unsigned char)key >= 0x20 && n + 1 < sizeof t->filter) {
        t->filter[n] = key;
        t->filter[n + 1] = '\0';
    }
    t->selected = 0;
}

static void press(struct top *t, int fd, sv keys)
{
    const char *names[512];
    size_t n = top_visible(t, names, ARRAY_LEN(names));
    if (t->typing) {
        type_filter(t, keys.p[0]);
        return;
    }
    t->note[0] = '\0';
    if (sv_starts(keys, SV("\x1b[A")) || keys.p[0] == 'k') {
        t->selected -= t->selected > 0;
    } else if (sv_starts(keys, SV("\x1b[B")) || keys.p[0] == 'j') {
        t->selected += t->selected + 1 < n;
    } else if (keys.p[0] == 'q') {
        ended = 1;
    } else if (keys.p[0] == 'l') {
        t->show_log = !t->show_log;
    } else if (keys.p[0] == '/') {
        t->typing = true;
        t->filter[0] = '\0';
    } else if (keys.p[0] == 'r' && t->selected < n) {
        restart(t, fd, names[t->selected]);
    }
}

/* Until the next sample is due; every key is drawn at once. */
static void wait_for_keys(struct top *t, int fd, int64_t until_ms)
{
    while (!ended) {
        int64_t left = until_ms - clock_mono_ms();
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        int rc = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (rc == 0) {
            return;
        }
        char keys[64];
        ssize_t n = rc > 0 ? read(STDIN_FILENO, keys, sizeof keys) : 0;
        if (rc > 0 && n <= 0) {
            ended = 1; /* the terminal is gone */
        }
        for (ssize_t i = 0; i < n && !ended;) {
            press(t, fd, sv_mem(keys + i, (size_t)(n - i)));
            i += keys[i] == '\x1b' && n - i >= 3 ? 3 : 1;
        }
        if (!ended) {
            draw(t);
        }
    }
}

static int once(struct top *t, int fd)
{
    struct buf frame = BUF_INIT((size_t)1024 * 1024);
    ask(t, fd);
    t->rows = 1000;
    t->columns = 160;
    t->selected = SIZE_MAX;
    top_frame(t, &frame);
    sv rest = buf_view(&frame);
    while (!sv_empty(rest)) {
        sv line = sv_cut(&rest, '\n');
        if (sv_starts(line, SV("\x1b[7m"))) {
            line = sv_sub(line, 4, line.n - 8);
        }
        printf("%.*s\n", SV_ARG(line));
    }
    buf_free(&frame);
    return CLI_OK;
}

int cmd_top(struct cli *c)
{
    struct top t = {.cli = c};
    int64_t interval = INTERVAL_MS;
    const char *given = cli_option(c, "--interval", NULL);
    cli_words(c, 0);
    if (given && (!duration_parse(sv_of(given), &interval) || interval < INTERVAL_MIN_MS)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--interval: a duration of 100ms or more, not \"%s\"", given);
    }
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)) {
        int rc = once(&t, fd); /* for a script or a file: one frame */
        json_free(&t.now);
        fd_close(&fd);
        return rc;
    }
    terminal_take();
    while (!ended) {
        ask(&t, fd);
        draw(&t);
        wait_for_keys(&t, fd, clock_mono_ms() + interval);
    }
    terminal_restore();
    json_free(&t.now);
    json_free(&t.before);
    fd_close(&fd);
    return CLI_OK;
}
