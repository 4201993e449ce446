/*
 * test_envelope.c: the header frame.
 * Runs in: tests.     Owns: nothing.
 * Never: sleeps, opens files.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "proto/envelope.h"

static const struct envelope full = {.type = 0x0302,
                                     .flags = ENV_PUSH | ENV_GAP,
                                     .rid = UINT64_MAX,
                                     .src = {"irc/default", 11},
                                     .dst = {"agent-1", 7},
                                     .fence = 1ull << 63,
                                     .deadline_ms = INT64_MAX,
                                     .trace = {"0123456789abcdef", 16}};

static void test_round_trip(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(ENVELOPE_MAX);
    struct envelope e;
    assert_true(envelope_encode(&full, &b));
    assert_int_equal(envelope_decode(buf_view(&b), &e), OK);
    assert_int_equal(e.type, full.type);
    assert_int_equal(e.flags, full.flags);
    assert_true(e.rid == full.rid && e.fence == full.fence && e.deadline_ms == full.deadline_ms);
    assert_true(sv_eq(e.src, full.src) && sv_eq(e.dst, full.dst) && sv_eq(e.trace, full.trace));
    buf_reset(&b);
    assert_true(envelope_encode(&(struct envelope){.type = 1}, &b));
    assert_int_equal(envelope_decode(buf_view(&b), &e), OK);
    assert_true(e.src.p == NULL && e.dst.p == NULL && e.trace.p == NULL && e.rid == 0);
    buf_free(&b);
}

static void test_refuses_to_encode(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(ENVELOPE_MAX);
    char name[129];
    memset(name, 'n', sizeof name);
    struct envelope e = {.src = {name, 128}, .dst = {name, 128}};
    assert_true(envelope_encode(&e, &b));
    e.src.n = 129;
    size_t before = b.n;
    assert_false(envelope_encode(&e, &b));
    e.src.n = 1;
    e.trace = SV("short");
    assert_false(envelope_encode(&e, &b));
    assert_int_equal(b.n, before);
    buf_free(&b);
    struct buf tiny = BUF_INIT(8);
    assert_false(envelope_encode(&full, &tiny));
    assert_int_equal(tiny.n, 0);
    buf_free(&tiny);
}

static void test_cuts_and_flips(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(ENVELOPE_MAX);
    assert_true(envelope_encode(&full, &b));
    for (size_t n = 0; n < b.n; n++) {
        char *p = malloc(n + 1);
        assert_non_null(p);
        memcpy(p, b.p, n);
        struct envelope e;
        assert_int_equal(envelope_decode(sv_mem(p, n), &e), ERR_PARSE);
        free(p);
    }
    for (size_t at = 0; at < b.n; at++) {
        for (int v = 0; v < 256; v++) {
            char *p = malloc(b.n);
            assert_non_null(p);
            memcpy(p, b.p, b.n);
            p[at] = (char)v;
            struct envelope e;
            int rc = envelope_decode(sv_mem(p, b.n), &e);
            assert_true(rc == OK || rc == ERR_PARSE || rc == ERR_BAD);
            assert_true(rc != OK || (e.src.n <= 128 && e.dst.n <= 128 && (e.trace.n == 0 || e.trace.n == 16)));
            free(p);
        }
    }
    buf_free(&b);
}

/* [ver, type, flags, rid, src, dst, fence, deadline, trace] by hand */
static void test_wrong_headers(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t n;
        int rc;
    } rows[] = {
#define ROW(what, bytes, rc) {what, bytes, sizeof(bytes) - 1, rc}
        ROW("good", "\x99\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00", OK),
        ROW("too short", "\x98\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00", ERR_BAD),
        ROW("longer with our version", "\x9a\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00\x07", ERR_BAD),
        ROW("longer with a newer version", "\x9a\x02\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00\x07", OK),
        ROW("version 0", "\x99\x00\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00", ERR_BAD),
        ROW("type above 16 bits", "\x99\x01\xce\x00\x01\x00\x00\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00", ERR_BAD),
        ROW("flags above 8 bits", "\x99\x01\x02\xcd\x01\x00\x05\xa1s\xa1" "d\x00\x00\xc4\x00", ERR_BAD),
        ROW("negative rid", "\x99\x01\x02\x01\xff\xa1s\xa1" "d\x00\x00\xc4\x00", ERR_BAD),
        ROW("negative deadline", "\x99\x01\x02\x01\x05\xa1s\xa1" "d\x00\xff\xc4\x00", ERR_BAD),
        ROW("src not UTF-8", "\x99\x01\x02\x01\x05\xa1\xfe\xa1" "d\x00\x00\xc4\x00", ERR_BAD),
        ROW("trace of 3 bytes", "\x99\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x03xyz", ERR_BAD),
        ROW("trace as text", "\x99\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00\xa0", ERR_BAD),
        ROW("a map", "\x80", ERR_BAD),
        ROW("trailing", "\x99\x01\x02\x01\x05\xa1s\xa1" "d\x00\x00\xc4\x00\x00", ERR_PARSE),
#undef ROW
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct envelope e;
        int rc = envelope_decode(sv_mem(rows[i].bytes, rows[i].n), &e);
        if (rc != rows[i].rc) {
            fail_msg("%s: %d", rows[i].what, rc);
        }
    }
    char big[ENVELOPE_MAX + 1] = "\x99";
    struct envelope e;
    assert_int_equal(envelope_decode(sv_mem(big, sizeof big), &e), ERR_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refuses_to_encode),
        cmocka_unit_test(test_cuts_and_flips),
        cmocka_unit_test(test_wrong_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
