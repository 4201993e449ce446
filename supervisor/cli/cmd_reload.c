/*
 * cmd_reload.c: reload and config plan: what a changed configuration does to the running gateway, and whether it took.
 * Runs in: command line.     Owns: nothing.
 * Never: reads the configuration itself: the gateway says what it makes of it.
 * Tested in: tests/scn/h2-reload.test.mjs
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

#define LOOK_MS 20
#define WAIT_MS 10000

static void print_lines(const json_t *list, const char *label, const char *after)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        fprintf(stderr, "%s%s%s\n", label, json_string_value(json_array_get(list, i)), after);
    }
}

static void print_plan(const struct cli *c, const json_t *plan)
{
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    const json_t *steps = json_at(plan, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *s = json_array_get(steps, i);
        buf_printf(&rows, "%.*s\t%.*s\t", SV_ARG(json_sv(s, "action")), SV_ARG(json_sv(s, "worker")));
        cli_cell(&rows, json_sv(s, "why"), 200, '\n');
    }
    print_lines(json_at(plan, "warnings"), "warning: ", "");
    if (!c->quiet) {
        cli_table("", buf_view(&rows));
    }
    print_lines(json_at(plan, "later"), "", " cannot change while the gateway runs; it counts after: tenaza stop, tenaza run");
    buf_free(&rows);
}

/* Workers that are not yet as the new configuration wants them, as text; empty: all are. */
static void unsettled(const json_t *status, struct buf *out)
{
    const json_t *list = json_at(status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        sv why = sv_empty(json_sv(w, "alarm")) ? json_sv(w, "lastExit") : json_sv(w, "alarm");
        bool ok = !json_is_false(json_at(w, "settled"));
        if (!ok) {
            bool down = !sv_eqc(json_sv(w, "state"), "ready") && !sv_empty(why);
            buf_printf(out, "%s%.*s is %.*s%s%.*s", out->n ? "; " : "", SV_ARG(json_sv(w, "name")),
                       SV_ARG(json_sv(w, "state")), down ? ": " : "", SV_ARG(down ? why : SV("")));
        }
    }
}

/* Polls until every worker is as it should be. */
static int wait_settled(struct cli *c, int fd, int64_t wait_ms, json_t *plan)
{
    int64_t begin = clock_mono_ms();
    struct buf left = BUF_INIT((size_t)64 * 1024);
    for (;;) {
        json_t *status = ctl_request(c, fd, "status");
        buf_reset(&left);
        unsettled(status, &left);
        json_free(&status);
        if (left.n == 0 || clock_mono_ms() - begin > wait_ms) {
            break;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    if (left.n > 0) {
        cli_fail(c, CLI_FAILED, "not_settled", "it is in force and goes on; look at: tenaza status", "not everything works yet: %s",
                 buf_cstr(&left));
    }
    buf_free(&left);
    size_t n = json_array_size(json_at(plan, "steps"));
    if (c->json) {
        cli_print_json(json_incref(plan));
    } else if (n == 0) {
        cli_say(c, "nothing that runs is concerned");
    } else {
        cli_say(c, "done in %.2f s", (double)(clock_mono_ms() - begin) / 1000);
    }
    return CLI_OK;
}

static int show(const struct cli *c, json_t *plan)
{
    if (c->json) {
        cli_print_json(json_incref(plan));
    } else {
        print_plan(c, plan);
        if (json_array_size(json_at(plan, "steps")) == 0) {
            cli_say(c, "nothing that runs would be concerned");
        }
    }
    return CLI_OK;
}

static int connect_or_fail(struct cli *c)
{
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    return fd;
}

int cmd_reload(struct cli *c)
{
    int64_t wait_ms = WAIT_MS;
    const char *wait = cli_option(c, "--wait", NULL);
    bool check = cli_flag(c, "--check-only", NULL);
    cli_words(c, 0);
    if (wait && !duration_parse(sv_of(wait), &wait_ms)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--wait: a duration like 10s is needed, not \"%s\"", wait);
    }
    int fd = connect_or_fail(c);
    json_t *plan = ctl_request(c, fd, check ? "reload check" : "reload");
    int rc;
    if (check) {
        rc = show(c, plan);
    } else {
        if (!c->json) {
            print_plan(c, plan);
            fflush(stdout);
        }
        rc = wait_settled(c, fd, wait_ms, plan);
    }
    json_free(&plan);
    fd_close(&fd);
    return rc;
}

int reload_plan(struct cli *c, const char *file)
{
    char *full = file ? realpath(file, NULL) : NULL;
    if (file && !full) {
        cli_fail(c, CLI_NOT_THERE, "not_found", NULL, "%s: %s", file, strerror(errno));
    }
    int fd = connect_or_fail(c);
    char *request = xasprintf("plan %s", full ? full : "");
    json_t *plan = ctl_request(c, fd, request);
    int rc = show(c, plan);
    json_free(&plan);
    fd_close(&fd);
    xfree(request);
    xfree(full);
    return rc;
}
