/*
 * test_wire.c: the codec: round trips of every message, limits, hostile bytes.
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

#include "proto/mpack.h"
#include "proto/wire.h"
#include "tests/unit/proto/gen_body.h"

static struct arena arena;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    arena = ARENA_INIT;
    out = BUF_INIT(BUF_MAX_DEFAULT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    buf_free(&out);
    return 0;
}

/* An exact copy on the heap, so that a sanitizer sees reads past its end. */
static char *exact(sv v)
{
    char *p = malloc(v.n ? v.n : 1);
    assert_non_null(p);
    memcpy(p, v.p ? v.p : "", v.n);
    return p;
}

static int decode(uint16_t type, const void *p, size_t n, void *body, struct wire_error *err)
{
    return wire_decode(type, sv_mem(p, n), &arena, body, err);
}

static void test_registry(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct msg_desc *d; (d = msg_at(n)) != NULL; n++) {
        assert_ptr_equal(msg_desc(d->type), d);
        assert_string_equal(msg_name(d->type), d->name);
        assert_true(d->n > 0);
        for (size_t i = 0; i < d->n; i++) {
            for (size_t k = 0; k < i; k++) {
                if (strcmp(d->fields[i].key, d->fields[k].key) == 0) {
                    fail_msg("%s: key %s stands twice", d->name, d->fields[i].key);
                }
            }
            assert_true(d->fields[i].kind != FK_LIST || d->fields[i].sub != NULL);
        }
    }
    assert_true(n > 40);
    assert_null(msg_desc(0));
    assert_null(msg_desc(0xffff));
    assert_string_equal(msg_name(0x0fff), "?");
}

static void test_round_trip_of_every_message(void **state)
{
    (void)state;
    struct gen g = {.state = 88172645463325252ull, .arena = &arena};
    const struct msg_desc *d;
    for (size_t i = 0; (d = msg_at(i)) != NULL; i++) {
        for (int round = 0; round < 40; round++) {
            void *body = arena_alloc(&arena, d->size), *back = arena_alloc(&arena, d->size);
            struct wire_error why = {0};
            gen_body(&g, d, body);
            buf_reset(&out);
            int rc = wire_encode(d->type, body, &out, &why);
            if (rc != OK) {
                fail_msg("%s: encode %d %s", d->name, rc, why.text);
            }
            char *bytes = exact(buf_view(&out));
            rc = decode(d->type, bytes, out.n, back, &why);
            if (rc != OK || !body_equal(d, body, back)) {
                fail_msg("%s: decode %d %s", d->name, rc, why.text);
            }
            free(bytes);
            arena_reset(&arena);
        }
    }
}

static void test_every_cut_and_flip_is_survived(void **state)
{
    (void)state;
    struct gen g = {.state = 7, .arena = &arena};
    const struct msg_desc *d;
    for (size_t i = 0; (d = msg_at(i)) != NULL; i++) {
        void *body = arena_alloc(&arena, d->size);
        gen_body(&g, d, body);
        buf_reset(&out);
        assert_int_equal(wire_encode(d->type, body, &out, NULL), OK);
        size_t step = out.n / 200 + 1;
        for (size_t cut = 0; cut < out.n; cut += step) {
            char *bytes = exact(sv_mem(out.p, cut));
            assert_int_equal(decode(d->type, bytes, cut, arena_alloc(&arena, d->size), NULL), ERR_PARSE);
            free(bytes);
        }
        for (size_t at = 0; at < out.n; at += step) {
            char *bytes = exact(buf_view(&out));
            bytes[at] = (char)gen_next(&g);
            int rc = decode(d->type, bytes, out.n, arena_alloc(&arena, d->size), NULL);
            assert_true(rc == OK || rc == ERR_PARSE || rc == ERR_BAD);
            free(bytes);
        }
        arena_reset(&arena);
    }
}

