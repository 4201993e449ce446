/*
 * cmd_data.c: sessions: what the store holds.
 * Runs in: command line.     Owns: nothing.
 * Never: changes anything.
 * Tested in: tests/scn/a1-first-reply.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "supervisor/cli/cli.h"

uint64_t cli_limit(struct cli *c, uint64_t dflt)
{
    const char *v = cli_option(c, "--limit", "-n");
    uint64_t n = dflt;
    if (v && (!sv_u64(sv_of(v), &n) || n < 1 || n > 1000)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--limit: a number from 1 to 1000 is needed, not \"%s\"", v);
    }
    return n;
}

void cli_put_time(json_t *o, const char *key, int64_t ms)
{
    char iso[CLOCK_ISO_LEN];
    if (ms > 0) {
        clock_iso(ms, iso);
        json_put(o, key, sv_of(iso));
    }
}

static void show_sessions(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_sessions *m = body;
    UNUSED(type);
    json_t *list = json_array();
    struct buf rows = BUF_INIT((size_t)4 * 1024 * 1024);
    buf_str(&rows, "KEY\tLAST\tROWS\tSTATE\tTITLE\n");
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_session *s = &m->rows[i];
        char age[48];
        cli_age(s->updated_ms, age, sizeof age);
        cli_cell(&rows, s->key, 512, '\t');
        buf_printf(&rows, "%s\t%llu\t%.*s\t", age, (unsigned long long)s->entries, SV_ARG(s->status));
        cli_cell(&rows, s->title, 80, '\n');
        json_t *o = json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)s->entries, "inputTokens",
                              (json_int_t)s->in_tokens, "outputTokens", (json_int_t)s->out_tokens);
        json_put(o, "key", s->key);
        json_put(o, "sessionId", s->session_id);
        json_put(o, "status", s->status);
        json_put(o, "title", s->title);
        cli_put_time(o, "updatedAt", s->updated_ms);
        (void)json_array_append_new(list, o);
    }
    if (c->json) {
        cli_print_json(json_pack("{s:o, s:I}", "sessions", list, "total", (json_int_t)m->total));
    } else {
        json_decref(list);
        cli_table("..r", buf_view(&rows));
    }
    buf_free(&rows);
}

static void show_history(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_history_page *m = body;
    UNUSED(type);
    if (m->session_n == 0) {
        cli_fail(c, CLI_NOT_THERE, "not_found", "see: tenaza sessions", "no such session: %.*s", SV_ARG(m->session_key));
    }
    json_t *list = json_array();
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_entry *e = &m->rows[i];
        char iso[CLOCK_ISO_LEN];
        clock_iso(e->ts_ms, iso);
        if (!c->json) {
            printf("%s  %.*s%s%.*s\n", iso, SV_ARG(e->role), sv_empty(e->tool_name) ? "" : " ", SV_ARG(e->tool_name));
            cli_text(e->text);
            printf("\n\n");
        }
        json_t *o = json_pack("{s:I}", "n", (json_int_t)e->n);
        json_put(o, "role", e->role);
        json_put(o, "text", e->text);
        json_put(o, "runId", e->run_id);
        json_put(o, "tool", e->tool_name);
        cli_put_time(o, "at", e->ts_ms);
        (void)json_array_append_new(list, o);
    }
    if (c->json) {
        json_t *v = json_pack("{s:o, s:I}", "rows", list, "total", (json_int_t)m->total);
        json_put(v, "key", m->session_key);
        cli_print_json(v);
    } else {
        json_decref(list);
    }
}

int cmd_sessions(struct cli *c)
{
    struct session s;
    uint64_t limit = cli_limit(c, 100);
    const char *search = cli_option(c, "--search", NULL);
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    bool show = strcmp(verb, "show") == 0;
    if ((!show && strcmp(verb, "list") != 0) || (show && c->argc != 2)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza sessions [list | show KEY]", "sessions: what to do with \"%s\"?", verb);
    }
    session_open(c, &s);
    if (show) {
        char *key = strncmp(c->argv[1], "agent:", 6) == 0 ? xstrdup(c->argv[1]) : xasprintf("agent:main:%s", c->argv[1]);
        struct msg_history m = {.session_key = sv_of(key), .limit = limit};
        session_call(&s, MSG_HISTORY, &m, show_history, c, NULL);
        xfree(key);
    } else {
        struct msg_sessions_list m = {.limit = limit, .search = sv_of(search)};
        session_call(&s, MSG_SESSIONS_LIST, &m, show_sessions, c, NULL);
    }
    session_close(&s);
    return CLI_OK;
}
