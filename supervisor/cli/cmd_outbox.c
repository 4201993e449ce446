/*
 * cmd_outbox.c: deliveries that have not arrived, and the operator's word about them.
 * Runs in: command line.     Owns: nothing.
 * Never: decides by itself: an unknown outcome stays until somebody says "again" or "drop".
 * Tested in: tests/scn/p2-unknown.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "supervisor/cli/outbox.h"

json_t *outbox_json(const struct msg_out_row *r)
{
    json_t *o = json_pack("{s:I, s:I, s:I}", "part", (json_int_t)r->part, "parts", (json_int_t)r->parts, "attempt",
                          (json_int_t)r->attempt);
    json_t *unsure = json_array();
    json_put(o, "id", r->delivery_id);
    json_put(o, "channel", r->channel);
    json_put(o, "account", r->account);
    json_put(o, "chat", r->chat_id);
    json_put(o, "state", r->state);
    json_put(o, "error", r->error);
    json_put(o, "text", r->text);
    json_put(o, "runId", r->run_id);
    json_put(o, "platformId", r->platform_id);
    cli_put_time(o, "createdAt", r->created_ms);
    cli_put_time(o, "endedAt", r->ended_ms);
    for (size_t i = 0; i < r->unsure_n; i++) {
        (void)json_array_append_new(unsure, json_integer((json_int_t)r->unsure[i].part));
    }
    (void)json_object_set_new(o, "unknownParts", unsure);
    return o;
}

static void add_row(struct buf *rows, const struct msg_out_row *r)
{
    char age[48];
    cli_age(r->created_ms, age, sizeof age);
    cli_cell(rows, r->delivery_id, 64, '\t');
    buf_printf(rows, "%.*s\t%.*s/%.*s/", SV_ARG(r->state), SV_ARG(r->channel), SV_ARG(r->account));
    cli_cell(rows, r->chat_id, 256, '\t');
    buf_printf(rows, "%s\t%llu/%llu\t%llu\t", age, (unsigned long long)r->part, (unsigned long long)r->parts,
               (unsigned long long)r->attempt);
    cli_cell(rows, r->error, 80, '\t');
    cli_cell(rows, r->text, 60, '\n');
}

static void show_list(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_outbox *m = body;
    UNUSED(type);
    json_t *list = json_array();
    struct buf rows = BUF_INIT((size_t)4 * 1024 * 1024);
    bool unknown = false;
    buf_str(&rows, "ID\tSTATE\tTO\tAGE\tPART\tTRIES\tWHY\tTEXT\n");
    for (size_t i = 0; i < m->rows_n; i++) {
        add_row(&rows, &m->rows[i]);
        unknown = unknown || sv_eqc(m->rows[i].state, "unknown");
        (void)json_array_append_new(list, outbox_json(&m->rows[i]));
    }
    if (c->json) {
        cli_print_json(json_pack("{s:o}", "rows", list));
    } else {
        json_decref(list);
        cli_table("....rr", buf_view(&rows));
        if (unknown) {
            cli_say(c, "unknown: perhaps it arrived. Look, then: tenaza outbox retry ID, or tenaza outbox drop ID");
        }
    }
    buf_free(&rows);
}

void outbox_show(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_outbox *m = body;
    UNUSED(type);
    const struct msg_out_row *r = &m->rows[0];
    if (c->json) {
        cli_print_json(outbox_json(r));
        return;
    }
    printf("%.*s  %.*s to %.*s/%.*s/%.*s, part %llu of %llu, %llu tries\n", SV_ARG(r->delivery_id), SV_ARG(r->state),
           SV_ARG(r->channel), SV_ARG(r->account), SV_ARG(r->chat_id), (unsigned long long)r->part,
           (unsigned long long)r->parts, (unsigned long long)r->attempt);
    for (size_t i = 0; i < r->unsure_n; i++) {
        char iso[CLOCK_ISO_LEN];
        clock_iso(r->unsure[i].at_ms, iso);
        printf("part %llu: nobody knows whether it arrived (%s)\n", (unsigned long long)r->unsure[i].part + 1, iso);
    }
    if (!sv_empty(r->error)) {
        cli_text(r->error);
        printf("\n");
    }
    cli_text(r->text);
    printf("\n");
}

static void on_decided(void *ctx, uint16_t type, const void *body)
{
    struct msg_decided *sum = ctx;
    const struct msg_decided *m = body;
    UNUSED(type);
    sum->count += m->count;
    sum->more = m->more;
}

uint64_t outbox_decide(struct session *s, const char *action, const char *id, const char *state)
{
    struct msg_decided sum = {0};
    do {
        struct msg_decide m = {.action = sv_of(action), .delivery_id = sv_of(id), .state = sv_of(state)};
        session_call(s, MSG_DECIDE, &m, on_decided, &sum, NULL);
    } while (sum.more);
    return sum.count;
}

static int decide(struct cli *c, const char *verb, bool all)
{
    struct session s;
    bool retry = strcmp(verb, "retry") == 0;
    if (all != (c->argc == 1)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza outbox retry ID|--all-unknown", "outbox %s: name one delivery, or --all-unknown",
                 verb);
    }
    session_open(c, &s);
    uint64_t n = outbox_decide(&s, verb, all ? NULL : c->argv[1], all ? "unknown" : NULL);
    session_close(&s);
    if (c->json) {
        cli_print_json(json_pack("{s:I}", retry ? "retried" : "dropped", (json_int_t)n));
    } else {
        cli_say(c, "%llu %s %s", (unsigned long long)n, n == 1 ? "delivery" : "deliveries",
                retry ? "will be sent again" : "dropped");
    }
    return CLI_OK;
}

int cmd_outbox(struct cli *c)
{
    struct session s;
    bool all = cli_flag(c, "--all-unknown", NULL);
    struct msg_outbox_list m = {.limit = cli_limit(c, 100), .state = sv_of(cli_option(c, "--only", NULL))};
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    if (strcmp(verb, "retry") == 0 || strcmp(verb, "drop") == 0) {
        return decide(c, verb, all);
    }
    bool show = strcmp(verb, "show") == 0;
    if ((!show && strcmp(verb, "list") != 0) || (show && c->argc != 2) || all) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza outbox [list | show ID | retry ID | drop ID]",
                 "outbox: what to do with \"%s\"?", verb);
    }
    if (show) {
        m.delivery_id = sv_of(c->argv[1]);
    }
    session_open(c, &s);
    session_call(&s, MSG_OUTBOX_LIST, &m, show ? outbox_show : show_list, c, NULL);
    session_close(&s);
    return CLI_OK;
}
