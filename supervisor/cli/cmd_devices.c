/*
 * cmd_devices.c: client devices: who waits, who is paired; approve, reject, revoke, remove.
 * Runs in: command line.     Owns: nothing.
 * Never: shows a token.
 * Tested in: tests/scn/e6-pairing.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "supervisor/cli/cli.h"

#define ROWS_MAX ((size_t)2 * 1024 * 1024)
#define SHORT_ID 12 /* enough of 64 hex digits to tell devices apart; any unique beginning is accepted */

struct listing {
    struct cli *c;
    const char *word;  /* request id or beginning of a device id; NULL: show everything */
    char id[65];       /* device found */
    char request[65], role[33], scopes[1025];
    size_t hits;
};

static json_t *request_json(const struct msg_device_req *r)
{
    json_t *o = json_object();
    json_put(o, "requestId", r->request_id);
    json_put(o, "deviceId", r->id);
    json_put(o, "role", r->role);
    json_put(o, "scopes", r->scopes);
    json_put(o, "name", r->display_name);
    json_put(o, "client", r->client_id);
    json_put(o, "platform", r->platform);
    json_put(o, "from", r->peer);
    json_put(o, "reason", r->reason);
    return o;
}

static json_t *device_json(const struct msg_device *d)
{
    json_t *o = json_object();
    json_put(o, "deviceId", d->id);
    json_put(o, "roles", d->role);
    json_put(o, "scopes", d->scopes);
    json_put(o, "name", d->label.n > 0 ? d->label : d->display_name);
    json_put(o, "client", d->client_id);
    json_put(o, "platform", d->platform);
    json_put(o, "approvedVia", d->approved_via);
    return o;
}

static void print_json(const struct msg_devices *m)
{
    json_t *pending = json_array(), *paired = json_array();
    for (size_t i = 0; i < m->pending_n; i++) {
        (void)json_array_append_new(pending, request_json(&m->pending[i]));
    }
    for (size_t i = 0; i < m->paired_n; i++) {
        (void)json_array_append_new(paired, device_json(&m->paired[i]));
    }
    cli_print_json(json_pack("{s:o, s:o}", "pending", pending, "paired", paired));
}

static void print_pending(const struct msg_devices *m)
{
    struct buf rows = BUF_INIT(ROWS_MAX);
    char age[48];
    buf_str(&rows, "WAITS: REQUEST\tFROM\tROLE\tSCOPES\tNAME\tASKED\n");
    for (size_t i = 0; i < m->pending_n; i++) {
        const struct msg_device_req *r = &m->pending[i];
        cli_age(r->created_ms, age, sizeof age);
        buf_printf(&rows, "%.*s\t%.*s\t", SV_ARG(r->request_id), SV_ARG(r->peer));
        cli_cell(&rows, r->role, 32, '\t');
        cli_cell(&rows, r->scopes, 256, '\t');
        cli_cell(&rows, r->display_name.n > 0 ? r->display_name : r->client_id, 64, '\t');
        buf_printf(&rows, "%s\n", age);
    }
    cli_table("", buf_view(&rows));
    buf_free(&rows);
}

static void print_paired(const struct msg_devices *m)
{
    struct buf rows = BUF_INIT(ROWS_MAX);
    char age[48];
    buf_str(&rows, "PAIRED: DEVICE\tROLES\tSCOPES\tNAME\tAPPROVED\n");
    for (size_t i = 0; i < m->paired_n; i++) {
        const struct msg_device *d = &m->paired[i];
        cli_age(d->approved_ms ? d->approved_ms : d->created_ms, age, sizeof age);
        buf_printf(&rows, "%.*s\t", SV_ARG(sv_sub(d->id, 0, SHORT_ID)));
        cli_cell(&rows, d->role.n > 0 ? d->role : SV("(revoked)"), 32, '\t');
        cli_cell(&rows, d->scopes, 256, '\t');
        cli_cell(&rows, d->label.n > 0 ? d->label : d->display_name.n > 0 ? d->display_name : d->client_id, 64, '\t');
        buf_printf(&rows, "%.*s, %s\n", SV_ARG(d->approved_via), age);
    }
    cli_table("", buf_view(&rows));
    buf_free(&rows);
}

