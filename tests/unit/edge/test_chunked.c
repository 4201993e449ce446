/*
 * test_chunked.c: chunked bodies, whole and in pieces, good and bad.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/chunked.h"

/* Feeds `in` in pieces of `step` bytes. */
static enum chunked_result feed(const char *in, size_t step, struct buf *body)
{
    struct chunked c = {0};
    enum chunked_result got = CHUNKED_MORE;
    buf_reset(body);
    body->full = false;
    for (sv rest = sv_of(in); rest.n > 0 && got == CHUNKED_MORE; rest = sv_sub(rest, step, rest.n)) {
        got = chunked_add(&c, sv_sub(rest, 0, step), body);
    }
    return got;
}

static void good_bodies(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(100);
    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(feed("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", step, &b), CHUNKED_DONE);
        assert_sv(buf_view(&b), "hello world");
        assert_int_equal(feed("3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", step, &b), CHUNKED_DONE);
        assert_sv(buf_view(&b), "abc");
        assert_int_equal(feed("0\r\n\r\n", step, &b), CHUNKED_DONE);
        assert_sv(buf_view(&b), "");
        assert_int_equal(feed("000A\r\n0123456789\r\n0\r\n\r\nGET /next", step, &b), CHUNKED_DONE);
        assert_sv(buf_view(&b), "0123456789");
        assert_int_equal(feed("5\r\nhel", step, &b), CHUNKED_MORE);
    }
    buf_free(&b);
}

static void bad_bodies(void **state)
{
    static const char *const bad[] = {
        "\r\n", "g\r\n", "-1\r\n", "5\nhello\r\n", "5\r\nhelloX", "5\r\nhello\rX", "123456789\r\n", "5\rX", ";x\r\n",
        "0\r\nno end\n", "0x5\r\nhello\r\n",
    };
    UNUSED(state);
    struct buf b = BUF_INIT(100);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (size_t step = 1; step < 12; step++) {
            if (feed(bad[i], step, &b) != CHUNKED_BAD) {
                fail_msg("%s in steps of %zu is taken", bad[i], step);
            }
        }
    }
    buf_free(&b);
}

static void caps(void **state)
{
    UNUSED(state);
    struct buf b = BUF_INIT(4);
    assert_int_equal(feed("5\r\nhello\r\n0\r\n\r\n", 100, &b), CHUNKED_FULL);
    buf_free(&b);
    /* Endless extensions and trailers are not read for ever. */
    struct buf body = BUF_INIT(100);
    struct chunked c = {0};
    assert_int_equal(chunked_add(&c, SV("0\r\n"), &body), CHUNKED_MORE);
    enum chunked_result got = CHUNKED_MORE;
    for (int i = 0; i < 1000 && got == CHUNKED_MORE; i++) {
        got = chunked_add(&c, SV("X-Trailer: yes\r\n"), &body);
    }
    assert_int_equal(got, CHUNKED_BAD);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies),
        cmocka_unit_test(bad_bodies),
        cmocka_unit_test(caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
