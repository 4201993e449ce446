/*
 * cmd_daemon.c: run, stop, url, version: the gateway as a whole.
 * Runs in: command line; `run` becomes the supervisor.     Owns: nothing.
 * Never: reports a stop before the process is gone.
 * Tested in: tests/scn/a1-first-reply.test.mjs, a2-bad-input.test.mjs
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"
#include "supervisor/conf_tree.h"

#define WORDS_MAX 64

/* Our programs stand beside this executable (a built tree) or in ../libexec/tenaza (installed). */
void cli_become(const char *program, char *const argv[])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
    }
    for (int i = 0; i < 2; i++) {
        char *path = i == 0 ? xasprintf("%s/%s", self, program)
                            : xasprintf("%s/../libexec/tenaza/%s", self, program);
        execv(path, argv);
        xfree(path);
    }
}

int cmd_run(struct cli *c)
{
    char *argv[WORDS_MAX];
    int n = 0;
    argv[n++] = xstrdup("tenaza-supervisor");
    if (c->config) {
        argv[n++] = xstrdup("--config");
        argv[n++] = xstrdup(c->config);
    }
    if (c->state_given) {
        argv[n++] = xstrdup("--state");
        argv[n++] = c->state;
    }
    /* What is not given here the supervisor finds by the same rules (supervisor/paths.h). */
    for (int i = 0; i < c->argc && n < WORDS_MAX - 1; i++) {
        argv[n++] = c->argv[i];
    }
    argv[n] = NULL;
    cli_become("tenaza-supervisor", argv);
    fprintf(stderr, "tenaza: cannot start tenaza-supervisor: %s\n  it belongs beside this command or into ../libexec/tenaza\n",
            strerror(errno));
    return EXIT_UNAVAILABLE;
}

int cmd_stop(struct cli *c)
{
    int64_t wait_ms = 30000;
    const char *wait = cli_option(c, "--wait", NULL);
    cli_words(c, 0);
    if (wait && !duration_parse(sv_of(wait), &wait_ms)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--wait: a duration like 30s is needed, not \"%s\"", wait);
    }
    int fd = ctl_connect(c);
    if (fd < 0) {
        if (c->json) {
            cli_print_json(json_pack("{s:b, s:b}", "ok", 1, "wasRunning", 0));
        } else {
            cli_say(c, "not running");
        }
        return CLI_OK;
    }
    json_t *v = ctl_request(c, fd, "stop");
    json_free(&v);
    int64_t end = clock_mono_ms() + wait_ms;
    char gone;
    /* The supervisor holds this connection until it exits. */
    while (clock_mono_ms() < end) {
        ssize_t n = read(fd, &gone, 1);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            fd_close(&fd);
            if (c->json) {
                cli_print_json(json_pack("{s:b, s:b}", "ok", 1, "wasRunning", 1));
            } else {
                cli_say(c, "stopped");
            }
            return CLI_OK;
        }
    }
    cli_fail(c, CLI_FAILED, "still_running", "look at: tenaza status", "still stopping after %s", wait ? wait : "30s");
}

/* The token as the gateway found it: configured, or made at its first start. */
static char *find_token(const struct cli *c, sv config, sv state)
{
    struct cfg cfg;
    char path[PATH_MAX], *token = NULL;
    bool made;
    cfg_init(&cfg);
    if (sv_copy(path, sizeof path, config) && path[0]) {
        cfg_load(&cfg, path);
        cfg_resolve_secrets(&cfg);
    }
    if (strcmp(cfg_str(&cfg, "edge.auth.mode"), "none") == 0) {
        token = xstrdup("");
    } else if (!sv_copy(path, sizeof path, state) || cfg_gateway_token(&cfg, path, false, &token, &made) != OK) {
        cli_fail(c, CLI_DENIED, "no_token", "run it as the user of the gateway", "the token of the gateway cannot be read");
    }
    cfg_free(&cfg);
    return token;
}

int cmd_url(struct cli *c)
{
    cli_words(c, 0);
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    json_t *v = ctl_request(c, fd, "status");
    fd_close(&fd);
    char *token = find_token(c, json_sv(v, "configPath"), json_sv(v, "stateDir"));
    char *full = xasprintf("%.*s/%s%s", SV_ARG(json_sv(v, "url")), token[0] ? "#token=" : "", token);
    if (c->json) {
        cli_print_json(json_pack("{s:s}", "url", full));
    } else {
        puts(full);
    }
    json_free(&v);
    xfree(full);
    xfree(token);
    return CLI_OK;
}

int cmd_version(struct cli *c)
{
    if (c->json) {
        cli_print_json(json_pack("{s:s, s:s}", "name", "tenaza", "version", TENAZA_VERSION));
    } else {
        puts("tenaza " TENAZA_VERSION);
    }
    return CLI_OK;
}
