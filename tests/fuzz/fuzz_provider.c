/*
 * fuzz_provider.c: what model servers may send: streams and error bodies in each dialect, zone files, sums.
 * Runs in: fuzzing (first byte: which parser).     Owns: nothing.
 * Never: input or output.
 * Tested in: this is the test.
 */
#include "agent/provider/expr.h"
#include "agent/provider/offline.h"
#include "agent/provider/provider.h"
#include "agent/provider/sse.h"
#include "common/tz.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct dialect *dialect;

static void on_event(void *ctx, sv event, sv data)
{
    dialect->event(ctx, event, data);
}

static void answer(sv text, bool stream)
{
    struct reply r;
    reply_init(&r);
    struct sse s;
    sse_init(&s);
    if (!stream) {
        dialect->error(&r, text.n > 0 && (text.p[0] & 1) ? 200 : 500, text);
    } else if (sse_feed(&s, text, on_event, &r) == OK) {
        (void)sse_end(&s, on_event, &r);
    }
    reply_settle(&r, "fuzz");
    ASSERT(r.text.n <= REPLY_TEXT_MAX && r.calls_n <= REPLY_CALLS_MAX);
    sse_free(&s);
    reply_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) {
        return 0;
    }
    sv text = sv_mem(data + 1, n - 1);
    if (data[0] % 8 < 4) {
        dialect = data[0] % 2 ? &dialect_openai : &dialect_anthropic;
        answer(text, data[0] % 4 < 2);
    } else if (data[0] % 8 < 6) {
        struct tz_time t;
        struct tz *z = tz_parse(text);
        if (z) {
            tz_local(z, 1795197146, &t);
            tz_local(z, 99999999999, &t);
        }
        tz_free(z);
    } else {
        struct buf out = BUF_INIT(1000000);
        struct offline_req q = {.text = text, .date = "", .time = "", .zone = "", .session = "", .agent = "", .hint = ""};
        offline_answer(&q, &out);
        ASSERT(sv_starts(buf_view(&out), SV("[offline] ")));
        buf_free(&out);
    }
    return 0;
}
