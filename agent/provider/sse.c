/*
 * sse.c: the parser of sse.h, after the event stream section of the HTML standard.
 * Runs in: agent.     Owns: nothing beyond struct sse.
 * Never: looks at a byte twice when a line lies whole in the input.
 * Tested in: tests/unit/agent/test_sse.c; fuzzed by tests/fuzz/fuzz_sse.c
 */
#include "agent/provider/sse.h"

#include "common/err.h"

void sse_init(struct sse *s)
{
    memset(s, 0, sizeof *s);
    s->line = BUF_INIT(SSE_MAX);
    s->data = BUF_INIT(SSE_MAX);
}

void sse_free(struct sse *s)
{
    buf_free(&s->line);
    buf_free(&s->data);
}

static void dispatch(struct sse *s, sse_event_fn *fn, void *ctx)
{
    if (s->has_data) {
        fn(ctx, sv_of(s->event), buf_view(&s->data));
    }
    buf_reset(&s->data);
    s->event[0] = '\0';
    s->has_data = false;
}

static int add_data(struct sse *s, sv value)
{
    /* Several data lines are one value, joined by line feeds. */
    if (s->has_data && !buf_ch(&s->data, '\n')) {
        return ERR_TOOBIG;
    }
    s->has_data = true;
    return buf_sv(&s->data, value) ? OK : ERR_TOOBIG;
}

static int take_line(struct sse *s, sv line, sse_event_fn *fn, void *ctx)
{
    if (!s->begun) {
        s->begun = true;
        if (sv_starts(line, SV("\xef\xbb\xbf"))) {
            line = sv_sub(line, 3, line.n);
        }
    }
    if (line.n == 0) {
        dispatch(s, fn, ctx);
        return OK;
    }
    sv value = line;
    sv field = sv_cut(&value, ':');
    if (field.n == 0) {
        return OK; /* a comment, sent to keep the connection open */
    }
    if (value.n > 0 && value.p[0] == ' ') {
        value = sv_sub(value, 1, value.n);
    }
    if (sv_eq(field, SV("data"))) {
        return add_data(s, value);
    }
    if (sv_eq(field, SV("event"))) {
        sv cut = sv_sub(value, 0, SSE_NAME_MAX);
        (void)sv_copy(s->event, sizeof s->event, cut);
    }
    return OK; /* id, retry and unknown fields mean nothing to us */
}

/* A line has ended: its last part is `tail`, its beginning may wait in s->line. */
static int end_line(struct sse *s, sv tail, sse_event_fn *fn, void *ctx)
{
    if (s->line.n == 0) {
        return tail.n > SSE_MAX ? ERR_TOOBIG : take_line(s, tail, fn, ctx);
    }
    if (!buf_sv(&s->line, tail)) {
        return ERR_TOOBIG;
    }
    int rc = take_line(s, buf_view(&s->line), fn, ctx);
    buf_reset(&s->line);
    return rc;
}

int sse_feed(struct sse *s, sv bytes, sse_event_fn *fn, void *ctx)
{
    size_t from = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];
        if (s->after_cr) {
            s->after_cr = false;
            if (c == '\n') {
                from = i + 1;
                continue;
            }
        }
        if (c != '\n' && c != '\r') {
            continue;
        }
        s->after_cr = c == '\r';
        int rc = end_line(s, sv_sub(bytes, from, i - from), fn, ctx);
        if (rc < 0) {
            return rc;
        }
        from = i + 1;
    }
    if (from < bytes.n && !buf_sv(&s->line, sv_sub(bytes, from, bytes.n - from))) {
        return ERR_TOOBIG;
    }
    return OK;
}

int sse_end(struct sse *s, sse_event_fn *fn, void *ctx)
{
    int rc = s->line.n > 0 ? end_line(s, SV_NULL, fn, ctx) : OK;
    if (rc == OK) {
        dispatch(s, fn, ctx);
    }
    return rc;
}
