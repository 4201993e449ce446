/*
 * test_history.c: rings of unaddressed lines.
 * Runs in: unit tests.     Owns: nothing.
 * Never: needs a network or the real clock.
 * Tested in: itself.
 */
#include "tests/unit/chan/tests.h"

#include <stdio.h>

#include "workers/chan/history.h"

static void take(struct history *h, const char *chat, const char *want)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(65536);
    history_take(h, sv_of(chat), &b);
    assert_sv(buf_view(&b), want);
}

static void test_order_and_limit(void **state)
{
    UNUSED(state);
    struct history h;
    history_init(&h, 3);
    history_add(&h, SV("#a"), SV("ann"), SV("one"));
    history_add(&h, SV("#b"), SV("ben"), SV("else"));
    history_add(&h, SV("#a"), SV("ben"), SV("two\nlines"));
    history_add(&h, SV("#a"), SV("ann"), SV("three"));
    history_add(&h, SV("#a"), SV("ann"), SV("four"));
    take(&h, "#a", "ben: two lines\nann: three\nann: four\n");
    take(&h, "#a", "");
    take(&h, "#b", "ben: else\n");
    history_free(&h);
}

static void test_off(void **state)
{
    UNUSED(state);
    struct history h;
    history_init(&h, 0);
    history_add(&h, SV("#a"), SV("ann"), SV("one"));
    take(&h, "#a", "");
    history_free(&h);
}

static void test_caps(void **state)
{
    UNUSED(state);
    struct history h;
    struct buf big ATTR_CLEANUP(buf_free) = BUF_INIT(100000);
    struct buf out ATTR_CLEANUP(buf_free) = BUF_INIT(100000);
    while (buf_ch(&big, 'x') && big.n < 5000) {
    }
    history_init(&h, 1000);
    for (int i = 0; i < 100; i++) {
        history_add(&h, SV("#a"), SV("ann"), buf_view(&big));
    }
    history_take(&h, SV("#a"), &out);
    assert_true(out.n <= HISTORY_BYTES_MAX && out.n > HISTORY_BYTES_MAX - 2 * HISTORY_LINE_MAX);
    for (int i = 0; i < HISTORY_CHATS_MAX + 50; i++) {
        char chat[16];
        assert_true(snprintf(chat, sizeof chat, "#%d", i) > 0);
        history_add(&h, sv_of(chat), SV("ann"), SV("hello"));
    }
    assert_int_equal(map_count(&h.chats), HISTORY_CHATS_MAX);
    take(&h, "#0", "");
    take(&h, "#100", "ann: hello\n");
    history_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_limit),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
