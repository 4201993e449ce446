/*
 * fuzz_text.c: UTF-8, JSON escapes, base64 and URLs on arbitrary bytes, checked against each other.
 * Runs in: the fuzzer.     Owns: nothing.
 * Never: does input or output.
 * Tested in: itself.
 */
#include "common/err.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_utf8(sv s, size_t max)
{
    struct buf b = BUF_INIT(4 * 1024 * 1024);
    utf8_clean(&b, s);
    ASSERT(utf8_valid(buf_view(&b)));
    ASSERT(!utf8_valid(s) || sv_eq(s, buf_view(&b)));
    ASSERT(utf8_length(s) == utf8_length(buf_view(&b)) && utf16_length(s) >= utf8_length(s));
    size_t cut = utf8_cut(s, max);
    ASSERT(cut <= max && (max < 4 || s.n == 0 || cut > 0));
    ASSERT(!utf8_valid(s) || utf8_valid(sv_sub(s, 0, cut)));
    buf_reset(&b);
    ASSERT(buf_json_str(&b, s) && utf8_valid(buf_view(&b)) && sv_chr(buf_view(&b), '\n') < 0);
    buf_free(&b);
}

static void check_codes(sv s)
{
    struct buf text = BUF_INIT(4 * 1024 * 1024);
    struct buf back = BUF_INIT(4 * 1024 * 1024);
    for (int v = B64_STD; v <= B64_URL; v++) {
        buf_reset(&text);
        buf_reset(&back);
        ASSERT(b64_encode(&text, s, (enum b64_variant)v) && b64_decode(&back, buf_view(&text)));
        ASSERT(sv_eq(s, buf_view(&back)));
    }
    buf_reset(&text);
    buf_reset(&back);
    ASSERT(url_encode(&text, s) && url_decode(&back, buf_view(&text)) && sv_eq(s, buf_view(&back)));
    buf_reset(&back);
    ASSERT(b64_decode(&back, s) || back.n == 0);
    buf_reset(&back);
    ASSERT(url_decode(&back, s) || back.n == 0);
    buf_free(&text);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sv s = sv_mem(data, size);
    struct url u;
    check_utf8(s, size > 0 ? data[0] : 0);
    check_codes(s);
    ASSERT(url_parse(s, &u) ? u.host.n > 0 : u.host.p == NULL);
    url_query(s, "key");
    return 0;
}
