/*
 * fuzz_http_req.c: what is ours of an HTTP request: lengths, credentials, chunked bodies, bodies of the OpenAI interface.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens anything.
 * Tested in: itself; seeds in tests/fuzz/seeds/http_req
 */
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "workers/edge/chunked.h"
#include "workers/edge/http_rules.h"
#include "workers/edge/oai_req.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes at once and one by one must give the same body. */
static void try_chunked(sv in)
{
    struct buf whole = BUF_INIT(65536), pieces = BUF_INIT(65536);
    struct chunked a = {0}, b = {0};
    enum chunked_result got = chunked_add(&a, in, &whole), step = CHUNKED_MORE;
    for (size_t i = 0; i < in.n && step == CHUNKED_MORE; i++) {
        step = chunked_add(&b, sv_sub(in, i, 1), &pieces);
    }
    ASSERT(got == step);
    ASSERT(got == CHUNKED_FULL || sv_eq(buf_view(&whole), buf_view(&pieces)));
    buf_free(&whole);
    buf_free(&pieces);
}

static void try_rules(sv in)
{
    uint64_t n;
    sv first = sv_cut(&in, '\n'), second = sv_cut(&in, '\n');
    enum body_kind kind = body_kind(first, second, &n);
    ASSERT(kind != BODY_CHUNKED || first.n == 0);
    sv token = bearer_of(first);
    ASSERT(token.p == NULL || token.n > 0);
    ASSERT(!request_id_ok(first) || (first.n <= REQUEST_ID_MAX && sv_chr(first, '\r') < 0));
    query_has_secret(first);
}

/* Whatever is taken fits the message that carries it. */
static void check_settled(const struct oai_req *q)
{
    ASSERT(q->text.n <= OAI_TEXT_MAX && q->system.n <= OAI_SYSTEM_MAX);
    ASSERT(q->prior_n <= OAI_PRIOR_MAX && q->results_n <= OAI_RESULTS_MAX && q->opts.tools_n <= OAI_TOOLS_MAX);
    ASSERT(q->results_n > 0 || q->text.n > 0);
    for (size_t i = 0; i < q->results_n; i++) {
        ASSERT(q->results[i].tool_call_id.n > 0);
    }
}

static void try_openai(sv in, enum oai_api api)
{
    struct oai_req q;
    if (oai_req_parse(&q, api, in)) {
        ASSERT(q.bad_status == 0);
        if (oai_req_settle(&q, true)) {
            check_settled(&q);
        } else {
            ASSERT(q.bad_status == 400 && q.bad_code != NULL && q.bad_text[0] != '\0');
        }
    } else {
        ASSERT(q.bad_status == 400 && q.bad_code != NULL && q.bad_text[0] != '\0');
    }
    oai_req_free(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_openai(sv_mem(data, size), OAI_CHAT);
    try_openai(sv_mem(data, size), OAI_RESPONSES);
    try_chunked(sv_mem(data, size));
    try_rules(sv_mem(data, size));
    return 0;
}
