/*
 * cmd_deadletters.c: what ended without reaching anybody: messages whose run failed (ids m1, m2 ...), and deliveries
 *                    that were given up (ids of the outbox).
 * Runs in: command line.     Owns: nothing.
 * Never: resubmits without being told to.
 * Tested in: tests/scn/p2-unknown.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "supervisor/cli/outbox.h"

struct listing {
    struct cli *c;
    json_t *json;
    struct buf rows;
};

static json_t *message_json(const struct msg_dead_row *r)
{
    char id[32];
    (void)snprintf(id, sizeof id, "m%llu", (unsigned long long)r->seq);
    json_t *o = json_pack("{s:s, s:s, s:I}", "id", id, "kind", "message", "seq", (json_int_t)r->seq);
    json_put(o, "runId", r->run_id);
    json_put(o, "session", r->session_key);
    json_put(o, "channel", r->channel);
    json_put(o, "account", r->account);
    json_put(o, "chat", r->chat_id);
    json_put(o, "from", r->sender);
    json_put(o, "text", r->text);
    json_put(o, "errorKind", r->error_kind);
    json_put(o, "error", r->error);
    cli_put_time(o, "acceptedAt", r->at_ms);
    cli_put_time(o, "endedAt", r->ended_ms);
    return o;
}

static void add_messages(void *ctx, uint16_t type, const void *body)
{
    struct listing *l = ctx;
    const struct msg_dead *m = body;
    UNUSED(type);
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_dead_row *r = &m->rows[i];
        char age[48];
        cli_age(r->at_ms, age, sizeof age);
        buf_printf(&l->rows, "m%llu\tmessage\t%.*s/%.*s/", (unsigned long long)r->seq, SV_ARG(r->channel), SV_ARG(r->account));
        cli_cell(&l->rows, sv_empty(r->chat_id) ? r->session_key : r->chat_id, 256, '\t');
        buf_printf(&l->rows, "%s\t", age);
        cli_cell(&l->rows, sv_empty(r->error) ? r->error_kind : r->error, 80, '\t');
        cli_cell(&l->rows, r->text, 60, '\n');
        (void)json_array_append_new(l->json, message_json(r));
    }
}

static void add_deliveries(void *ctx, uint16_t type, const void *body)
{
    struct listing *l = ctx;
    const struct msg_outbox *m = body;
    UNUSED(type);
    for (size_t i = 0; i < m->rows_n; i++) {
        const struct msg_out_row *r = &m->rows[i];
        char age[48];
        cli_age(r->created_ms, age, sizeof age);
        cli_cell(&l->rows, r->delivery_id, 64, '\t');
        buf_printf(&l->rows, "delivery\t%.*s/%.*s/", SV_ARG(r->channel), SV_ARG(r->account));
        cli_cell(&l->rows, r->chat_id, 256, '\t');
        buf_printf(&l->rows, "%s\t", age);
        cli_cell(&l->rows, r->error, 80, '\t');
        cli_cell(&l->rows, r->text, 60, '\n');
        json_t *o = outbox_json(r);
        json_put(o, "kind", SV("delivery"));
        (void)json_array_append_new(l->json, o);
    }
}

static void list(struct cli *c, struct session *s, uint64_t limit)
{
    struct listing l = {.c = c, .json = json_array(), .rows = BUF_INIT((size_t)4 * 1024 * 1024)};
    struct msg_dead_list in = {.limit = limit};
    struct msg_outbox_list out = {.limit = limit, .state = SV("dead")};
    buf_str(&l.rows, "ID\tKIND\tWHERE\tAGE\tWHY\tTEXT\n");
    session_call(s, MSG_DEAD_LIST, &in, add_messages, &l, NULL);
    session_call(s, MSG_OUTBOX_LIST, &out, add_deliveries, &l, NULL);
    if (c->json) {
        cli_print_json(json_pack("{s:o}", "rows", l.json));
    } else {
        json_decref(l.json);
        cli_table("", buf_view(&l.rows));
    }
    buf_free(&l.rows);
}

/* "m17": a message. False: it is the id of a delivery. */
static bool message_id(const char *id, uint64_t *seq)
{
    return id[0] == 'm' && sv_u64(sv_of(id + 1), seq) && *seq > 0;
}

