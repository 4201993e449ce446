/*
 * fuzz_http_req.c: what is ours of an HTTP request: lengths, credentials, chunked bodies.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens anything.
 * Tested in: itself; seeds in tests/fuzz/seeds/http_req
 */
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "workers/edge/chunked.h"
#include "workers/edge/http_rules.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_chunked(sv_mem(data, size));
    try_rules(sv_mem(data, size));
    return 0;
}
