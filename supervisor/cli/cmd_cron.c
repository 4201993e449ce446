/*
 * cmd_cron.c: jobs that run at a time: list, add (kind `at`), remove.
 * Runs in: command line.     Owns: nothing.
 * Never: guesses a time: ISO 8601 with a zone, or +DURATION from now.
 * Tested in: tests/scn/t1-cron.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/id.h"
#include "supervisor/cli/cli.h"

static json_t *job_json(const struct msg_cron_job *j)
{
    char iso[CLOCK_ISO_LEN];
    json_t *o = json_object();
    json_put(o, "id", j->job_id);
    json_put(o, "name", j->name);
    json_put(o, "kind", j->kind);
    json_put(o, "text", j->text);
    json_put(o, "sessionKey", j->session_key);
    json_put(o, "lastRun", j->last_run);
    if (j->due_ms > 0) {
        clock_iso(j->due_ms, iso);
        json_put(o, "due", sv_of(iso));
    }
    return o;
}

static void show_jobs(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_cron_jobs *m = body;
    UNUSED(type);
    json_t *list = json_array();
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    buf_str(&rows, "ID\tDUE\tSESSION\tTEXT\n");
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_cron_job *j = &m->rows[i];
        char age[48];
        cli_age(j->due_ms, age, sizeof age);
        buf_printf(&rows, "%.*s\t%s\t%.*s\t", SV_ARG(j->job_id), j->due_ms > 0 ? age : "done", SV_ARG(j->session_key));
        cli_cell(&rows, j->text, 60, '\n');
        (void)json_array_append_new(list, job_json(j));
    }
    if (c->json) {
        cli_print_json(json_pack("{s:o}", "jobs", list));
    } else {
        json_decref(list);
        cli_table("", buf_view(&rows));
    }
    buf_free(&rows);
}

static void show_job(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_cron_job *j = body;
    UNUSED(type);
    char iso[CLOCK_ISO_LEN];
    if (c->json) {
        cli_print_json(job_json(j));
        return;
    }
    clock_iso(j->due_ms, iso);
    cli_say(c, "added %.*s, due %s", SV_ARG(j->job_id), iso);
}

static int64_t parse_time(const struct cli *c, const char *at)
{
    int64_t ms = 0;
    if (!at) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza cron add --at +10m -m \"text\"", "cron add: --at is needed");
    }
    if (at[0] == '+' && duration_parse(sv_of(at + 1), &ms)) {
        return clock_real_ms() + ms;
    }
    if (!clock_iso_parse(sv_of(at), &ms)) {
        cli_fail(c, CLI_USAGE, "usage", "like 2026-12-24T18:00:00+01:00, or from now: +10m, +2h", "--at: not a time: \"%s\"", at);
    }
    return ms;
}

static void add(struct cli *c)
{
    struct session s;
    const char *at = cli_option(c, "--at", NULL), *text = cli_option(c, "--message", "-m"),
               *key = cli_option(c, "--session", NULL), *agent = cli_option(c, "--agent", NULL),
               *deliver = cli_option(c, "--deliver", NULL), *name = cli_option(c, "--name", NULL);
    cli_words(c, 1);
    struct msg_cron_job j = {.kind = SV("at"), .due_ms = parse_time(c, at), .text = sv_trim(sv_of(text)), .name = sv_of(name),
                             .session_key = sv_of(key), .agent_id = sv_of(agent)};
    if (sv_empty(j.text)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza cron add --at +10m -m \"text\"", "cron add: -m is needed");
    }
    if (deliver) {
        sv rest = sv_of(deliver);
        j.deliver_channel = sv_cut(&rest, '/');
        j.deliver_account = sv_cut(&rest, '/');
        j.deliver_to = rest;
        if (sv_empty(j.deliver_to)) {
            cli_fail(c, CLI_USAGE, "usage", "like irc/default/#room", "--deliver: CHANNEL/ACCOUNT/CHAT is needed");
        }
    }
    char id[ID_UUID_LEN]; /* ours: the request is repeated until it is answered, and must not add a second job */
    id_uuid(id);
    j.job_id = sv_of(id);
    session_open(c, &s);
    session_call(&s, MSG_CRON_JOB, &j, show_job, c, NULL);
    session_close(&s);
}

int cmd_cron(struct cli *c)
{
    struct session s;
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    if (strcmp(verb, "add") == 0) {
        add(c);
        return CLI_OK;
    }
    cli_words(c, 2);
    bool rm = strcmp(verb, "rm") == 0;
    if ((!rm && strcmp(verb, "list") != 0) || (rm && c->argc != 2)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza cron list | add ... | rm ID", "cron: what to do with \"%s\"?", verb);
    }
    session_open(c, &s);
    if (rm) {
        struct msg_cron_del m = {.job_id = sv_of(c->argv[1])};
        session_call(&s, MSG_CRON_DEL, &m, NULL, NULL, NULL);
        if (c->json) {
            cli_print_json(json_pack("{s:b, s:s}", "ok", 1, "removed", c->argv[1]));
        } else {
            cli_say(c, "removed %s", c->argv[1]);
        }
    } else {
        struct msg_cron_list m = {.limit = 1000};
        session_call(&s, MSG_CRON_LIST, &m, show_jobs, c, NULL);
    }
    session_close(&s);
    return CLI_OK;
}
