/*
 * call.c: the life of one model call, see call.h.
 * Runs in: agent.     Owns: struct model_call, freed after its last callback.
 * Never: frees itself while a callback of its own is running.
 * Tested in: tests/unit/agent/test_turn.c
 */
#include "agent/provider/call.h"

#include "agent/provider/sse.h"
#include "common/err.h"
#include "common/text.h"

#define OFFLINE_PIECE 24    /* bytes */
#define OFFLINE_PAUSE_MS 12 /* ~2 KB/s: visible as a stream, over in half a second */
#define END_GRACE_MS 50     /* a server that keeps the transfer open behind its end mark is not waited for */

struct model_call {
    struct loop *loop;
    const struct dialect *dialect;
    struct http_req *http; /* NULL: offline */
    struct sse sse;
    struct reply reply;
    model_text_fn *on_text;
    model_done_fn *on_done;
    void *ctx;
    bool cancelled; /* the owner is not called any more */
    bool delivered; /* on_done was called */
    bool busy;      /* inside pace, which frees a call without a request */
    bool enough;    /* we ended the transfer ourselves: the reply is complete or failed */
    bool begun, plain; /* the body began; with a brace: it is one JSON object instead of a stream */
    struct buf script; /* offline: the whole answer; plain: the object */
    size_t said;
    struct loop_timer pace;
};

static void call_free(struct model_call *c)
{
    loop_timer_stop(&c->pace);
    sse_free(&c->sse);
    reply_free(&c->reply);
    buf_free(&c->script);
    xfree(c);
}

static void text_out(void *ctx, sv delta)
{
    struct model_call *c = ctx;
    if (!c->cancelled) {
        c->on_text(c->ctx, delta);
    }
}

static void pace(void *ctx);

static struct model_call *call_new(struct loop *l, const struct dialect *d, model_text_fn *on_text,
                                   model_done_fn *on_done, void *ctx)
{
    struct model_call *c = xcalloc(1, sizeof *c);
    c->loop = l;
    c->dialect = d;
    sse_init(&c->sse);
    reply_init(&c->reply);
    c->reply.on_text = text_out;
    c->reply.ctx = c;
    c->on_text = on_text;
    c->on_done = on_done;
    c->ctx = ctx;
    c->script = BUF_INIT(REPLY_TEXT_MAX);
    loop_timer_init(&c->pace, l, pace, c);
    return c;
}

/* ---- over HTTP ------------------------------------------------------------------------------------- */

static void on_event(void *ctx, sv event, sv data)
{
    struct model_call *c = ctx;
    if (!c->cancelled && !c->reply.done && c->reply.fault == FAULT_NONE) {
        c->dialect->event(&c->reply, event, data);
    }
}

/* A server that does not stream answers with one object. */
static bool take_plain(struct model_call *c, sv bytes)
{
    sv head = sv_trim(bytes);
    if (!c->begun && head.n > 0) {
        c->begun = true;
        c->plain = head.p[0] == '{';
    }
    if (c->plain && !buf_sv(&c->script, bytes)) {
        reply_fail(&c->reply, FAULT_GARBLED, "the answer is too large");
    }
    return c->plain;
}

static void on_data(void *ctx, sv bytes)
{
    struct model_call *c = ctx;
    if (c->cancelled || c->enough) {
        return;
    }
    if (!take_plain(c, bytes) && sse_feed(&c->sse, bytes, on_event, c) < 0) {
        reply_fail(&c->reply, FAULT_GARBLED, "a line of the stream is larger than 1 MiB");
    }
    if (c->cancelled) { /* by on_text */
        return;
    }
    /* A failure, or text at its cap: the rest is not waited for. After a proper end mark the transfer ends
     * by itself, and the connection stays usable. */
    if (c->reply.fault != FAULT_NONE || (c->reply.done && c->reply.stop == STOP_LENGTH)) {
        c->enough = true;
        http_cancel(c->http);
    } else if (c->reply.done) {
        loop_timer_start(&c->pace, END_GRACE_MS);
    }
}

/* Was there anything that counts as an answer? */
static bool has_content(const struct reply *r)
{
    return r->text.n > 0 || r->calls_n > 0;
}

static void judge_transport(struct reply *r, const struct http_result *h)
{
    const char *why = h->error ? h->error : "";
    bool idle = strstr(why, "no data") != NULL || strstr(why, "in time") != NULL; /* phrases of http.c */
    bool tls = strstr(why, "TLS") != NULL;
    if (h->fail == HTTP_NOT_SENT) {
        reply_fail(r, tls ? FAULT_TLS : FAULT_UNREACHABLE, why);
    } else if (h->fail == HTTP_TOO_BIG) {
        reply_fail(r, FAULT_GARBLED, "the answer is larger than 16 MiB");
    } else if (has_content(r)) {
        reply_fail(r, idle ? FAULT_IDLE : FAULT_BROKEN, why);
    } else {
        reply_fail(r, idle ? FAULT_IDLE : FAULT_SERVER, why);
    }
}

static void judge_stream(struct model_call *c)
{
    struct reply *r = &c->reply;
    if (sse_end(&c->sse, on_event, c) < 0) {
        reply_fail(r, FAULT_GARBLED, "a line of the stream is larger than 1 MiB");
    }
    if (r->fault == FAULT_GARBLED && r->text.n > 0) {
        r->fault = FAULT_BROKEN; /* cut in the middle of a line */
    }
    /* Servers that leave out the end mark are forgiven once they gave the reason of the stop. */
    if (r->fault == FAULT_NONE && !r->done && r->stop == STOP_NONE) {
        reply_fail(r, has_content(r) ? FAULT_BROKEN : FAULT_EMPTY, "the stream ended early");
    }
    if (r->fault == FAULT_NONE && !has_content(r) && r->stop == STOP_REFUSAL) {
        reply_fail(r, FAULT_REFUSED, "");
    }
    if (r->fault == FAULT_NONE && !has_content(r)) {
        reply_fail(r, FAULT_EMPTY, "");
    }
}

