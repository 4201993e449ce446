/*
 * effects.c: what tools do outside, by way of the store: SEND.
 * Runs in: agent.     Owns: the request under way (through struct run).
 * Never: gives up while the run may go on: the key makes repeats harmless.
 * Tested in: tests/unit/agent/test_run.c
 */
#include "agent/agent.h"
#include "common/err.h"
#include "common/log.h"

#define SEND_WITHIN_MS 30000

static void send_now(struct run *r);

static void on_sent(void *ctx, int err, uint16_t type, const void *body)
{
    struct run *r = CONTAINER_OF(ctx, struct run, send);
    struct tool_run *t = &r->tool;
    if (err == OK && type == MSG_SENT) {
        const struct msg_sent *m = body;
        sv text = arena_printf(&r->mem, "Accepted for delivery to %.*s/%.*s/%.*s (delivery %.*s).%s", SV_ARG(m->channel),
                               SV_ARG(m->account), SV_ARG(m->chat_id), SV_ARG(m->delivery_id),
                               m->dup ? " It had been accepted before; it is sent once." : "");
        t->done(t->ctx, t, text, false);
    } else if (err == ERR_TIMEOUT || err_retryable(err)) {
        log_warn("run %.*s: SEND not stored yet: %s", SV_ARG(r->g.run_id), err_name(err));
        send_now(r);
    } else {
        const struct msg_status *st = type == MSG_STATUS ? body : NULL;
        t->done(t->ctx, t, st && !sv_empty(st->text) ? st->text : sv_of(err_text(err)), true);
    }
}

static void send_now(struct run *r)
{
    store_call(r->agent->store, MSG_SEND, &r->send, SEND_WITHIN_MS, on_sent, &r->send);
}

void effect_send(struct tool_run *t, const struct tool_message *m)
{
    struct run *r = t->ctx;
    r->send = (struct msg_send){
        .run_id = r->g.run_id,
        .fence = r->g.fence,
        .key = t->key,
        .channel = m->channel,
        .account = m->account,
        .chat_id = m->chat_id,
        .thread_id = m->thread_id,
        .text = m->text, /* views into the arguments, which live until done */
    };
    send_now(r);
}

void effect_send_cancel(struct tool_run *t)
{
    struct run *r = t->ctx;
    store_forget(r->agent->store, &r->send);
}
