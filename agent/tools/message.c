/*
 * message.c: the tool that sends a message to a known chat.
 * Runs in: agent.     Owns: nothing.
 * Never: sends by itself: the store puts the message into the outbox, once for each call, whatever dies meanwhile.
 * Tested in: tests/unit/agent/test_tools.c, tests/unit/store/test_send.c; scenario p1
 */
#include "agent/tools/tool.h"

static void start(struct tool_run *t)
{
    struct tool_message m = {
        .channel = json_sv(t->args, "channel"),
        .account = json_sv(t->args, "accountId"),
        .chat_id = json_sv(t->args, "target"),
        .thread_id = json_sv(t->args, "threadId"),
        .text = json_sv(t->args, "message"),
    };
    if (sv_trim(m.text).n == 0) {
        t->done(t->ctx, t, SV("\"message\" is empty: there is nothing to send."), true);
    } else if (sv_empty(m.channel) != sv_empty(m.chat_id)) {
        t->done(t->ctx, t, SV("\"channel\" and \"target\" belong together: give both, or none for this chat."), true);
    } else {
        m.account = sv_empty(m.account) && !sv_empty(m.channel) ? SV("default") : m.account;
        t->env->send(t, &m);
    }
}

static void cancel(struct tool_run *t)
{
    t->env->send_cancel(t);
}

const struct tool_ops tool_message = {.start = start, .cancel = cancel};
