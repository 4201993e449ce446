/*
 * test_outq.c: order, byte count and cap of a connection's queue.
 * Runs in: unit tests.     Owns: nothing.
 * Never: writes anywhere.
 * Tested in: itself.
 */
#include "tests/unit/edge/tests.h"

#include "workers/edge/outq.h"

static bool push(struct outq *q, const char *text)
{
    struct buf b;
    out_begin(&b);
    buf_str(&b, text);
    bool ok = outq_push(q, &b);
    assert_null(b.p); /* taken or freed */
    return ok;
}

static void test_order(void **state)
{
    UNUSED(state);
    struct outq q;
    outq_init(&q);
    assert_null(outq_head(&q));
    assert_true(push(&q, "one"));
    assert_true(push(&q, "two"));
    assert_int_equal(q.count, 2);
    assert_sv(sv_mem(outq_head(&q)->mem + OUT_PRE, outq_head(&q)->n), "one");
    outq_pop(&q);
    assert_true(push(&q, "three"));
    assert_sv(sv_mem(outq_head(&q)->mem + OUT_PRE, outq_head(&q)->n), "two");
    outq_pop(&q);
    outq_pop(&q);
    assert_null(outq_head(&q));
    assert_int_equal(q.bytes, 0);
    outq_pop(&q);
    assert_true(push(&q, "again"));
    outq_clear(&q);
    assert_int_equal(q.count, 0);
}

static void test_refused(void **state)
{
    UNUSED(state);
    struct outq q;
    outq_init(&q);
    assert_false(push(&q, "")); /* an empty WebSocket message is no protocol message */
    struct buf b = BUF_INIT(20);
    char room[OUT_PRE] = {0};
    buf_add(&b, room, sizeof room);
    buf_str(&b, "too long for it");
    assert_true(b.full);
    assert_false(outq_push(&q, &b));
    assert_int_equal(q.count, 0);
}

static void test_cap(void **state)
{
    UNUSED(state);
    struct outq q;
    outq_init(&q);
    size_t chunk = 1024 * 1024, n = 0;
    char *text = xcalloc(1, chunk + 1);
    memset(text, 'x', chunk);
    while (push(&q, text)) {
        n++;
    }
    assert_int_equal(n, OUT_BYTES_MAX / (chunk + 64));
    assert_true(q.bytes <= OUT_BYTES_MAX);
    outq_pop(&q);
    assert_true(push(&q, text));
    outq_clear(&q);
    assert_int_equal(q.bytes, 0);
    xfree(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