static void test_strings_are_views_into_the_input(void **state)
{
    (void)state;
    struct msg_hello h = {.name = SV("agent-1"), .inc = 3}, back = {0};
    assert_int_equal(wire_encode(MSG_HELLO, &h, &out, NULL), OK);
    assert_int_equal(decode(MSG_HELLO, out.p, out.n, &back, NULL), OK);
    assert_true(back.name.p > out.p && back.name.p + back.name.n <= out.p + out.n);
}

static void test_optional_zero_is_not_encoded(void **state)
{
    (void)state;
    struct msg_done none = {0};
    assert_int_equal(wire_encode(MSG_DONE, &none, &out, NULL), OK);
    assert_int_equal(out.n, 1);
    assert_int_equal((unsigned char)out.p[0], 0x80); /* empty map */
    struct msg_done back = {0};
    assert_int_equal(decode(MSG_DONE, out.p, out.n, &back, NULL), OK);
    assert_false(back.dup);
    struct msg_cursor empty = {.blob = SV("")};
    buf_reset(&out);
    assert_int_equal(wire_encode(MSG_CURSOR, &empty, &out, NULL), OK);
    assert_int_equal(out.n, 1);
}

static void test_required_fields(void **state)
{
    (void)state;
    struct wire_error why;
    struct msg_hello no_name = {.inc = 1};
    buf_str(&out, "kept");
    assert_int_equal(wire_encode(MSG_HELLO, &no_name, &out, &why), ERR_BAD);
    assert_string_equal(why.field, "name");
    assert_string_equal(why.text, "name is missing");
    assert_int_equal(out.n, 4); /* nothing half-written */
    struct msg_hello back = {0};
    assert_int_equal(decode(MSG_HELLO, "\x81\xa3inc\x05", 6, &back, &why), ERR_BAD);
    assert_string_equal(why.field, "name");
    assert_int_equal(decode(MSG_HELLO, "\x81\xa4name\xa1x", 8, &back, &why), ERR_BAD);
    assert_string_equal(why.field, "inc");
    /* present but empty, and a required zero */
    struct msg_hello empty = {.name = SV("")};
    buf_reset(&out);
    assert_int_equal(wire_encode(MSG_HELLO, &empty, &out, NULL), OK);
    assert_int_equal(decode(MSG_HELLO, out.p, out.n, &back, NULL), OK);
    assert_true(back.name.p != NULL && back.name.n == 0);
}

static void test_limits(void **state)
{
    (void)state;
    struct wire_error why;
    char big[130];
    memset(big, 'x', sizeof big);
    struct msg_hello h = {.name = {big, 128}};
    assert_int_equal(wire_encode(MSG_HELLO, &h, &out, NULL), OK);
    h.name.n = 129;
    assert_int_equal(wire_encode(MSG_HELLO, &h, &out, &why), ERR_BAD);
    assert_string_equal(why.text, "name is longer than 128 bytes");

    struct msg_sessions_list l = {.limit = 1000};
    assert_int_equal(wire_encode(MSG_SESSIONS_LIST, &l, &out, NULL), OK);
    l.limit = 1001;
    assert_int_equal(wire_encode(MSG_SESSIONS_LIST, &l, &out, &why), ERR_BAD);
    assert_string_equal(why.field, "limit");
    struct msg_sessions_list back = {0};
    assert_int_equal(decode(MSG_SESSIONS_LIST, "\x81\xa3lim\xcd\x03\xe9", 8, &back, &why), ERR_BAD);
    assert_string_equal(why.field, "limit");

    struct msg_run_ref refs[65];
    for (size_t i = 0; i < 65; i++) {
        refs[i].run_id = SV("r");
    }
    struct msg_aborted a = {.runs = refs, .runs_n = 65};
    assert_int_equal(wire_encode(MSG_ABORTED, &a, &out, &why), ERR_BAD);
    assert_string_equal(why.field, "runs");
    a.runs_n = 64;
    buf_reset(&out);
    assert_int_equal(wire_encode(MSG_ABORTED, &a, &out, NULL), OK);

    struct buf small = BUF_INIT(20);
    buf_str(&small, "abc");
    assert_int_equal(wire_encode(MSG_ABORTED, &a, &small, &why), ERR_TOOBIG);
    assert_int_equal(small.n, 3);
    buf_free(&small);
}