static void find(struct listing *l, const struct msg_devices *m)
{
    sv word = sv_of(l->word);
    for (size_t i = 0; i < m->pending_n; i++) {
        const struct msg_device_req *r = &m->pending[i];
        if (sv_eq(r->request_id, word) || sv_starts(r->id, word)) {
            l->hits++;
            sv_copy(l->request, sizeof l->request, r->request_id);
            sv_copy(l->role, sizeof l->role, r->role);
            sv_copy(l->scopes, sizeof l->scopes, r->scopes);
        }
    }
}

static void find_paired(struct listing *l, const struct msg_devices *m)
{
    for (size_t i = 0; i < m->paired_n; i++) {
        if (sv_starts(m->paired[i].id, sv_of(l->word))) {
            l->hits++;
            sv_copy(l->id, sizeof l->id, m->paired[i].id);
        }
    }
}

static void on_list(void *ctx, uint16_t type, const void *body)
{
    struct listing *l = ctx;
    const struct msg_devices *m = body;
    UNUSED(type);
    if (l->c->json) {
        print_json(m);
        return;
    }
    if (m->pending_n == 0 && m->paired_n == 0) {
        cli_say(l->c, "no devices: clients on this host are paired when they connect, others ask first");
        return;
    }
    if (m->pending_n > 0) {
        print_pending(m);
    }
    if (m->paired_n > 0) {
        print_paired(m);
    }
}

static void on_find(void *ctx, uint16_t type, const void *body)
{
    UNUSED(type);
    find(ctx, body);
}

static void on_find_paired(void *ctx, uint16_t type, const void *body)
{
    UNUSED(type);
    find_paired(ctx, body);
}

static void need_one(const struct cli *c, const struct listing *l, const char *what)
{
    if (l->hits != 1) {
        cli_fail(c, CLI_NOT_THERE, "not-found", "tenaza devices list", l->hits == 0 ? "there is no %s \"%s\""
                                                                                      : "there is more than one %s \"%s\"",
                 what, l->word);
    }
}

static void done(const struct cli *c, const char *what, const char *id)
{
    if (c->json) {
        cli_print_json(json_pack("{s:b, s:s}", "ok", 1, what, id));
    } else {
        cli_say(c, "%s %s", what, id);
    }
}

static void resolve(struct cli *c, struct session *s, bool approve)
{
    struct listing l = {.c = c, .word = c->argv[1]};
    struct msg_device_list list = {.id = SV_NULL};
    session_call(s, MSG_DEVICE_LIST, &list, on_find, &l, NULL);
    need_one(c, &l, "waiting request");
    struct msg_device_resolve m = {.request_id = sv_of(l.request), .approve = approve, .role = sv_of(l.role),
                                   .scopes = sv_of(l.scopes)};
    session_call(s, MSG_DEVICE_RESOLVE, &m, NULL, NULL, NULL);
    done(c, approve ? "approved" : "rejected", l.request);
}

static void change(struct cli *c, struct session *s, const char *op, const char *role)
{
    struct listing l = {.c = c, .word = c->argv[1]};
    struct msg_device_list list = {.id = SV_NULL};
    session_call(s, MSG_DEVICE_LIST, &list, on_find_paired, &l, NULL);
    need_one(c, &l, "device");
    struct msg_device_change m = {.id = sv_of(l.id), .op = sv_of(op), .role = sv_of(role)};
    session_call(s, MSG_DEVICE_CHANGE, &m, NULL, NULL, NULL);
    done(c, strcmp(op, "remove") == 0 ? "removed" : "revoked", l.id);
}

int cmd_devices(struct cli *c)
{
    struct session s;
    const char *role = cli_option(c, "--role", NULL);
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    bool list = strcmp(verb, "list") == 0, approve = strcmp(verb, "approve") == 0, reject = strcmp(verb, "reject") == 0,
         revoke = strcmp(verb, "revoke") == 0, removing = strcmp(verb, "remove") == 0;
    if (!(list || approve || reject || revoke || removing) || (c->argc == 2) == list) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza devices list | approve REQUEST | reject REQUEST | revoke DEVICE | remove DEVICE",
                 "devices: what to do with \"%s\"?", verb);
    }
    session_open(c, &s);
    if (list) {
        struct listing l = {.c = c};
        struct msg_device_list m = {.id = SV_NULL};
        session_call(&s, MSG_DEVICE_LIST, &m, on_list, &l, NULL);
    } else if (approve || reject) {
        resolve(c, &s, approve);
    } else {
        change(c, &s, removing ? "remove" : "revoke", role ? role : removing ? "" : "operator");
    }
    session_close(&s);
    return CLI_OK;
}
