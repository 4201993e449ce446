/*
 * http_stream.c: answers in pieces: chunked over HTTP/1.1, until the end of the connection over 1.0.
 * Runs in: edge.     Owns: nothing beyond its request.
 * Never: piles up what a slow reader does not take: what is new is pulled when the last piece has left.
 * Tested in: the scenarios
 */
#include "workers/edge/http.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/edge/server.h"

static void on_alive(void *ctx)
{
    struct http_req *r = ctx;
    int64_t silent = clock_mono_ms() - r->wrote_ms;
    bool waiting = out_text(&r->answer).n > 0;
    if (waiting && silent >= HTTP_STREAM_STUCK_MS) {
        log_info("a reader of a stream does not read and is cut off request=%s", r->id);
        transport_kill(r->wsi);
        return;
    }
    if (!waiting && silent >= HTTP_STREAM_ALIVE_MS) {
        http_stream_add(r, SV(": keep-alive\n\n"));
        silent = 0;
    }
    loop_timer_start(&r->alive, waiting ? HTTP_STREAM_ALIVE_MS : HTTP_STREAM_ALIVE_MS - silent);
}

void http_stream_begin(struct http_req *r, const char *type, const char *extra)
{
    struct buf lines = BUF_INIT(2048);
    if (r->answer.n > 0) {
        return;
    }
    if (r->http10) {
        r->close_after = true; /* the end of the connection is the end of the answer */
    }
    buf_printf(&lines, "%sX-Accel-Buffering: no\r\nCache-Control: no-cache\r\n%s", r->http10 ? "" : "Transfer-Encoding: chunked\r\n",
               extra ? extra : "");
    r->streaming = true;
    http_answer(r, 200, type, SV_NULL, buf_cstr(&lines));
    buf_free(&lines);
    r->wrote_ms = clock_mono_ms();
    loop_timer_init(&r->alive, r->e->loop, on_alive, r);
    loop_timer_start(&r->alive, HTTP_STREAM_ALIVE_MS);
}

void http_stream_add(struct http_req *r, sv piece)
{
    if (!r->streaming || r->ended || piece.n == 0) {
        return;
    }
    if (!r->http10) {
        buf_printf(&r->answer, "%zx\r\n", piece.n);
    }
    buf_sv(&r->answer, piece);
    if (!r->http10) {
        buf_str(&r->answer, "\r\n");
    }
    http_stream_kick(r);
}

void http_stream_event(struct http_req *r, const char *name, sv data)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    if (name != NULL) {
        buf_printf(&b, "event: %s\n", name);
    }
    buf_str(&b, "data: ");
    buf_sv(&b, data);
    buf_str(&b, "\n\n");
    http_stream_add(r, buf_view(&b));
    buf_free(&b);
}

void http_stream_end(struct http_req *r)
{
    if (!r->streaming || r->ended) {
        return;
    }
    if (!r->http10) {
        buf_str(&r->answer, "0\r\n\r\n");
    }
    r->ended = true;
    http_stream_kick(r);
}

void http_stream_kick(struct http_req *r)
{
    if (r->wsi != NULL) {
        transport_want_write(r->wsi);
    }
}
