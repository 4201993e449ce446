/*
 * main.c: the supervisor: reads the configuration, takes its places, starts the workers.
 * Runs in: supervisor.     Owns: struct sup.
 * Never: parses messages of users, links ZeroMQ, LMDB, curl or TLS, starts threads.
 * Tested in: by every scenario
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/paths.h"
#include "supervisor/sup.h"

/* ---- start --------------------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: tenaza-supervisor [--config FILE] [--state DIR] [--port N] [--bind ADDRESS] [--log-level LEVEL]\n"
    "People start it with: tenaza run\n";

static void parse_args(struct sup *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},    {"state", required_argument, NULL, 's'},
        {"port", required_argument, NULL, 'p'},      {"bind", required_argument, NULL, 'b'},
        {"log-level", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int o;
    uint64_t port;

    s->opts.port = -1;
    while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (o == 'c') {
            s->opts.config = optarg;
        } else if (o == 's') {
            s->opts.state = optarg;
        } else if (o == 'b') {
            s->opts.bind = optarg;
        } else if (o == 'l') {
            s->opts.level = optarg;
        } else if (o == 'p' && sv_u64(sv_of(optarg), &port) && port <= 65535) {
            s->opts.port = (int)port;
        } else {
            fputs(usage, o == 'h' ? stdout : stderr);
            exit(o == 'h' ? 0 : EXIT_USAGE);
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        exit(EXIT_USAGE);
    }
}

static void load_config(struct sup *s)
{
    char file[PATH_MAX];

    s->opts.state = paths_state_given(s->opts.state);
    if (paths_config(s->opts.config, s->opts.state, file, sizeof file) && realpath(file, s->config_file) == NULL) {
        sv_copy(s->config_file, sizeof s->config_file, sv_of(file));
    }
    config_read(s, s->config_file, &s->cfg);
    fputs(buf_cstr(&s->cfg.warnings), stderr);
    if (s->cfg.error_n > 0) {
        fprintf(stderr, "tenaza: the configuration has %u error%s:\n%s", s->cfg.error_n,
                s->cfg.error_n == 1 ? "" : "s", buf_cstr(&s->cfg.errors));
        exit(EXIT_CONFIG);
    }
    config_use(s);
}

static void find_programs(struct sup *s)
{
    ssize_t n = readlink("/proc/self/exe", s->exe_dir, sizeof s->exe_dir - 1);

    if (n <= 0) {
        die(EXIT_UNAVAILABLE, "/proc is not mounted: the workers' programs cannot be found");
    }
    s->exe_dir[n] = '\0';
    char *slash = strrchr(s->exe_dir, '/');
    *slash = '\0';
    snprintf(s->libexec, sizeof s->libexec, "%.*s/../libexec/tenaza", PATH_MAX - 32, s->exe_dir);
}

/* Is stderr the journal? systemd names the file behind it in JOURNAL_STREAM; somebody may have redirected it since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char here[64];

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, here) == 0;
}

/* A datagram socket to journald, which all workers share; -1: there is no journald. */
static int open_journal(void)
{
    const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = LOG_JOURNAL_SOCKET};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fd_close(&fd);
    }
    return fd;
}

static void setup_log(struct sup *s)
{
    const char *console = cfg_str(&s->cfg, "logging.console");
    enum log_level level = LOG_L_INFO;
    bool to_journal = strcmp(console, "journal") == 0 || (strcmp(console, "auto") == 0 && stderr_is_journal());

    s->log_style = LOG_STYLE_PLAIN;
    s->console_fd = strcmp(console, "off") == 0 ? -1 : STDERR_FILENO;
    if (to_journal) {
        int fd = open_journal();
        s->log_style = fd >= 0 ? LOG_STYLE_JOURNAL : LOG_STYLE_PREFIX;
        s->console_fd = fd >= 0 ? fd : s->console_fd;
    }
    sv_copy(s->log_level, sizeof s->log_level, sv_of(cfg_str(&s->cfg, "logging.level")));
    (void)log_level_parse(s->log_level, &level);
    log_init("supervisor", 0, s->log_style, s->log_fd);
    log_set_level(level);
    log_set_console(s->console_fd);
}

static void make_token(struct sup *s)
{
    if (strcmp(cfg_str(&s->cfg, "edge.auth.mode"), "none") == 0) {
        s->token = xstrdup("");
        return;
    }
    int rc = cfg_gateway_token(&s->cfg, s->state_dir, true, &s->token, &s->token_made);
    if (rc == ERR_PARSE) {
        die(EXIT_CONFIG, "%s/gateway.token is damaged (shorter than 16 characters); delete it to get a new one",
            s->state_dir);
    }
    if (rc != 0) {
        die(EXIT_NOPERM, "%s/gateway.token cannot be read or made: %s", s->state_dir, strerror(errno));
    }
}

static void write_pid(struct sup *s)
{
    char text[24];

    snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (dirs_write_small(s->run_dir, "pid", text) != 0) {
        die(EXIT_CANTCREAT, "%s/pid cannot be written: %s", s->run_dir, strerror(errno));
    }
}

static void begin(struct sup *s)
{
    const struct confine_dirs dirs = {s->run_dir, s->state_dir, s->exe_dir};

    confine_begin(&s->confine, &s->cfg, &dirs);
    loop_setup(s);
    notify_watchdog_start(s);
    ctlsock_open(s);
    children_make(s);
    s->changed = true;
    for (size_t i = 0; i < s->child_n; i++) {
        life_event(&s->children[i]->life, LE_START);
    }
}

static void finish(struct sup *s)
{
    ctlsock_close(s);
    for (size_t i = 0; i < s->child_n; i++) {
        child_free(s->children[i]);
    }
    confine_end(&s->confine);
    log_info("stopped");
    ev_loop_destroy(s->loop);
    listen_close(s);
    if (s->token != NULL) {
        explicit_bzero(s->token, strlen(s->token));
    }
    xfree(s->token);
    cfg_free(&s->cfg);
    fd_close(&s->log_fd);
}

int main(int argc, char **argv)
{
    static struct sup s;

    s.begun_us = clock_mono_us();
    s.begun_ms = s.begun_us / 1000;
    log_init("supervisor", 0, LOG_STYLE_PLAIN, -1);
    (void)umask(077);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    parse_args(&s, argc, argv);
    load_config(&s);
    find_programs(&s);
    dirs_state(&s);
    dirs_runtime(&s);
    dirs_log(&s);
    setup_log(&s);
    make_token(&s);
    listen_open(&s);
    write_pid(&s);
    begin(&s);
    ev_run(s.loop, 0);
    finish(&s);
    return s.exit_code;
}
