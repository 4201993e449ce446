/*
 * fuzz_chunk.c: arbitrary text through the plain-text renderer and the splitter: limits hold, repeats agree.
 * Runs in: the fuzzer.     Owns: nothing.
 * Never: does input or output.
 * Tested in: itself.
 */
#include "common/err.h"
#include "common/text.h"
#include "workers/chan/chunk.h"
#include "workers/chan/fmt_plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void split(sv text, struct chunk_opts o)
{
    struct arena a = ARENA_INIT;
    sv *one = NULL, *two = NULL;
    size_t n = chunk_split(text, &o, &a, &one);
    ASSERT(n <= CHUNK_PARTS_MAX && chunk_split(text, &o, &a, &two) == n);
    for (size_t i = 0; i < n; i++) {
        ASSERT(!sv_empty(one[i]) && sv_eq(one[i], two[i]));
        ASSERT(chunk_measure(one[i], o.unit) <= o.limit);
        ASSERT(utf8_valid(one[i]));
    }
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 20000) {
        return 0;
    }
    struct buf text = BUF_INIT(1024 * 1024);
    struct buf plain = BUF_INIT(4 * 1024 * 1024);
    utf8_clean(&text, sv_mem(data + 2, size - 2));
    fmt_plain(&plain, buf_view(&text));
    ASSERT(!plain.full && utf8_valid(buf_view(&plain)));
    struct chunk_opts o = {.limit = CHUNK_LIMIT_MIN + data[0], .unit = (enum chunk_unit)(data[1] % 3)};
    o.fences = (data[1] & 8) != 0;
    o.paragraphs = (data[1] & 16) != 0;
    split(buf_view(&text), o);
    o.fences = false;
    o.by_line = true;
    split(buf_view(&plain), o);
    buf_free(&text);
    buf_free(&plain);
    return 0;
}
