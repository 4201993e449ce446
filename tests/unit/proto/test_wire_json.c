/*
 * test_wire_json.c: the field tables to and from JSON.
 * Runs in: tests.     Owns: nothing.
 * Never: sleeps, opens files.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"
#include "tests/unit/proto/gen_body.h"

static struct arena arena;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    arena = ARENA_INIT;
    out = BUF_INIT(4 * BUF_MAX_DEFAULT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    buf_free(&out);
    return 0;
}

static void test_round_trip_of_every_message(void **state)
{
    (void)state;
    struct gen g = {.state = 42, .arena = &arena, .plain = true};
    const struct msg_desc *d;
    for (size_t i = 0; (d = msg_at(i)) != NULL; i++) {
        for (int round = 0; round < 10; round++) {
            void *body = arena_alloc(&arena, d->size), *back = arena_alloc(&arena, d->size);
            struct wire_error why = {0};
            gen_body(&g, d, body);
            buf_reset(&out);
            assert_int_equal(wire_to_json(d->type, body, &out), OK);
            int rc = wire_from_json(d->type, buf_view(&out), &arena, back, &why);
            if (rc != OK || !body_equal(d, body, back)) {
                fail_msg("%s: %d %s in %.300s", d->name, rc, why.text, buf_cstr(&out));
            }
            arena_reset(&arena);
        }
    }
}

static void test_text_form(void **state)
{
    (void)state;
    struct msg_tool_call call = {.id = SV("c1"), .name = SV("say \"x\"\n"), .args = SV("{ \"a\" : [1, 2.5] }")};
    struct msg_entry e = {.role = SV("assistant"), .ts_ms = -5, .is_error = true, .calls = &call, .calls_n = 1};
    assert_int_equal(wire_to_json(MSG_ENTRY, &e, &out), OK);
    assert_string_equal(buf_cstr(&out),
                        "{\"role\":\"assistant\",\"ts\":-5,\"err\":true,\"calls\":[{\"id\":\"c1\","
                        "\"name\":\"say \\\"x\\\"\\n\",\"args\":{\"a\":[1,2.5]}}]}");
    struct msg_cursor c = {.blob = SV("\x00\xff\x10")};
    buf_reset(&out);
    assert_int_equal(wire_to_json(MSG_CURSOR, &c, &out), OK);
    assert_string_equal(buf_cstr(&out), "{\"cur\":\"AP8Q\"}");
}

static void test_refuses_to_print(void **state)
{
    (void)state;
    struct msg_tool_call bad = {.id = SV("c1"), .name = SV("x"), .args = SV("{\"a\":1} trailing")};
    assert_int_equal(wire_to_json(MSG_TOOL_CALL, &bad, &out), ERR_BAD);
    struct msg_hello absent = {.inc = 1};
    assert_int_equal(wire_to_json(MSG_HELLO, &absent, &out), ERR_BAD);
    assert_int_equal(out.n, 0);
    struct buf tiny = BUF_INIT(10);
    struct msg_hello h = {.name = SV("agent-1")};
    assert_int_equal(wire_to_json(MSG_HELLO, &h, &tiny), ERR_TOOBIG);
    assert_int_equal(tiny.n, 0);
    buf_free(&tiny);
}

static void test_bad_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        const char *field;
    } rows[] = {
        {"", ERR_PARSE, NULL},
        {"[]", ERR_BAD, NULL},
        {"{\"name\":\"x\",\"inc\":1} x", ERR_PARSE, NULL},
        {"{\"name\":\"x\",\"name\":\"y\",\"inc\":1}", ERR_PARSE, NULL},
        {"{\"inc\":1}", ERR_BAD, "name"},
        {"{\"name\":\"x\"}", ERR_BAD, "inc"},
        {"{\"name\":7,\"inc\":1}", ERR_BAD, "name"},
        {"{\"name\":\"x\",\"inc\":\"1\"}", ERR_BAD, "inc"},
        {"{\"name\":\"x\",\"inc\":-1}", ERR_BAD, "inc"},
        {"{\"name\":\"x\",\"inc\":1.0}", ERR_BAD, "inc"},
        {"{\"name\":\"x\",\"inc\":null}", ERR_BAD, "inc"},
        {"{\"name\":\"x\",\"inc\":1,\"later\":{}}", OK, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_error why = {0};
        struct msg_hello back = {0};
        int rc = wire_from_json(MSG_HELLO, sv_of(rows[i].text), &arena, &back, &why);
        if (rc != rows[i].rc) {
            fail_msg("%s: %d (%s)", rows[i].text, rc, why.text);
        }
        if (rc != OK) {
            assert_true(why.text[0] != 0);
            assert_true(why.field == rows[i].field || strcmp(why.field, rows[i].field) == 0);
        }
    }
    struct wire_error why;
    struct msg_cursor c = {0};
    assert_int_equal(wire_from_json(MSG_CURSOR, SV("{\"cur\":\"%%%\"}"), &arena, &c, &why), ERR_BAD);
    assert_string_equal(why.field, "blob");
    struct msg_aborted a = {0};
    assert_int_equal(wire_from_json(MSG_ABORTED, SV("{\"runs\":[{\"run\":\"a\"},3]}"), &arena, &a, &why), ERR_BAD);
    assert_int_equal(wire_from_json(MSG_ABORTED, SV("{\"runs\":[{\"run\":\"a\"},{}]}"), &arena, &a, &why), ERR_BAD);
    assert_string_equal(why.field, "run_id");
    assert_int_equal(wire_from_json(0x0fff, SV("{}"), &arena, &a, &why), ERR_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip_of_every_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_to_print, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_json, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
