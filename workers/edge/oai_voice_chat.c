/*
 * oai_voice_chat.c: POST /v1/chat/completions: how a chat completion tells what its run does.
 * Runs in: edge.     Owns: nothing.
 * Never: decides anything about the run.
 * Tested in: tests/conformance/openai.test.mjs
 */
#include "workers/edge/oai_run.h"

void route_chat_completions(struct http_req *r);

static void send(struct oai_run *w, struct buf *b)
{
    http_stream_event(w->r, NULL, buf_view(b));
    buf_free(b);
}

static void chat_begin(struct oai_run *w)
{
    struct buf b = BUF_INIT(4096);
    oai_chat_role(&b, &w->a);
    send(w, &b);
}

static void chat_text(struct oai_run *w, sv piece)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    oai_chat_text(&b, &w->a, piece);
    send(w, &b);
}

static void chat_end(struct oai_run *w)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    for (size_t i = 0; i < 2 * w->a.calls_n; i++) {
        b = BUF_INIT(OUT_MSG_MAX / 2);
        oai_chat_call(&b, &w->a, i / 2, i % 2 == 1);
        send(w, &b);
    }
    b = BUF_INIT(4096);
    oai_chat_finish(&b, &w->a);
    send(w, &b);
    if (w->q.include_usage) {
        b = BUF_INIT(4096);
        oai_chat_usage(&b, &w->a);
        send(w, &b);
    }
    http_stream_event(w->r, NULL, SV("[DONE]"));
}

static void chat_fail(struct oai_run *w, const struct http_fail *f)
{
    struct buf b = BUF_INIT(16384);
    http_fail_body(w->r, f, &b);
    send(w, &b);
    http_stream_event(w->r, NULL, SV("[DONE]"));
}

static void chat_whole(struct oai_run *w, struct buf *b)
{
    oai_chat_whole(b, &w->a);
}

const struct oai_voice oai_chat_voice = {
    .api = OAI_CHAT,
    .prefix = "chatcmpl_",
    .begin = chat_begin,
    .text = chat_text,
    .end = chat_end,
    .fail = chat_fail,
    .whole = chat_whole,
};

void route_chat_completions(struct http_req *r)
{
    oai_run_start(r, &oai_chat_voice);
}
