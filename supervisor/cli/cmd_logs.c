/*
 * cmd_logs.c: logs: the lines of <state>/logs/tenaza.log, newest last; -f follows; logs level changes what is written.
 * Runs in: command line.     Owns: nothing; works without a running gateway.
 * Never: reads more than the last 8 MiB to find the last lines.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
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
#define TAIL_SHORT ((size_t)256 * 1024) /* for the view of one worker */
#define FOLLOW_MS 200

/* What a line must be like; absent members (NULL, 0) let everything through. */
struct filter {
    const char *worker, *run;
    enum log_level level;
    int64_t since_ms, until_ms;
    regex_t grep;
    bool has_grep;
};

static bool text_matches(const struct filter *f, sv msg)
{
    if (!f->has_grep) {
        return true;
    }
    char *text = xsvdup(msg);
    bool hit = regexec(&f->grep, text, 0, NULL, 0) == 0;
    xfree(text);
    return hit;
}

static bool wanted(const struct filter *f, const json_t *v)
{
    char name[16];
    enum log_level level = LOG_L_INFO;
    int64_t at = 0;
    if (sv_copy(name, sizeof name, json_sv(v, "level"))) {
        (void)log_level_parse(name, &level);
    }
    (void)clock_iso_parse(json_sv(v, "ts"), &at);
    return level <= f->level && (!f->worker || sv_eqc(json_sv(v, "worker"), f->worker)) &&
           (!f->run || sv_eqc(json_sv(v, "run"), f->run)) && at >= f->since_ms &&
           (f->until_ms == 0 || at <= f->until_ms) && text_matches(f, json_sv(v, "msg"));
}

/* "18:04:31 warn  irc/default  text  run=ID", without what would command a terminal. */
static void format_line(const struct filter *f, const json_t *v, struct buf *out)
{
    char at[16] = "";
    int64_t ms = 0;
    (void)clock_iso_parse(json_sv(v, "ts"), &ms);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    (void)strftime(at, sizeof at, "%H:%M:%S", localtime_r(&seconds, &tm));
    (void)buf_printf(out, "%s %-5.*s %.*s  %.*s", at, SV_ARG(json_sv(v, "level")), SV_ARG(json_sv(v, "worker")),
                     SV_ARG(json_sv(v, "msg")));
    if (!sv_empty(json_sv(v, "run")) && !f->run) {
        (void)buf_printf(out, "  run=%.*s", SV_ARG(json_sv(v, "run")));
    }
}

static void print_line(const struct cli *c, const struct filter *f, sv line)
{
    json_t *v = json_parse(line, NULL, 0);
    if (v && wanted(f, v)) {
        if (c->json) {
            printf("%.*s\n", SV_ARG(line));
        } else {
            struct buf text = BUF_INIT(65536);
            format_line(f, v, &text);
            cli_text(buf_view(&text));
            putchar('\n');
            buf_free(&text);
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

/* "10m": so long ago; or a time like 2026-11-20T18:04:31Z. */
static int64_t time_of(const struct cli *c, const char *option, const char *text)
{
    int64_t ms;
    if (!text) {
        return 0;
    }
    if (duration_parse(sv_of(text), &ms)) {
        return clock_real_ms() - ms;
    }
    if (!clock_iso_parse(sv_of(text), &ms)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "%s: a duration like 10m or a time like 2026-11-20T18:04:31Z, not \"%s\"", option,
                 text);
    }
    return ms;
}

static void read_filter(struct cli *c, struct filter *f)
{
    const char *level = cli_option(c, "--level", "-l"), *grep = cli_option(c, "--grep", NULL);
    f->worker = cli_option(c, "--worker", "-w");
    f->run = cli_option(c, "--run", NULL);
    f->since_ms = time_of(c, "--since", cli_option(c, "--since", NULL));
    f->until_ms = time_of(c, "--until", cli_option(c, "--until", NULL));
    if (level && !log_level_parse(level, &f->level)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--level: error, warn, info, debug or trace, not \"%s\"", level);
    }
    if (grep) {
        int rc = regcomp(&f->grep, grep, REG_EXTENDED | REG_NOSUB);
        char why[128];
        if (rc != 0) {
            (void)regerror(rc, &f->grep, why, sizeof why);
            cli_fail(c, CLI_USAGE, "usage", NULL, "--grep: \"%s\" is no regular expression: %s", grep, why);
        }
        f->has_grep = true;
    }
}

static int set_level(struct cli *c)
{
    enum log_level level;
    if (c->argc < 2 || !log_level_parse(c->argv[1], &level)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza logs level error|warn|info|debug|trace [WORKER]", "logs level: which level?");
    }
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    char *request = xasprintf("log-level %s %s", c->argv[1], c->argc > 2 ? c->argv[2] : "");
    json_t *v = ctl_request(c, fd, request);
    xfree(request);
    fd_close(&fd);
    if (c->json) {
        cli_print_json(json_incref(v));
    } else {
        cli_say(c, "%s logs at level %s until it is changed again or the gateway is restarted",
                c->argc > 2 ? c->argv[2] : "every worker", c->argv[1]);
    }
    json_free(&v);
    return CLI_OK;
}

static int print_log(struct cli *c, struct filter *f)
{
    const char *lines = cli_option(c, "--lines", "-n");
    bool following = cli_flag(c, "--follow", "-f");
    uint64_t n = 100;
    cli_words(c, 0);
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
    print_all(c, f, last_lines(f, buf_view(&b), n));
    buf_free(&b);
    if (following) {
        follow(c, f, path, fd, from + (got > 0 ? got : 0));
    } else {
        fd_close(&fd);
    }
    xfree(path);
    return CLI_OK;
}

int cmd_logs(struct cli *c)
{
    struct filter f = {.level = LOG_L_TRACE};
    read_filter(c, &f);
    if (c->argc > 0 && strcmp(c->argv[0], "level") == 0) {
        cli_words(c, 3);
        return set_level(c);
    }
    int rc = print_log(c, &f);
    if (f.has_grep) {
        regfree(&f.grep);
    }
    return rc;
}

void logs_tail(const struct cli *c, const char *name, unsigned n, struct buf *out)
{
    const struct filter f = {.worker = name, .level = LOG_L_TRACE};
    struct buf b = BUF_INIT(TAIL_SHORT + 1);
    struct stat st;
    char *path = log_file(c);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        off_t from = st.st_size > (off_t)TAIL_SHORT ? st.st_size - (off_t)TAIL_SHORT : 0;
        char *room = buf_room(&b, (size_t)(st.st_size - from));
        ssize_t got = room ? pread(fd, room, (size_t)(st.st_size - from), from) : 0;
        b.n += got > 0 ? (size_t)got : 0;
    }
    sv rest = last_lines(&f, buf_view(&b), n);
    while (!sv_empty(rest)) {
        json_t *v = json_parse(sv_cut(&rest, '\n'), NULL, 0);
        if (v && wanted(&f, v)) {
            format_line(&f, v, out);
            (void)buf_ch(out, '\n');
        }
        json_free(&v);
    }
    fd_close(&fd);
    xfree(path);
    buf_free(&b);
}

int logs_of_worker(struct cli *c, const char *name)
{
    struct filter f = {.worker = name, .level = LOG_L_TRACE};
    return print_log(c, &f);
}
