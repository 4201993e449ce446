/*
 * cmd_workers.c: workers restart|stop|start|reset NAME: asks, then waits until it is so.
 * Runs in: command line.     Owns: nothing.
 * Never: says that a worker works before the supervisor does.
 * Tested in: tests/scn/h1-bad-workers.test.mjs
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

#define LOOK_MS 20 /* between two looks at the state */
#define WAIT_MS 15000 /* without --wait: a drain and a start */

enum outcome { NOT_YET, DONE, CANNOT };

static const json_t *find_worker(const json_t *status, const char *name)
{
    const json_t *list = json_at(status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        if (sv_eqc(json_sv(w, "name"), name)) {
            return w;
        }
    }
    return NULL;
}

static enum outcome outcome_of(const json_t *w, const char *verb, int64_t old_inc)
{
    if (w == NULL) {
        return CANNOT; /* a reload has taken it out */
    }
    sv state = json_sv(w, "state");
    if (strcmp(verb, "reset") == 0) {
        return DONE;
    }
    if (strcmp(verb, "stop") == 0) {
        return sv_eqc(state, "stopped") ? DONE : NOT_YET;
    }
    bool fresh = strcmp(verb, "start") == 0 || json_i64(w, "inc", 0) > old_inc;
    if (fresh && sv_eqc(state, "ready")) {
        return DONE;
    }
    return fresh && (sv_eqc(state, "parked") || sv_eqc(state, "needs-operator")) ? CANNOT : NOT_YET;
}

static void report(const struct cli *c, const char *verb, const json_t *asked, const json_t *w)
{
    sv name = json_sv(w, "name");
    if (c->json) {
        cli_print_json(json_pack("{s:b, s:s%, s:s%, s:I}", "ok", 1, "name", name.p, name.n, "state", json_sv(w, "state").p,
                                 json_sv(w, "state").n, "pid", (json_int_t)json_i64(w, "pid", 0)));
    } else if (strcmp(verb, "restart") == 0) {
        cli_say(c, "%.*s restarted, pid %lld -> %lld", SV_ARG(name), (long long)json_i64(asked, "pid", 0),
                (long long)json_i64(w, "pid", 0));
    } else if (strcmp(verb, "start") == 0) {
        cli_say(c, "%.*s runs, pid %lld", SV_ARG(name), (long long)json_i64(w, "pid", 0));
    } else if (strcmp(verb, "stop") == 0) {
        cli_say(c, "%.*s stopped; it stays so until: tenaza workers start %.*s", SV_ARG(name), SV_ARG(name));
    } else {
        cli_say(c, "%.*s: its past is forgotten", SV_ARG(name));
    }
}

static int not_done(const struct cli *c, enum outcome how, const char *verb, const char *name, const json_t *w)
{
    sv alarm = json_sv(w, "alarm"), last = json_sv(w, "lastExit");
    sv why = sv_empty(alarm) ? last : alarm;
    char *hint = xasprintf("look at: tenaza logs -w %s", name);
    if (how == CANNOT) {
        cli_fail(c, CLI_FAILED, "not_started", hint, "%s does not start: %.*s", name, SV_ARG(why));
    }
    cli_fail(c, CLI_FAILED, "not_yet", hint, "%s: no %s yet; it is %.*s%s%.*s", name, verb, SV_ARG(json_sv(w, "state")),
             sv_empty(why) ? "" : ": ", SV_ARG(why));
}

int workers_do(struct cli *c, const char *verb, const char *name, int64_t wait_ms)
{
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    char *request = xasprintf("worker %s %s", verb, name);
    json_t *asked = ctl_request(c, fd, request), *status = NULL;
    int64_t end = clock_mono_ms() + (wait_ms > 0 ? wait_ms : WAIT_MS);
    enum outcome how;
    const json_t *w;
    for (;;) {
        status = ctl_request(c, fd, "status");
        w = find_worker(status, name);
        how = outcome_of(w, verb, json_i64(asked, "inc", 0));
        if (how != NOT_YET || clock_mono_ms() > end) {
            break;
        }
        json_free(&status);
        (void)poll(NULL, 0, LOOK_MS);
    }
    if (how != DONE) {
        return not_done(c, how, verb, name, w);
    }
    report(c, verb, asked, w);
    fd_close(&fd);
    xfree(request);
    json_free(&asked);
    json_free(&status);
    return CLI_OK;
}
