/*
 * args.c: takes options out of the words of a command.
 * Runs in: command line.     Owns: nothing; it moves the pointers of argv.
 * Never: knows a command. Words behind `--` are never options.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <string.h>

#include "supervisor/cli/cli.h"

static void take(struct cli *c, int at, int n)
{
    memmove(c->argv + at, c->argv + at + n, (size_t)(c->argc - at - n) * sizeof *c->argv);
    c->argc -= n;
}

const char *cli_option(struct cli *c, const char *name, const char *short_name)
{
    const char *value = NULL;
    size_t len = strlen(name);
    for (int i = 0; i < c->argc && strcmp(c->argv[i], "--") != 0;) {
        const char *a = c->argv[i];
        if (strncmp(a, name, len) == 0 && a[len] == '=') {
            value = a + len + 1;
            take(c, i, 1);
        } else if (strcmp(a, name) == 0 || (short_name && strcmp(a, short_name) == 0)) {
            if (i + 1 >= c->argc) {
                cli_fail(c, CLI_USAGE, "usage", NULL, "%s needs a value", a);
            }
            value = c->argv[i + 1];
            take(c, i, 2);
        } else {
            i++;
        }
    }
    return value;
}

bool cli_flag(struct cli *c, const char *name, const char *short_name)
{
    bool found = false;
    for (int i = 0; i < c->argc && strcmp(c->argv[i], "--") != 0;) {
        if (strcmp(c->argv[i], name) == 0 || (short_name && strcmp(c->argv[i], short_name) == 0)) {
            found = true;
            take(c, i, 1);
        } else {
            i++;
        }
    }
    return found;
}

void cli_words(struct cli *c, int max)
{
    for (int i = 0; i < c->argc; i++) {
        if (strcmp(c->argv[i], "--") == 0) {
            take(c, i, 1);
            break;
        }
        if (c->argv[i][0] == '-' && c->argv[i][1] != '\0') {
            cli_fail(c, CLI_USAGE, "usage", "see: tenaza help", "unknown option: %s", c->argv[i]);
        }
    }
    if (c->argc > max) {
        cli_fail(c, CLI_USAGE, "usage", "see: tenaza help", "unexpected argument: %s", c->argv[max]);
    }
}
