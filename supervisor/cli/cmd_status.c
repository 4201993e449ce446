/*
 * cmd_status.c: status and workers: what runs, in words, with the state of the whole on top.
 * Runs in: command line.     Owns: nothing.
 * Never: says "fine" when a worker is not.
 * Tested in: tests/scn/a1-first-reply.test.mjs, f1-kill.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"
#include "supervisor/conf_schema.h"

static enum cli_sign sign_of(sv state)
{
    if (sv_eq_nocase(state, SV("ready"))) {
        return SIGN_OK;
    }
    if (sv_eq_nocase(state, SV("needs-operator")) || sv_eq_nocase(state, SV("parked"))) {
        return SIGN_BAD;
    }
    return sv_eq_nocase(state, SV("stopped")) ? SIGN_OFF : SIGN_MENDING;
}

/* What stands behind a worker in a list: its alarm, else how it last ended while it is not ready, else its status. */
static sv words_of(const json_t *w)
{
    sv alarm = json_sv(w, "alarm"), exit_text = json_sv(w, "lastExit");
    if (!sv_empty(alarm)) {
        return alarm;
    }
    return sign_of(json_sv(w, "state")) == SIGN_OK || sv_empty(exit_text) ? json_sv(w, "status") : exit_text;
}

static void print_workers(const struct cli *c, const json_t *status, bool full)
{
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    const json_t *list = json_at(status, "workers");
    if (full) {
        buf_str(&rows, " \tworker\tstate\tpid\tmemory\tcpu\tup\trestarts\t\n");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        char up[32] = "-";
        bool ok = sign_of(json_sv(w, "state")) == SIGN_OK;
        if (ok) {
            duration_print(json_i64(w, "upMs", 0), up, sizeof up);
        }
        buf_printf(&rows, "%s\t%.*s\t", cli_sign(c, sign_of(json_sv(w, "state"))), SV_ARG(json_sv(w, "name")));
        if (full) {
            buf_printf(&rows, "%.*s\t%lld\t", SV_ARG(json_sv(w, "state")), (long long)json_i64(w, "pid", 0));
        }
        buf_printf(&rows, "%.1f MB\t", (double)json_i64(w, "rssKb", 0) / 1024);
        if (full) {
            buf_printf(&rows, "%.1f s\t", (double)json_i64(w, "cpuMs", 0) / 1000);
        }
        buf_printf(&rows, "%s\t", up);
        if (full) {
            buf_printf(&rows, "%lld\t", (long long)json_i64(w, "restarts", 0));
        }
        cli_cell(&rows, words_of(w), 200, '\n');
    }
    cli_table(full ? "...rrrrr" : "..rr", buf_view(&rows));
    buf_free(&rows);
}

static size_t not_ready(const json_t *status)
{
    size_t bad = 0;
    const json_t *list = json_at(status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        /* During a handover there are two of a name: the one in charge counts. */
        bool counts = !json_is_true(json_at(w, "leaving")) && !json_is_true(json_at(w, "successor"));
        bad += counts && sign_of(json_sv(w, "state")) != SIGN_OK;
    }
    return bad;
}

static void take_info(void *ctx, uint16_t type, const void *body)
{
    const struct msg_store_info *m = body;
    UNUSED(type);
    *(json_t **)ctx = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "received", (json_int_t)m->received,
        "answered", (json_int_t)m->answered, "failed", (json_int_t)m->failed, "queued", (json_int_t)m->queued, "running",
        (json_int_t)m->running, "deliveriesQueued", (json_int_t)m->out_queued, "deliveriesUnknown",
        (json_int_t)m->out_unknown, "deliveriesDead", (json_int_t)m->out_dead, "sessions", (json_int_t)m->sessions,
        "commits", (json_int_t)m->commits, "commitP50Us", (json_int_t)m->commit_p50_us, "commitP99Us",
        (json_int_t)m->commit_p99_us, "databaseBytes", (json_int_t)m->db_bytes);
    (void)json_object_set_new(*(json_t **)ctx, "messagesDead", json_integer((json_int_t)m->dead_in));
    json_put(*(json_t **)ctx, "degraded", m->degraded.p ? m->degraded : SV(""));
    json_put(*(json_t **)ctx, "findings", m->findings.p ? m->findings : SV(""));
}

/* Whether it makes sense to ask: a command that only asks must not wait for a store that is not there. */
static bool store_runs(const json_t *status)
{
    const json_t *list = json_at(status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        if (sv_eqc(json_sv(w, "kind"), "store")) {
            return sign_of(json_sv(w, "state")) == SIGN_OK;
        }
    }
    return false;
}

/* Figures of the store; NULL when it does not answer. */
static json_t *store_info(struct cli *c, bool check)
{
    static struct session s;
    json_t *info = NULL;
    int err = OK;
    session_open(c, &s);
    s.call_ms = check ? 30000 : 800;
    struct msg_store_stats ask = {.check = check};
    session_call(&s, MSG_STORE_STATS, &ask, take_info, &info, &err);
    if (err == OK) {
        session_close(&s);
    } /* else: closing would wait for an answer that nobody needs any more; the process ends soon */
    return info;
}

