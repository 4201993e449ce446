/*
 * test_sse.c: the event stream parser, with its input cut at every byte.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/provider/sse.h"
#include "common/err.h"

static void record(void *ctx, sv event, sv data)
{
    struct buf *out = ctx;
    buf_printf(out, "<%.*s|%.*s>", SV_ARG(event), SV_ARG(data));
}

/* Feeds the text in two parts, cut at `at`; at 0: byte by byte. */
static void parse(struct buf *out, sv text, size_t at)
{
    struct sse s;
    sse_init(&s);
    if (at == 0) {
        for (size_t i = 0; i < text.n; i++) {
            assert_int_equal(sse_feed(&s, sv_sub(text, i, 1), record, out), OK);
        }
    } else {
        assert_int_equal(sse_feed(&s, sv_sub(text, 0, at), record, out), OK);
        assert_int_equal(sse_feed(&s, sv_sub(text, at, text.n), record, out), OK);
    }
    assert_int_equal(sse_end(&s, record, out), OK);
    sse_free(&s);
}

static void check(const char *text, const char *want)
{
    for (size_t at = 0; at <= strlen(text); at++) {
        struct buf out = BUF_INIT(100000);
        parse(&out, sv_of(text), at);
        if (!sv_eqc(buf_view(&out), want)) {
            fail_msg("cut at %zu: %.*s instead of %s", at, SV_ARG(buf_view(&out)), want);
        }
        buf_free(&out);
    }
}

static void line_ends(void **state)
{
    (void)state;
    check("data: a\n\ndata: b\n\n", "<|a><|b>");
    check("data: a\r\n\r\ndata: b\r\n\r\n", "<|a><|b>");
    check("data: a\r\rdata: b\r\r", "<|a><|b>");
    check("data: a\r\ndata: b\n\rdata: c\n\n", "<|a\nb><|c>");
}

static void fields(void **state)
{
    (void)state;
    check("event: ping\ndata: {}\n\n", "<ping|{}>");
    check("data:no space\ndata:  two spaces\n\n", "<|no space\n two spaces>");
    check("data\n\n", "<|>");
    check("data: a\ndata:\ndata: b\n\n", "<|a\n\nb>");
    check(": OPENROUTER PROCESSING\n\ndata: a\n: x\ndata: b\n\n", "<|a\nb>");
    check("id: 1\nretry: 5\nunknown: x\ndata: a\n\n", "<|a>");
    check("event: lost\n\ndata: a\n\n", "<|a>"); /* an event without data is none, and its name is gone */
    check("\xef\xbb\xbf" "data: a\n\n", "<|a>");
    check("data: \xef\xbb\xbf\n\n", "<|\xef\xbb\xbf>");
    check("data: a: b\n\n", "<|a: b>");
}

static void the_end_completes(void **state)
{
    (void)state;
    check("data: a\n", "<|a>");
    check("data: a", "<|a>");
    check("event: x\ndata: a\ndata: b", "<x|a\nb>");
    check("", "");
    check("event: x\n", "");
}

static void long_names_are_cut(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(1000), want = BUF_INIT(1000);
    buf_str(&text, "event: ");
    for (int i = 0; i < 200; i++) {
        buf_ch(&text, 'e');
    }
    buf_str(&text, "\ndata: a\n\n");
    buf_printf(&want, "<%.64s|a>", buf_cstr(&text) + 7);
    check(buf_cstr(&text), buf_cstr(&want));
    buf_free(&text);
    buf_free(&want);
}

static void size_is_bounded(void **state)
{
    (void)state;
    static char block[65536];
    memset(block, 'x', sizeof block);
    struct buf out = BUF_INIT(16);
    struct sse s;
    sse_init(&s);
    int rc = sse_feed(&s, SV("data: "), record, &out);
    for (int i = 0; i < 16 && rc == OK; i++) { /* one line of more than 1 MiB */
        rc = sse_feed(&s, sv_mem(block, sizeof block), record, &out);
    }
    assert_int_equal(rc, ERR_TOOBIG);
    sse_free(&s);

    sse_init(&s);
    rc = OK;
    for (int i = 0; i < 17 && rc == OK; i++) { /* many lines of one event */
        rc = sse_feed(&s, SV("data: "), record, &out);
        rc = rc == OK ? sse_feed(&s, sv_mem(block, sizeof block), record, &out) : rc;
        rc = rc == OK ? sse_feed(&s, SV("\n"), record, &out) : rc;
    }
    assert_int_equal(rc, ERR_TOOBIG);
    sse_free(&s);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends),          cmocka_unit_test(fields),         cmocka_unit_test(the_end_completes),
        cmocka_unit_test(long_names_are_cut), cmocka_unit_test(size_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