static void show_message(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_dead *m = body;
    UNUSED(type);
    const struct msg_dead_row *r = &m->rows[0];
    char iso[CLOCK_ISO_LEN];
    if (c->json) {
        cli_print_json(message_json(r));
        return;
    }
    clock_iso(r->at_ms, iso);
    printf("m%llu  %s  from %.*s over %.*s/%.*s, session %.*s, run %.*s\n", (unsigned long long)r->seq, iso,
           SV_ARG(r->sender), SV_ARG(r->channel), SV_ARG(r->account), SV_ARG(r->session_key), SV_ARG(r->run_id));
    cli_text(r->error);
    printf("\n\n");
    cli_text(r->text);
    printf("\n");
}

static void show(struct cli *c, struct session *s, const char *id)
{
    uint64_t seq;
    if (message_id(id, &seq)) {
        struct msg_dead_list m = {.seq = seq};
        session_call(s, MSG_DEAD_LIST, &m, show_message, c, NULL);
        return;
    }
    struct msg_outbox_list m = {.delivery_id = sv_of(id)};
    session_call(s, MSG_OUTBOX_LIST, &m, outbox_show, c, NULL);
}

static void on_decided(void *ctx, uint16_t type, const void *body)
{
    struct msg_decided *sum = ctx;
    const struct msg_decided *m = body;
    UNUSED(type);
    sum->count += m->count;
    sum->more = m->more;
}

/* seq 0: all. Stops when the store has no room for more just now. */
static struct msg_decided decide_messages(struct session *s, bool again, uint64_t seq)
{
    struct msg_decided sum = {0};
    int err = OK;
    do {
        struct msg_dead_decide m = {.action = again ? SV("resubmit") : SV("drop"), .seq = seq};
        session_call(s, MSG_DEAD_DECIDE, &m, on_decided, &sum, sum.count > 0 ? &err : NULL);
    } while (sum.more && err == OK);
    return sum;
}

static void decide(struct cli *c, struct session *s, bool again, const char *id)
{
    uint64_t seq = 0, messages = 0, deliveries = 0;
    bool more = false;
    if (!id || message_id(id, &seq)) {
        struct msg_decided done = decide_messages(s, again, seq);
        messages = done.count;
        more = done.more;
    }
    if (!id || seq == 0) {
        deliveries = outbox_decide(s, again ? "retry" : "drop", id, id ? NULL : "dead");
    }
    if (c->json) {
        cli_print_json(json_pack("{s:I, s:I, s:b}", "messages", (json_int_t)messages, "deliveries", (json_int_t)deliveries, "more",
                                 more));
        return;
    }
    cli_say(c, "%llu messages and %llu deliveries %s%s", (unsigned long long)messages, (unsigned long long)deliveries,
            again ? "resubmitted" : "dropped", more ? "; there are more: the queue is full, try again later" : "");
}

int cmd_deadletters(struct cli *c)
{
    struct session s;
    bool all = cli_flag(c, "--all", NULL);
    uint64_t limit = cli_limit(c, 100);
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    bool again = strcmp(verb, "resubmit") == 0, dropping = strcmp(verb, "drop") == 0, one = strcmp(verb, "show") == 0;
    bool listing = strcmp(verb, "list") == 0;
    int words = listing || all ? 1 : 2;
    if (!(again || dropping || one || listing) || (all && !again && !dropping) || (c->argc > 0 && c->argc != words)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza deadletters [list | show ID | resubmit ID|--all | drop ID|--all]",
                 "deadletters: what to do with \"%s\"?", verb);
    }
    session_open(c, &s);
    if (listing) {
        list(c, &s, limit);
    } else if (one) {
        show(c, &s, c->argv[1]);
    } else {
        decide(c, &s, again, all ? NULL : c->argv[1]);
    }
    session_close(&s);
    return CLI_OK;
}