static void test_utf8_is_checked_both_ways(void **state)
{
    (void)state;
    struct wire_error why;
    struct msg_hello h = {.name = SV("\xc3"), .inc = 1}, back = {0};
    assert_int_equal(wire_encode(MSG_HELLO, &h, &out, &why), ERR_BAD);
    assert_string_equal(why.text, "name is not valid UTF-8");
    assert_int_equal(decode(MSG_HELLO, "\x82\xa4name\xa1\xff\xa3inc\x01", 13, &back, &why), ERR_BAD);
    assert_string_equal(why.field, "name");
}

/* One row per way in which a HELLO can be wrong. */
static void test_hostile_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t n;
        int rc;
        const char *field;
    } rows[] = {
#define ROW(what, bytes, rc, field) {what, bytes, sizeof(bytes) - 1, rc, field}
        ROW("nothing", "", ERR_PARSE, NULL),
        ROW("not a map", "\x93\x01\x02\x03", ERR_BAD, NULL),
        ROW("trailing byte", "\x82\xa4name\xa1x\xa3inc\x01\x00", ERR_PARSE, NULL),
        ROW("key twice", "\x83\xa4name\xa1x\xa4name\xa1y\xa3inc\x01", ERR_BAD, "name"),
        ROW("unknown key twice", "\x84\xa4name\xa1x\xa3inc\x01\xa1z\x01\xa1z\x02", ERR_BAD, NULL),
        ROW("number as key", "\x83\xa4name\xa1x\xa3inc\x01\x05\x05", ERR_BAD, NULL),
        ROW("number for text", "\x82\xa4name\x07\xa3inc\x01", ERR_BAD, "name"),
        ROW("bytes for text", "\x82\xa4name\xc4\x01x\xa3inc\x01", ERR_BAD, "name"),
        ROW("text for number", "\x82\xa4name\xa1x\xa3inc\xa1" "1", ERR_BAD, "inc"),
        ROW("negative number", "\x82\xa4name\xa1x\xa3inc\xff", ERR_BAD, "inc"),
        ROW("nil", "\x82\xa4name\xa1x\xa3inc\xc0", ERR_BAD, "inc"),
        ROW("float", "\x82\xa4name\xa1x\xa3inc\xca\x3f\x80\x00\x00", ERR_BAD, "inc"),
        ROW("unused byte", "\x82\xa4name\xa1x\xa3inc\xc1", ERR_PARSE, NULL),
        ROW("ext type", "\x82\xa4name\xa1x\xa3inc\xd4\x01\x00", ERR_PARSE, NULL),
        ROW("huge map", "\xdf\xff\xff\xff\xff", ERR_PARSE, NULL),
        ROW("huge array", "\x81\xa1z\xdd\xff\xff\xff\xff", ERR_PARSE, NULL),
        ROW("huge string", "\x81\xa4name\xdb\xff\xff\xff\xff", ERR_PARSE, NULL),
        ROW("string past the end", "\x81\xa4name\xa5x", ERR_PARSE, NULL),
        ROW("unknown keys are skipped", "\x83\xa4name\xa1x\xa1z\x92\x01\x81\xa1q\xc0\xa3inc\x01", OK, NULL),
#undef ROW
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_error why = {0};
        struct msg_hello back = {0};
        char *bytes = exact(sv_mem(rows[i].bytes, rows[i].n));
        int rc = decode(MSG_HELLO, bytes, rows[i].n, &back, &why);
        if (rc != rows[i].rc) {
            fail_msg("%s: %d (%s)", rows[i].what, rc, why.text);
        }
        if (rc != OK) {
            assert_true(why.text[0] != 0);
            assert_true(why.field == rows[i].field || strcmp(why.field, rows[i].field) == 0);
        }
        free(bytes);
    }
}