static void deliver(struct model_call *c)
{
    c->delivered = true;
    loop_timer_stop(&c->pace);
    if (!c->cancelled) {
        c->on_done(c->ctx, &c->reply);
    }
}

static void on_http_done(void *ctx, const struct http_result *h)
{
    struct model_call *c = ctx;
    struct reply *r = &c->reply;
    c->http = NULL;
    if (!c->cancelled && !c->delivered) {
        bool ok = h->status >= 200 && h->status < 300;
        bool ended = ok && (r->done || r->stop != STOP_NONE); /* all that matters has arrived */
        r->retry_after_ms = h->retry_after_ms;
        if (c->enough || r->fault != FAULT_NONE) {
            /* decided already */
        } else if (h->fail != HTTP_OK && !ended) {
            r->status = ok ? 0 : h->status;
            judge_transport(r, h);
        } else if (!ok || c->plain) {
            c->dialect->error(r, h->status, ok ? buf_view(&c->script) : h->body);
            if (r->fault == FAULT_NONE) {
                judge_stream(c);
            }
        } else {
            judge_stream(c);
        }
        deliver(c);
    }
    call_free(c);
}

static void start_http(struct model_call *c, struct http_client *http, const struct call_target *t, sv body)
{
    struct buf url = BUF_INIT(4096), key = BUF_INIT(16384);
    buf_printf(&url, "%s%s", t->base_url, c->dialect->path);
    if (t->key && t->key->n > 0) {
        c->dialect->key_header(t->key, &key);
    }
    const char *headers[24];
    size_t n = 0;
    headers[n++] = "Content-Type: application/json";
    headers[n++] = "Accept: text/event-stream";
    if (key.n > 0) {
        headers[n++] = buf_cstr(&key);
    }
    for (size_t i = 0; c->dialect->headers && c->dialect->headers[i]; i++) {
        headers[n++] = c->dialect->headers[i];
    }
    for (size_t i = 0; t->headers && t->headers[i] && n + 1 < ARRAY_LEN(headers); i++) {
        headers[n++] = t->headers[i];
    }
    headers[n] = NULL;
    struct http_opts o = {
        .method = "POST",
        .url = buf_cstr(&url),
        .headers = headers,
        .body = body,
        .idle_ms = t->idle_ms,
        .max_body = CALL_STREAM_MAX,
        .allow_private = true, /* the address is the operator's, not a stranger's */
    };
    c->http = http_start(http, &o, on_data, on_http_done, c);
    if (key.p) {
        explicit_bzero(key.p, key.cap);
    }
    buf_free(&key);
    buf_free(&url);
}

/* ---- without a server ------------------------------------------------------------------------------ */

static void say_piece(struct model_call *c)
{
    sv rest = sv_sub(buf_view(&c->script), c->said, c->script.n);
    size_t n = utf8_cut(rest, OFFLINE_PIECE);
    if (n == 0) {
        n = rest.n;
    }
    if (n > 0) {
        c->said += n;
        reply_text(&c->reply, sv_sub(rest, 0, n));
    }
}

static void pace(void *ctx)
{
    struct model_call *c = ctx;
    if (c->http) { /* the end mark came, the end of the transfer did not */
        judge_stream(c);
        deliver(c);
        return;
    }
    c->busy = true;
    say_piece(c);
    if (!c->cancelled && c->said < c->script.n) {
        c->busy = false;
        loop_timer_start(&c->pace, OFFLINE_PAUSE_MS);
        return;
    }
    if (c->reply.fault == FAULT_NONE && c->reply.stop == STOP_NONE) {
        c->reply.stop = STOP_END;
    }
    c->reply.done = true;
    deliver(c);
    call_free(c);
}

struct model_call *model_call_start(struct loop *l, struct http_client *http, const struct call_target *t,
                                    const struct chat_req *q, model_text_fn *on_text, model_done_fn *on_done,
                                    void *ctx)
{
    struct model_call *c = call_new(l, t->dialect, on_text, on_done, ctx);
    struct buf body = BUF_INIT(CALL_BODY_MAX);
    if (t->dialect->body(q, &body)) {
        start_http(c, http, t, buf_view(&body));
    } else {
        reply_fail(&c->reply, FAULT_CONTEXT, "the request is larger than 4 MiB");
        loop_timer_start(&c->pace, 0);
    }
    buf_free(&body);
    return c;
}

struct model_call *model_call_offline(struct loop *l, const struct offline_req *q, model_text_fn *on_text,
                                      model_done_fn *on_done, void *ctx)
{
    struct model_call *c = call_new(l, &dialect_offline, on_text, on_done, ctx);
    offline_answer(q, &c->script);
    c->reply.in_tokens = q->text.n / 4 + 1;
    c->reply.out_tokens = c->script.n / 4 + 1;
    c->reply.has_usage = true;
    loop_timer_start(&c->pace, 0);
    return c;
}

void model_call_cancel(struct model_call *c)
{
    if (!c || c->cancelled) {
        return;
    }
    c->cancelled = true;
    loop_timer_stop(&c->pace);
    if (c->http) {
        http_cancel(c->http); /* done comes later and frees the call */
    } else if (!c->busy) {
        call_free(c);
    }
}
