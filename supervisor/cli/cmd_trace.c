/*
 * cmd_trace.c: the story of one message in one screen.
 * Runs in: command line.     Owns: nothing.
 * Never: guesses: every line is a row of the store.
 * Tested in: tests/scn/p1-pipeline.test.mjs
 */
#include <stdio.h>

#include "common/clock.h"
#include "supervisor/cli/cli.h"

static json_t *row_json(const struct msg_trace_row *r)
{
    json_t *o = json_object();
    cli_put_time(o, "at", r->at_ms);
    json_put(o, "what", r->what);
    json_put(o, "who", r->who);
    json_put(o, "detail", r->detail);
    json_put(o, "deliveryId", r->delivery_id);
    if (r->took_ms > 0) {
        (void)json_object_set_new(o, "tookMs", json_integer((json_int_t)r->took_ms));
    }
    return o;
}

static void print_json(const struct msg_trace *m)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < m->rows_n; i++) {
        (void)json_array_append_new(rows, row_json(&m->rows[i]));
    }
    json_t *v = json_pack("{s:I, s:b, s:o}", "seq", (json_int_t)m->seq, "more", m->more, "rows", rows);
    json_put(v, "runId", m->run_id);
    json_put(v, "session", m->session_key);
    json_put(v, "state", m->state);
    cli_print_json(v);
}

static void show(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_trace *m = body;
    UNUSED(type);
    if (c->json) {
        print_json(m);
        return;
    }
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    printf("message %llu  run %.*s  %.*s  session %.*s\n", (unsigned long long)m->seq, SV_ARG(m->run_id), SV_ARG(m->state),
           SV_ARG(m->session_key));
    buf_str(&rows, "TIME\tAFTER\tWHAT\tWHO\tTOOK\tDETAIL\n");
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_trace_row *r = &m->rows[i];
        char iso[CLOCK_ISO_LEN];
        clock_iso(r->at_ms, iso);
        buf_printf(&rows, "%.12s\t+%.3f s\t%.*s\t", iso + 11, (double)(r->at_ms - m->rows[0].at_ms) / 1000, SV_ARG(r->what));
        cli_cell(&rows, r->who, 60, '\t');
        if (r->took_ms > 0) {
            buf_printf(&rows, "%llu ms", (unsigned long long)r->took_ms);
        }
        buf_ch(&rows, '\t');
        cli_cell(&rows, r->detail, 100, '\n');
    }
    cli_table(".r..r", buf_view(&rows));
    if (m->more) {
        cli_say(c, "(more rows were left out)");
    }
    buf_free(&rows);
}

int cmd_trace(struct cli *c)
{
    struct session s;
    cli_words(c, 1);
    if (c->argc != 1) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza trace ID", "trace: of what? a run, a delivery, an event, or the number of a message");
    }
    struct msg_trace_get m = {.id = sv_of(c->argv[0])};
    session_open(c, &s);
    session_call(&s, MSG_TRACE_GET, &m, show, c, NULL);
    session_close(&s);
    return CLI_OK;
}