static void print_crashes(const struct cli *c)
{
    size_t n = crashes_new(c);
    if (n > 0) {
        printf("\n  %s %zu new crash report%s: tenaza crashes\n", cli_sign(c, SIGN_BAD), n, n == 1 ? "" : "s");
    }
}

static void print_status(const struct cli *c, const json_t *v, const json_t *info, size_t bad)
{
    char up[32];
    duration_print(json_i64(v, "upMs", 0), up, sizeof up);
    printf("%s tenaza %.*s  up %s  pid %lld  %.*s\n", cli_sign(c, bad ? SIGN_MENDING : SIGN_OK),
           SV_ARG(json_sv(v, "version")), up, (long long)json_i64(v, "pid", 0), SV_ARG(json_sv(v, "url")));
    if (bad) {
        printf("%s %zu of %zu workers not ready\n", cli_sign(c, SIGN_MENDING), bad, json_array_size(json_at(v, "workers")));
    }
    putchar('\n');
    print_workers(c, v, false);
    print_crashes(c);
    if (!info) {
        printf("\n  %s the store does not answer\n", cli_sign(c, SIGN_BAD));
        return;
    }
    printf("\n  messages  received %lld, answered %lld, failed %lld, waiting %lld, running %lld\n",
           (long long)json_i64(info, "received", 0), (long long)json_i64(info, "answered", 0),
           (long long)json_i64(info, "failed", 0), (long long)json_i64(info, "queued", 0),
           (long long)json_i64(info, "running", 0));
    printf("  store     %.1f MB, commit p50 %.1f ms, p99 %.1f ms\n", (double)json_i64(info, "databaseBytes", 0) / 1e6,
           (double)json_i64(info, "commitP50Us", 0) / 1000, (double)json_i64(info, "commitP99Us", 0) / 1000);
    if (json_i64(info, "deliveriesUnknown", 0) + json_i64(info, "deliveriesDead", 0) > 0) {
        printf("  %s deliveries: %lld with an unknown outcome, %lld given up: tenaza outbox\n", cli_sign(c, SIGN_BAD),
               (long long)json_i64(info, "deliveriesUnknown", 0), (long long)json_i64(info, "deliveriesDead", 0));
    }
    if (json_i64(info, "messagesDead", 0) > 0) {
        printf("  %s messages: %lld without an answer: tenaza deadletters\n", cli_sign(c, SIGN_BAD),
               (long long)json_i64(info, "messagesDead", 0));
    }
    if (!sv_empty(json_sv(info, "degraded"))) {
        printf("  %s %.*s\n", cli_sign(c, SIGN_BAD), SV_ARG(json_sv(info, "degraded")));
    }
    if (!sv_empty(json_sv(info, "findings"))) {
        printf("\n%s the check of the store found:\n%.*s\n", cli_sign(c, SIGN_BAD), SV_ARG(json_sv(info, "findings")));
    }
}

int cmd_status(struct cli *c)
{
    bool all = cli_flag(c, "--all", NULL);
    cli_words(c, 0);
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_NOT_THERE);
    }
    json_t *v = ctl_request(c, fd, "status");
    fd_close(&fd);
    size_t bad = not_ready(v);
    json_t *info = store_runs(v) ? store_info(c, all) : NULL;
    bool worse = bad > 0 || !info || !sv_empty(json_sv(info, "degraded")) || !sv_empty(json_sv(info, "findings"));
    if (c->json) {
        (void)json_object_set_new(v, "ok", json_boolean(!worse));
        (void)json_object_set_new(v, "newCrashes", json_integer((json_int_t)crashes_new(c)));
        (void)json_object_set(v, "store", info ? info : json_null());
        cli_print_json(v);
        v = NULL;
    } else {
        print_status(c, v, info, bad);
    }
    json_free(&info);
    json_free(&v);
    return worse ? CLI_FAILED : CLI_OK;
}

int cmd_workers(struct cli *c)
{
    static const char *const verbs = "restart|stop|start|reset";
    int64_t wait_ms = 0;
    const char *wait = cli_option(c, "--wait", NULL);
    if (c->argc >= 2 && strcmp(c->argv[0], "log") == 0) {
        const char *name = c->argv[1];
        c->argc -= 2;
        c->argv += 2;
        return logs_of_worker(c, name);
    }
    bool security = cli_flag(c, "--security", NULL);
    cli_words(c, security ? 0 : 2);
    if (security) {
        return workers_security(c);
    }
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    if (wait && !duration_parse(sv_of(wait), &wait_ms)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--wait: a duration like 30s is needed, not \"%s\"", wait);
    }
    if (c->argc == 2 && conf_choice_ok(verbs, verb)) {
        return workers_do(c, verb, c->argv[1], wait_ms);
    }
    if (strcmp(verb, "list") != 0 || c->argc > 1) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza workers [list | --security | restart|stop|start|reset NAME | log NAME]", "workers: what to do with \"%s\"?",
                 verb);
    }
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    json_t *v = ctl_request(c, fd, "status");
    fd_close(&fd);
    if (c->json) {
        cli_print_json(json_incref(json_object_get(v, "workers")));
    } else {
        print_workers(c, v, true);
    }
    json_free(&v);
    return CLI_OK;
}
