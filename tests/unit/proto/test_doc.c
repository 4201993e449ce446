/*
 * test_doc.c: docs/protocol-internal.md is what the tables say.
 * Runs in: tests.     Owns: nothing.
 * Never: writes the file (gen-docs does).
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/file.h"
#include "proto/doc.h"
#include "proto/messages.h"

static void test_up_to_date(void **state)
{
    (void)state;
    struct buf want = BUF_INIT(BUF_MAX_DEFAULT), have = BUF_INIT(BUF_MAX_DEFAULT);
    assert_true(doc_protocol(&want));
    assert_int_equal(file_read(SOURCE_ROOT "/docs/protocol-internal.md", &have), OK);
    if (!sv_eq(buf_view(&want), buf_view(&have))) {
        fail_msg("docs/protocol-internal.md is stale: build/proto/gen-docs > docs/protocol-internal.md");
    }
    buf_free(&want);
    buf_free(&have);
}

static void test_methods_up_to_date(void **state)
{
    (void)state;
    struct buf want = BUF_INIT(BUF_MAX_DEFAULT), have = BUF_INIT(BUF_MAX_DEFAULT);
    assert_true(doc_methods(&want));
    assert_int_equal(file_read(SOURCE_ROOT "/docs/protocol-methods.md", &have), OK);
    if (!sv_eq(buf_view(&want), buf_view(&have))) {
        fail_msg("docs/protocol-methods.md is stale: build/proto/gen-methods > docs/protocol-methods.md");
    }
    buf_free(&want);
    buf_free(&have);
}

static void test_every_message_has_its_section(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    assert_true(doc_protocol(&b));
    const struct msg_desc *d;
    for (size_t i = 0; (d = msg_at(i)) != NULL; i++) {
        struct buf head = BUF_INIT(200);
        buf_printf(&head, "\n### %s `0x%04x`\n", d->name, d->type);
        if (sv_find(buf_view(&b), buf_view(&head)) < 0) {
            fail_msg("%s is in no group of doc.c", d->name);
        }
        buf_free(&head);
    }
    buf_free(&b);
    struct buf small = BUF_INIT(1000);
    assert_false(doc_protocol(&small));
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_to_date),
        cmocka_unit_test(test_methods_up_to_date),
        cmocka_unit_test(test_every_message_has_its_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