static void test_deep_and_wide(void **state)
{
    (void)state;
    struct msg_done back = {0};
    /* {"z": [[[...]]]}: one level inside the limit passes, far below it does not */
    char nest[64] = "\x81\xa1z";
    memset(nest + 3, 0x91, 60);
    nest[3 + 10] = 1;
    assert_int_equal(decode(MSG_DONE, nest, 14, &back, NULL), OK);
    nest[3 + 10] = (char)0x91;
    nest[3 + 40] = 1;
    assert_int_equal(decode(MSG_DONE, nest, 44, &back, NULL), ERR_PARSE);

    /* a million small values would be 24 MB of objects: refused before they are made */
    size_t n = 900000;
    char *wide = malloc(n + 8);
    assert_non_null(wide);
    memcpy(wide, "\x81\xa1z\xdd", 4);
    for (size_t i = 0; i < 4; i++) {
        wide[4 + i] = (char)(n >> (24 - 8 * i));
    }
    memset(wide + 8, 1, n);
    struct wire_error why;
    assert_int_equal(decode(MSG_DONE, wide, n + 8, &back, &why), ERR_PARSE);
    free(wide);

    char keys[3 + 3 * 40] = "\xde\x00\x28";
    for (size_t i = 0; i < 40; i++) {
        memcpy(keys + 3 + 3 * i, (char[]){(char)0xa1, (char)('0' + i), 1}, 3);
    }
    assert_int_equal(decode(MSG_DONE, keys, sizeof keys, &back, &why), ERR_BAD);
}

static void test_size_cap(void **state)
{
    (void)state;
    size_t n = MPACK_MAX_BYTES + 1;
    char *p = malloc(n);
    assert_non_null(p);
    memset(p, 0, n);
    memcpy(p, "\x81\xa1z\xc6", 4);
    size_t payload = n - 8;
    for (size_t i = 0; i < 4; i++) {
        p[4 + i] = (char)(payload >> (24 - 8 * i));
    }
    struct msg_done back = {0};
    assert_int_equal(decode(MSG_DONE, p, n, &back, NULL), ERR_PARSE);
    p[7] = (char)(payload - 1);
    assert_int_equal(decode(MSG_DONE, p, n - 1, &back, NULL), OK);
    free(p);
}

static void test_unknown_type(void **state)
{
    (void)state;
    struct wire_error why;
    char body[8];
    assert_int_equal(decode(0x0fff, "\x80", 1, body, &why), ERR_BAD);
    assert_string_equal(why.text, "unknown message type 0x0fff");
}

static void test_signed_numbers(void **state)
{
    (void)state;
    static const int64_t values[] = {1, -1, -32, -33, 127, 128, INT64_MAX, INT64_MIN, -129, 65536};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct msg_status s = {.code = values[i]}, back = {0};
        buf_reset(&out);
        assert_int_equal(wire_encode(MSG_STATUS, &s, &out, NULL), OK);
        assert_int_equal(decode(MSG_STATUS, out.p, out.n, &back, NULL), OK);
        assert_true(back.code == values[i]);
    }
    struct wire_error why;
    struct msg_status back = {0};
    assert_int_equal(decode(MSG_STATUS, "\x81\xa4" "code\xcf\x80\0\0\0\0\0\0\0", 15, &back, &why), ERR_BAD);
    assert_string_equal(why.field, "code");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip_of_every_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_cut_and_flip_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strings_are_views_into_the_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_optional_zero_is_not_encoded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_required_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_utf8_is_checked_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_and_wide, setup, teardown),
        cmocka_unit_test_setup_teardown(test_size_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signed_numbers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
