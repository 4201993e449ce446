/*
 * fuzz_json.c: the strict JSON reader on arbitrary bytes; what it accepts survives printing and reading again.
 * Runs in: the fuzzer.     Owns: nothing.
 * Never: does input or output.
 * Tested in: itself.
 */
#include "common/err.h"
#include "common/json.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (64u * 1024 * 1024)

/* The bytes themselves serve as a path: getters must survive any. */
static void check_getters(const json_t *v, sv s)
{
    char path[64];
    sv bytes = sv_sub(s, 0, sizeof path - 1);
    ptrdiff_t nul = sv_chr(bytes, '\0');
    ASSERT(sv_copy(path, sizeof path, nul < 0 ? bytes : sv_sub(bytes, 0, (size_t)nul)));
    sv text = json_sv(v, path);
    ASSERT(!text.p || utf8_valid(text));
    (void)json_i64(v, path, 0);
    (void)json_flag(v, path, false);
    (void)json_at(v, "0.a.0");
}

static void check_put(sv s)
{
    json_t *o ATTR_CLEANUP(json_free) = json_object();
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(OUT_MAX);
    json_put(o, "k", s);
    ASSERT(json_print(&b, o));
    json_t *back ATTR_CLEANUP(json_free) = json_parse(buf_view(&b), NULL, 0);
    ASSERT(back && json_equal(o, back)); /* whatever the bytes were */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sv s = sv_mem(data, size);
    struct buf once ATTR_CLEANUP(buf_free) = BUF_INIT(OUT_MAX), twice ATTR_CLEANUP(buf_free) = BUF_INIT(OUT_MAX);
    char err[160];
    check_put(s);
    json_t *v ATTR_CLEANUP(json_free) = json_parse(s, err, sizeof err);
    if (!v) {
        ASSERT(err[0]);
        return 0;
    }
    check_getters(v, s);
    ASSERT(json_print(&once, v) && utf8_valid(buf_view(&once)));
    json_t *w ATTR_CLEANUP(json_free) = json_parse(buf_view(&once), err, sizeof err);
    if (!w) { /* the greatest doubles round up to more than a double when 15 digits are printed */
        ASSERT(sv_find(sv_of(err), SV("overflow")) >= 0);
        return 0;
    }
    ASSERT(json_print(&twice, w) && sv_eq(buf_view(&once), buf_view(&twice)));
    return 0;
}
