/*
 * fuzz_sse.c: the event stream parser: however the input is cut, the same events come out.
 * Runs in: fuzzing (first byte: where to cut).     Owns: nothing.
 * Never: input or output.
 * Tested in: this is the test.
 */
#include "agent/provider/sse.h"
#include "common/err.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_event(void *ctx, sv event, sv data)
{
    struct buf *out = ctx;
    ASSERT(event.n <= SSE_NAME_MAX);
    buf_printf(out, "<%zu|", event.n);
    buf_sv(out, event);
    buf_sv(out, data);
    buf_ch(out, '>');
}

static void parse(struct buf *out, sv text, size_t step)
{
    struct sse s;
    sse_init(&s);
    int rc = OK;
    for (size_t i = 0; i < text.n && rc == OK; i += step) {
        rc = sse_feed(&s, sv_sub(text, i, step), on_event, out);
    }
    ASSERT(rc == OK && sse_end(&s, on_event, out) == OK);
    sse_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > 100000) {
        return 0;
    }
    struct buf whole = BUF_INIT(10u * 1024 * 1024), parts = BUF_INIT(10u * 1024 * 1024);
    sv text = sv_mem(data + 1, n - 1);
    parse(&whole, text, text.n ? text.n : 1);
    parse(&parts, text, (size_t)data[0] % 16 + 1);
    ASSERT(sv_eq(buf_view(&whole), buf_view(&parts)));
    buf_free(&whole);
    buf_free(&parts);
    return 0;
}
