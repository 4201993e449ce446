/*
 * main.c: the `tenaza` command: global options, then one row of commands.def.
 * Runs in: command line.     Owns: the option values.
 * Never: holds the logic of a command.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "supervisor/cli/cli.h"
#include "supervisor/conf_schema.h"
#include "supervisor/conf_tree.h"
#include "supervisor/paths.h"

const struct command commands[] = {
#define COMMAND(name, fn, args, doc) {name, fn, args, doc},
#include "supervisor/cli/commands.def"
#undef COMMAND
};
const size_t commands_n = ARRAY_LEN(commands);

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < commands_n; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

int cmd_help(struct cli *c)
{
    cli_words(c, 1);
    const struct command *only = c->argc > 0 ? find(c->argv[0]) : NULL;
    printf("usage: tenaza [-c FILE] [--state DIR] [--json] [-q] [--timeout DUR] [--no-color] COMMAND ...\n\n");
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *k = &commands[i];
        if (!only || only == k) {
            printf("  tenaza %s %s\n      %s\n", k->name, k->args, k->doc);
        }
    }
    return CLI_OK;
}

static void unknown(const struct cli *c, const char *name)
{
    const char *best = NULL;
    unsigned least = 4;
    for (size_t i = 0; i < commands_n; i++) {
        unsigned d = conf_distance(name, commands[i].name, 3);
        if (d < least) {
            least = d;
            best = commands[i].name;
        }
    }
    if (best) {
        char *hint = xasprintf("did you mean: %s?", best);
        cli_fail(c, CLI_USAGE, "usage", hint, "unknown command: %s", name);
    }
    cli_fail(c, CLI_USAGE, "usage", "all commands: tenaza help", "unknown command: %s", name);
}

/* supervisor.stateDir of the configuration file, if it can be read; whether it is right is not asked here. */
static bool configured_state(struct cli *c)
{
    char file[PATH_MAX];
    struct cfg cfg;
    if (!paths_config(c->config, NULL, file, sizeof file)) {
        return false;
    }
    cfg_init(&cfg);
    cfg_load(&cfg, file);
    const char *dir = cfg_str(&cfg, "supervisor.stateDir");
    bool ok = dir && sv_copy(c->state, sizeof c->state, sv_of(dir));
    cfg_free(&cfg);
    return ok;
}

/* Where the state is when nobody says (supervisor/paths.h). */
static void default_state(struct cli *c)
{
    const char *env = paths_state_given(NULL);
    if (c->state_given) {
        return;
    }
    if (env) {
        c->state_given = true;
        (void)snprintf(c->state, sizeof c->state, "%s", env);
    } else if (!configured_state(c) && !paths_default_state(c->state, sizeof c->state)) {
        cli_fail(c, CLI_USAGE, "usage", "give --state DIR", "no state directory: there is no HOME");
    }
}

/* Global options may stand before or after the verb. */
static void globals(struct cli *c)
{
    c->json = cli_flag(c, "--json", NULL) || c->json;
    c->quiet = cli_flag(c, "--quiet", "-q") || c->quiet;
    const char *v = cli_option(c, "--config", "-c");
    c->config = v ? v : c->config;
    v = cli_option(c, "--state", NULL);
    if (v) {
        c->state_given = true;
        if ((size_t)snprintf(c->state, sizeof c->state, "%s", v) >= sizeof c->state) {
            cli_fail(c, CLI_USAGE, "usage", NULL, "--state: the path is too long");
        }
    }
    v = cli_option(c, "--timeout", NULL);
    if (v && (!duration_parse(sv_of(v), &c->timeout_ms) || c->timeout_ms <= 0)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--timeout: a duration like 30s is needed, not \"%s\"", v);
    }
    v = cli_option(c, "--color", NULL);
    const char *term = getenv("TERM");
    bool plain = getenv("NO_COLOR") != NULL || (term && strcmp(term, "dumb") == 0);
    c->colour = (isatty(STDOUT_FILENO) && !plain) || getenv("CLICOLOR_FORCE") != NULL;
    if (cli_flag(c, "--no-color", NULL) || (v && strcmp(v, "never") == 0)) {
        c->colour = false;
    } else if (v && strcmp(v, "always") == 0) {
        c->colour = true;
    }
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, "");
    struct cli c = {.argc = argc - 1, .argv = argv + 1};
    const char *env = getenv("TENAZA_CONFIG");
    c.config = env && *env ? env : NULL;
    log_init("tenaza", 0, LOG_STYLE_PLAIN, -1);
    log_set_level(LOG_L_ERROR);
    globals(&c);
    default_state(&c);
    if (cli_flag(&c, "--version", "-V")) {
        return cmd_version(&c);
    }
    bool help = cli_flag(&c, "--help", "-h");
    if (c.argc == 0) {
        (void)cmd_help(&c);
        return help ? CLI_OK : CLI_USAGE;
    }
    const struct command *k = find(c.argv[0]);
    if (!k) {
        unknown(&c, c.argv[0]);
        return CLI_USAGE;
    }
    if (help) {
        c.argc = 1;
        return cmd_help(&c);
    }
    c.argc--;
    c.argv++;
    return k->fn(&c);
}
