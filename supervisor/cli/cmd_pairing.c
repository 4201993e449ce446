/*
 * cmd_pairing.c: people who wrote to a channel and ask for access.
 * Runs in: command line.     Owns: nothing.
 * Never: grants more than direct messages on that account.
 * Tested in: tests/scn/c1-irc.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "supervisor/cli/cli.h"

static json_t *pair_json(const struct msg_pair *p)
{
    json_t *o = json_object();
    json_put(o, "channel", p->channel);
    json_put(o, "account", p->account);
    json_put(o, "sender", p->sender_id);
    json_put(o, "name", p->sender_name);
    json_put(o, "state", p->state);
    json_put(o, "code", p->code);
    return o;
}

static void show_list(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_pairs *m = body;
    UNUSED(type);
    json_t *list = json_array();
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    buf_str(&rows, "CODE\tSTATE\tCHANNEL\tSENDER\tNAME\tASKED\n");
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_pair *p = &m->rows[i];
        char age[48];
        cli_age(p->created_ms, age, sizeof age);
        buf_printf(&rows, "%.*s\t%.*s\t%.*s/%.*s\t", SV_ARG(p->code), SV_ARG(p->state), SV_ARG(p->channel),
                   SV_ARG(p->account));
        cli_cell(&rows, p->sender_id, 256, '\t');
        cli_cell(&rows, p->sender_name, 64, '\t');
        buf_printf(&rows, "%s\n", age);
        (void)json_array_append_new(list, pair_json(p));
    }
    if (c->json) {
        cli_print_json(json_pack("{s:o}", "requests", list));
    } else {
        json_decref(list);
        if (m->rows_n == 0) {
            cli_say(c, "nobody is waiting");
        } else {
            cli_table("", buf_view(&rows));
        }
    }
    buf_free(&rows);
}

static void show_approved(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_pair *p = body;
    UNUSED(type);
    if (c->json) {
        cli_print_json(pair_json(p));
    } else {
        cli_say(c, "approved: %.*s may write to %.*s/%.*s", SV_ARG(p->sender_id), SV_ARG(p->channel), SV_ARG(p->account));
    }
}

int cmd_pairing(struct cli *c)
{
    struct session s;
    bool all = cli_flag(c, "--all", NULL);
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    bool approve = strcmp(verb, "approve") == 0;
    if ((!approve && strcmp(verb, "list") != 0) || (approve && c->argc != 2)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza pairing list | approve CODE", "pairing: what to do with \"%s\"?", verb);
    }
    session_open(c, &s);
    if (approve) {
        struct msg_pair_approve m = {.code = sv_of(c->argv[1])};
        session_call(&s, MSG_PAIR_APPROVE, &m, show_approved, c, NULL);
    } else {
        struct msg_pair_list m = {.state = all ? SV("all") : SV("pending")};
        session_call(&s, MSG_PAIR_LIST, &m, show_list, c, NULL);
    }
    session_close(&s);
    return CLI_OK;
}
