/*
 * cmd_logs.c: logs: the lines of <state>/logs/tenaza.log, newest last; -f follows.
 * Runs in: command line.     Owns: nothing; works without a running gateway.
 * Never: reads more than the last 8 MiB to find the last lines.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/cli/cli.h"
#include "supervisor/conf_tree.h"
#include "supervisor/paths.h"

#define TAIL_MAX ((size_t)8 * 1024 * 1024)
#define FOLLOW_MS 200

struct filter {
    const char *worker;
    enum log_level level;
};

static bool wanted(const struct filter *f, const json_t *v)
{
    char name[16];
    enum log_level level = LOG_L_INFO;
    if (sv_copy(name, sizeof name, json_sv(v, "level"))) {
        (void)log_level_parse(name, &level);
    }
    return level <= f->level && (!f->worker || sv_eqc(json_sv(v, "worker"), f->worker));
}

static void print_line(const struct cli *c, const struct filter *f, sv line)
{
    json_t *v = json_parse(line, NULL, 0);
    if (v && wanted(f, v)) {
        if (c->json) {
            printf("%.*s\n", SV_ARG(line));
        } else {
            char at[16] = "";
            int64_t ms = 0;
            (void)clock_iso_parse(json_sv(v, "ts"), &ms);
            time_t seconds = (time_t)(ms / 1000);
            struct tm tm;
            (void)strftime(at, sizeof at, "%H:%M:%S", localtime_r(&seconds, &tm));
            printf("%s %-5.*s %.*s  ", at, SV_ARG(json_sv(v, "level")), SV_ARG(json_sv(v, "worker")));
            cli_text(json_sv(v, "msg"));
            putchar('\n');
        }
    }
    json_free(&v);
}

/* Start of the last n wanted lines of text. */
static sv last_lines(const struct filter *f, sv text, uint64_t n)
{
    size_t at = text.n;
    while (at > 0 && n > 0) {
        size_t end = at - 1, start = end;
        while (start > 0 && text.p[start - 1] != '\n') {
            start--;
        }
        json_t *v = json_parse(sv_sub(text, start, end - start), NULL, 0);
        n -= v && wanted(f, v);
        json_free(&v);
        at = start;
    }
    return sv_sub(text, at, text.n - at);
}

static void print_all(const struct cli *c, const struct filter *f, sv text)
{
    while (!sv_empty(text)) {
        print_line(c, f, sv_cut(&text, '\n'));
    }
    (void)fflush(stdout);
}

/* Prints what comes, until the reader goes away; starts over when the file was begun again. */
static void follow(const struct cli *c, const struct filter *f, const char *path, int fd, off_t at)
{
    struct buf b = BUF_INIT(TAIL_MAX);
    bool gone = false;
    for (;;) {
        struct stat now, open_file;
        if (stat(path, &now) == 0 && fstat(fd, &open_file) == 0 && (now.st_ino != open_file.st_ino || now.st_size < at)) {
            int fresh = open(path, O_RDONLY | O_CLOEXEC);
            if (fresh >= 0) {
                fd_close(&fd);
                fd = fresh;
                at = 0;
            }
        }
        char *room = buf_room(&b, 65536);
        ssize_t n = room ? pread(fd, room, 65536, at) : 0;
        if (n > 0) {
            at += n;
            b.n += (size_t)n;
            ptrdiff_t end = (ptrdiff_t)b.n;
            while (end > 0 && b.p[end - 1] != '\n') {
                end--;
            }
            print_all(c, f, sv_sub(buf_view(&b), 0, (size_t)end));
            buf_drop_front(&b, (size_t)end);
        } else {
            /* Waits, and notices at once when the reader of our pipe goes away. */
            struct pollfd out = {.fd = STDOUT_FILENO};
            gone = poll(&out, 1, FOLLOW_MS) > 0;
        }
        if (gone || ferror(stdout)) {
            break;
        }
    }
    buf_free(&b);
}

/* <state>/logs/tenaza.log, or where logging.file.dir says. */
static char *log_file(const struct cli *c)
{
    struct cfg cfg;
    char file[PATH_MAX];
    cfg_init(&cfg);
    if (paths_config(c->config, c->state_given ? c->state : NULL, file, sizeof file)) {
        cfg_load(&cfg, file);
    }
    const char *dir = cfg_str(&cfg, "logging.file.dir");
    char *path = dir ? xasprintf("%s/tenaza.log", dir) : xasprintf("%s/logs/tenaza.log", c->state);
    cfg_free(&cfg);
    return path;
}

int cmd_logs(struct cli *c)
{
    struct filter f = {.worker = cli_option(c, "--worker", "-w"), .level = LOG_L_TRACE};
    const char *level = cli_option(c, "--level", "-l"), *lines = cli_option(c, "--lines", "-n");
    bool following = cli_flag(c, "--follow", "-f");
    uint64_t n = 100;
    cli_words(c, 0);
    if (level && !log_level_parse(level, &f.level)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--level: error, warn, info, debug or trace, not \"%s\"", level);
    }
    if (lines && !sv_u64(sv_of(lines), &n)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "-n: a number is needed, not \"%s\"", lines);
    }
    char *path = log_file(c);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        cli_fail(c, CLI_NOT_THERE, "no_logs", "another state directory: --state DIR", "no log file: %s", path);
    }
    const off_t most = (off_t)TAIL_MAX / 2;
    off_t from = st.st_size > most ? st.st_size - most : 0;
    struct buf b = BUF_INIT(TAIL_MAX);
    char *room = buf_room(&b, (size_t)(st.st_size - from) + 1);
    ssize_t got = room ? pread(fd, room, (size_t)(st.st_size - from), from) : 0;
    b.n += got > 0 ? (size_t)got : 0;
    print_all(c, &f, last_lines(&f, buf_view(&b), n));
    buf_free(&b);
    if (following) {
        follow(c, &f, path, fd, from + (got > 0 ? got : 0));
    }
    fd_close(&fd);
    xfree(path);
    return CLI_OK;
}
