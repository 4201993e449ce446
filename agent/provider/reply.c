/*
 * reply.c: collecting a streamed answer, see reply.h.
 * Runs in: agent.     Owns: nothing beyond struct reply.
 * Never: trusts a count or a size of the server.
 * Tested in: tests/unit/agent/test_openai.c, test_anthropic.c
 */
#include "agent/provider/reply.h"

#include <stdio.h>

#include "common/text.h"

void reply_init(struct reply *r)
{
    memset(r, 0, sizeof *r);
    r->text = BUF_INIT(REPLY_TEXT_MAX);
    r->retry_after_ms = -1;
}

void reply_free(struct reply *r)
{
    buf_free(&r->text);
    for (size_t i = 0; i < r->calls_n; i++) {
        buf_free(&r->calls[i].args);
    }
    r->calls_n = 0;
}

void reply_reset(struct reply *r)
{
    void (*on_text)(void *, sv) = r->on_text;
    void *ctx = r->ctx;
    reply_free(r);
    reply_init(r);
    r->on_text = on_text;
    r->ctx = ctx;
}

void reply_text(struct reply *r, sv delta)
{
    if (delta.n == 0 || r->fault != FAULT_NONE) {
        return;
    }
    if (r->text.n + delta.n > REPLY_TEXT_MAX) {
        /* Cut at the cap, once; the turn ends as "length". */
        delta = sv_sub(delta, 0, utf8_cut(delta, REPLY_TEXT_MAX - r->text.n));
        r->stop = STOP_LENGTH;
        r->done = true;
        if (delta.n == 0) {
            return;
        }
    }
    buf_sv(&r->text, delta);
    if (r->on_text) {
        r->on_text(r->ctx, delta);
    }
}

struct reply_call *reply_call(struct reply *r, int64_t index)
{
    for (size_t i = 0; i < r->calls_n; i++) {
        if (r->calls[i].index == index) {
            return &r->calls[i];
        }
    }
    if (r->calls_n == REPLY_CALLS_MAX) {
        reply_fail(r, FAULT_GARBLED, "more than 32 tool calls in one message");
        return NULL;
    }
    struct reply_call *c = &r->calls[r->calls_n++];
    memset(c, 0, sizeof *c);
    c->args = BUF_INIT(REPLY_ARGS_MAX);
    c->index = index;
    return c;
}

void reply_call_name(struct reply_call *c, sv id, sv name)
{
    if (id.n > 0 && c->id[0] == '\0') {
        (void)sv_copy(c->id, sizeof c->id, sv_sub(id, 0, utf8_cut(id, REPLY_ID_MAX)));
    }
    if (name.n > 0 && c->name[0] == '\0') {
        (void)sv_copy(c->name, sizeof c->name, sv_sub(name, 0, utf8_cut(name, REPLY_NAME_MAX)));
    }
}

void reply_args(struct reply *r, struct reply_call *c, sv delta)
{
    if (delta.n == 0) {
        return;
    }
    r->args_n += delta.n;
    if (r->args_n > REPLY_ARGS_MAX || !buf_sv(&c->args, delta)) {
        reply_fail(r, FAULT_GARBLED, "tool arguments larger than 64 KiB");
    }
}

static void set_detail(struct reply *r, sv text)
{
    text = sv_sub(text, 0, utf8_cut(text, sizeof r->detail - 1));
    if (!utf8_valid(text) || !sv_copy(r->detail, sizeof r->detail, text)) {
        r->detail[0] = '\0';
    }
}

void reply_error(struct reply *r, int status, sv type, sv message)
{
    if (r->fault != FAULT_NONE) {
        return;
    }
    r->fault = fault_classify(status, type, message);
    r->status = status;
    set_detail(r, message.n > 0 ? message : type);
}

void reply_fail(struct reply *r, enum fault f, const char *detail)
{
    if (r->fault == FAULT_NONE) {
        r->fault = f;
        set_detail(r, sv_of(detail));
    }
}

void reply_settle(struct reply *r, const char *prefix)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->calls_n; i++) {
        struct reply_call *c = &r->calls[i];
        if (c->name[0] == '\0') {
            buf_free(&c->args);
            continue;
        }
        if (c->id[0] == '\0') {
            (void)snprintf(c->id, sizeof c->id, "call_%.100s_%zu", prefix, i + 1);
        }
        if (sv_trim(buf_view(&c->args)).n == 0) {
            buf_reset(&c->args);
            buf_str(&c->args, "{}");
        }
        r->calls[kept++] = *c;
    }
    r->calls_n = kept;
}
