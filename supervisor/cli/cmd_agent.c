/*
 * cmd_agent.c: agent: a message goes in, the answer comes out on stdout.
 * Runs in: command line.     Owns: one run while it waits for it.
 * Never: prints anything but the answer on stdout; ends a run that it leaves (except on Ctrl-C, where it asks for it).
 * Tested in: tests/scn/a1-first-reply.test.mjs, g1-models.test.mjs
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/id.h"
#include "supervisor/cli/cli.h"

/* A message that is not accepted by then is not: the store's reason is shown. */
#define ACCEPT_MS 10000
#define MESSAGE_MAX ((size_t)512 * 1024)
#define EXIT_INTERRUPTED 130

struct turn {
    struct session s;
    struct cli *c;
    char run_id[ID_UUID_LEN];
    bool stream;
    size_t shown; /* bytes of the answer already printed */
    int exit_code;
    ev_signal interrupt;
};

static void ended(struct turn *t, const struct msg_run *r)
{
    bool ok = sv_eqc(r->state, "ok") || sv_eqc(r->state, "merged");
    if (t->exit_code != EXIT_INTERRUPTED) {
        t->exit_code = ok ? CLI_OK : CLI_FAILED;
    }
    if (t->c->json) {
        json_t *v = json_pack("{s:b}", "ok", ok);
        json_put(v, "runId", r->run_id);
        json_put(v, "sessionKey", r->session_key);
        json_put(v, "status", r->state);
        json_put(v, "text", r->reply);
        json_put(v, "error", r->error);
        json_put(v, "provider", r->provider);
        json_put(v, "model", r->model);
        (void)json_object_set_new(v, "inputTokens", json_integer((json_int_t)r->in_tokens));
        (void)json_object_set_new(v, "outputTokens", json_integer((json_int_t)r->out_tokens));
        (void)json_object_set_new(v, "durationMs", json_integer(r->ended_ms - r->accepted_ms));
        cli_print_json(v);
    } else if (r->reply.n > t->shown) {
        cli_text(sv_sub(r->reply, t->shown, r->reply.n));
        putchar('\n');
    } else if (t->shown > 0) {
        putchar('\n');
    }
    if (!ok) {
        fprintf(stderr, "tenaza: the run ended as %.*s%s%.*s\n", SV_ARG(r->state), sv_empty(r->error) ? "" : ": ",
                SV_ARG(r->error));
    }
    loop_stop(t->s.loop);
}

static bool is_over(sv state)
{
    return !sv_eqc(state, "queued") && !sv_eqc(state, "running") && !sv_eqc(state, "started");
}

static void on_run(void *ctx, uint16_t type, const void *body)
{
    struct turn *t = ctx;
    const struct msg_run *r = body;
    UNUSED(type);
    if (sv_eqc(r->run_id, t->run_id) && is_over(r->state)) {
        ended(t, r);
    }
}

/* Live text, only what follows on what was shown already; holes are filled by the end of the run. */
static void on_live(void *ctx, uint16_t type, const void *body, bool gap)
{
    struct turn *t = ctx;
    const struct msg_run_event *e = body;
    UNUSED(gap);
    if (type != MSG_RUN_EVENT || !t->stream || !sv_eqc(e->run_id, t->run_id) || !sv_eqc(e->stream, "assistant")) {
        return;
    }
    if (e->off == t->shown) {
        cli_text(e->delta);
        (void)fflush(stdout);
        t->shown += e->delta.n;
    }
}

static void on_known(void *ctx, int err, uint16_t type, const void *body)
{
    if (err == OK) {
        on_run(ctx, type, body);
    }
}

/* The store was restarted: watch again, and ask for what happened meanwhile. */
static void watch(void *ctx)
{
    struct turn *t = ctx;
    struct msg_watch w = {0};
    struct msg_run_get g = {.run_id = sv_of(t->run_id)};
    store_call(t->s.store, MSG_WATCH, &w, 60000, on_known, t);
    store_call(t->s.store, MSG_RUN_GET, &g, 60000, on_known, t);
}

static void on_accepted(void *ctx, int err, uint16_t type, const void *body)
{
    struct turn *t = ctx;
    const struct msg_ingested *m = body;
    UNUSED(type);
    if (err != OK) {
        cli_fail_status(t->c, err, body);
    }
    t->s.late_hint = "the run goes on; its answer will be in: tenaza sessions show";
    if (sv_eqc(m->state, "command")) {
        cli_text(m->text);
        putchar('\n');
        loop_stop(t->s.loop);
    }
}

static void on_interrupt(struct ev_loop *l, ev_signal *w, int events)
{
    struct turn *t = w->data;
    struct msg_abort a = {.run_id = sv_of(t->run_id), .reason = SV("rpc")};
    UNUSED(events);
    t->exit_code = EXIT_INTERRUPTED;
    store_call(t->s.store, MSG_ABORT, &a, 2000, on_known, NULL);
    ev_signal_stop(l, w); /* a second Ctrl-C ends at once */
}

static sv read_message(struct cli *c, const char *text, struct buf *in)
{
    if (text && strcmp(text, "-") == 0) {
        if (fd_read_all(STDIN_FILENO, in) != OK) {
            cli_fail(c, CLI_IO, "input", NULL, "cannot read the message from standard input (limit 512 KiB)");
        }
        text = buf_cstr(in);
    }
    sv message = sv_trim(sv_of(text));
    if (sv_empty(message)) {
        cli_fail(c, CLI_USAGE, "usage", "tenaza agent -m \"your message\"", "agent: a message is needed");
    }
    return message;
}

int cmd_agent(struct cli *c)
{
    struct turn t = {.c = c};
    struct buf in = BUF_INIT(MESSAGE_MAX);
    const char *text = cli_option(c, "--message", "-m"), *key = cli_option(c, "--session", NULL),
               *agent = cli_option(c, "--agent", NULL);
    t.stream = cli_flag(c, "--stream", NULL) && !c->json;
    cli_words(c, text ? 0 : 1);
    sv message = read_message(c, text ? text : c->argc > 0 ? c->argv[0] : NULL, &in);
    char *full = !key ? xasprintf("agent:%s:main", agent ? agent : "main")
                 : strncmp(key, "agent:", 6) == 0 ? xstrdup(key) : xasprintf("agent:%s:%s", agent ? agent : "main", key);
    id_uuid(t.run_id);
    session_open(c, &t.s);
    store_on_push(t.s.store, MSG_RUN, on_run, &t);
    bus_subscribe(t.s.bus, "run", on_live, &t);
    store_on_up(t.s.store, watch, &t);
    ev_signal_init(&t.interrupt, on_interrupt, SIGINT);
    t.interrupt.data = &t;
    ev_signal_start(loop_ev(t.s.loop), &t.interrupt);
    struct msg_ingest m = {.channel = SV("webchat"), .account = SV("cli"), .event_id = sv_of(t.run_id),
                           .run_id = sv_of(t.run_id), .session_key = sv_of(full), .text = message,
                           .sender_id = SV("cli"), .sender_name = SV("command line"), .agent_id = agent ? sv_of(agent) : SV_NULL};
    bool hurry = c->timeout_ms > 0 && c->timeout_ms < ACCEPT_MS;
    store_call(t.s.store, MSG_INGEST, &m, hurry ? c->timeout_ms * 9 / 10 : ACCEPT_MS, on_accepted, &t);
    loop_run(t.s.loop);
    ev_signal_stop(loop_ev(t.s.loop), &t.interrupt);
    session_close(&t.s);
    xfree(full);
    buf_free(&in);
    return t.exit_code;
}
