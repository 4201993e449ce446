/*
 * plane.c: admits the command line to the planes of store and bus, and makes one request at a time look plain.
 * Runs in: command line.     Owns: the connections, until session_close or exit.
 * Never: sends anything before the supervisor has registered this process.
 * Tested in: tests/scn/a1-first-reply.test.mjs
 */
#include <stdio.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

#define CALL_MS 5000

static void too_late(void *ctx)
{
    struct session *s = ctx;
    cli_fail(s->cli, CLI_TIMEOUT, "timeout", s->late_hint ? s->late_hint : "look at: tenaza status",
             "no answer within the time given");
}

void session_open(struct cli *c, struct session *s)
{
    *s = (struct session){.cli = c, .ctl = ctl_connect(c), .call_ms = CALL_MS};
    if (s->ctl < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    json_t *v = ctl_request(c, s->ctl, "attach");
    char name[128], store[160], bus[160];
    bool ok = sv_copy(name, sizeof name, json_sv(v, "name")) && sv_copy(store, sizeof store, json_sv(v, "store")) &&
              sv_copy(bus, sizeof bus, json_sv(v, "bus")) && name[0] && store[0] && bus[0];
    uint64_t inc = (uint64_t)json_i64(v, "inc", 1);
    json_free(&v);
    if (!ok) {
        cli_fail(c, CLI_FAILED, "version", NULL, "the running gateway is of another version than this command");
    }
    s->loop = loop_new();
    s->store = plane_store_new(s->loop, store, name, inc);
    s->bus = plane_bus_new(s->loop, bus, name, inc);
    loop_timer_init(&s->deadline, s->loop, too_late, s);
    if (c->timeout_ms > 0) {
        loop_timer_start(&s->deadline, c->timeout_ms);
    }
}

void session_close(struct session *s)
{
    loop_timer_stop(&s->deadline);
    plane_bus_free(s->bus);
    plane_store_free(s->store);
    loop_free(s->loop);
    fd_close(&s->ctl);
}

struct call {
    struct session *s;
    void (*on_answer)(void *ctx, uint16_t type, const void *body);
    void *ctx;
    int *err;
};

static void answered(void *ctx, int err, uint16_t type, const void *body)
{
    struct call *k = ctx;
    if (k->err) {
        *k->err = err;
    } else if (err < 0) {
        cli_fail_status(k->s->cli, err, body);
    }
    if (err == OK && k->on_answer) {
        k->on_answer(k->ctx, type, body);
    }
    loop_stop(k->s->loop);
}

void session_call(struct session *s, uint16_t type, const void *body,
                  void (*on_answer)(void *ctx, uint16_t type, const void *body), void *ctx, int *err)
{
    struct call k = {s, on_answer, ctx, err};
    store_call(s->store, type, body, s->cli->timeout_ms > 0 ? s->cli->timeout_ms : s->call_ms, answered, &k);
    loop_run(s->loop);
}
