/*
 * test_topics.c: the subscription table.
 * Runs in: tests.     Owns: nothing.
 * Never: sends.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "workers/bus/bus.h"

static size_t count(struct topics *t, const char *topic)
{
    size_t n = 0;
    struct list *l = topics_of(t, sv_of(topic));
    if (l) {
        LIST_EACH(e, l) {
            n++;
        }
    }
    return n;
}

static void test_add_and_remove(void **state)
{
    (void)state;
    struct topics *t = topics_new();
    assert_null(topics_of(t, SV("run")));
    assert_int_equal(topics_add(t, SV("run"), SV("edge")), OK);
    assert_int_equal(topics_add(t, SV("run"), SV("edge")), OK); /* again: no second delivery */
    assert_int_equal(topics_add(t, SV("run"), SV("irc/default")), OK);
    assert_int_equal(topics_add(t, SV("chan"), SV("edge")), OK);
    assert_int_equal(count(t, "run"), 2);
    assert_int_equal(count(t, "chan"), 1);
    topics_del(t, SV("run"), SV("nobody"));
    topics_del(t, SV("nothing"), SV("edge"));
    topics_del(t, SV("run"), SV("edge"));
    assert_int_equal(count(t, "run"), 1);
    topics_del(t, SV("run"), SV("irc/default"));
    assert_null(topics_of(t, SV("run")));
    assert_int_equal(topics_count(t), 1);
    topics_free(t);
}

static void test_forget(void **state)
{
    (void)state;
    struct topics *t = topics_new();
    char name[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(topics_add(t, sv_of(name), SV("edge")), OK);
        if (i % 2) {
            assert_int_equal(topics_add(t, sv_of(name), SV("agent-1")), OK);
        }
    }
    topics_forget(t, SV("edge"));
    assert_int_equal(topics_count(t), 20);
    assert_int_equal(count(t, "t1"), 1);
    assert_int_equal(count(t, "t2"), 0);
    topics_forget(t, SV("agent-1"));
    assert_int_equal(topics_count(t), 0);
    topics_free(t);
}

static void test_caps(void **state)
{
    (void)state;
    struct topics *t = topics_new();
    char topic[16], peer[16], big[128];
    for (int i = 0; i < TOPICS_PER_PEER_MAX; i++) {
        (void)snprintf(topic, sizeof topic, "t%d", i);
        assert_int_equal(topics_add(t, sv_of(topic), SV("edge")), OK);
    }
    assert_int_equal(topics_add(t, SV("one more"), SV("edge")), ERR_FULL);
    assert_int_equal(topics_add(t, SV("t1"), SV("edge")), OK); /* it has that one */
    for (int i = TOPICS_PER_PEER_MAX; i < TOPICS_MAX; i++) {
        (void)snprintf(topic, sizeof topic, "t%d", i);
        (void)snprintf(peer, sizeof peer, "p%d", i);
        assert_int_equal(topics_add(t, sv_of(topic), sv_of(peer)), OK);
    }
    assert_int_equal(topics_add(t, SV("one more"), SV("other")), ERR_FULL);
    assert_int_equal(topics_add(t, SV("t1"), SV("other")), OK); /* an existing topic is no new one */
    memset(big, 'x', sizeof big);
    assert_int_equal(topics_add(t, sv_mem(big, 128), SV("a")), ERR_BAD);
    assert_int_equal(topics_add(t, SV("t1"), sv_mem(big, 128)), ERR_BAD);
    assert_int_equal(topics_add(t, SV(""), SV("a")), ERR_BAD);
    assert_int_equal(topics_add(t, SV("t1"), SV("")), ERR_BAD);
    assert_int_equal(topics_count(t), TOPICS_MAX);
    topics_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_remove),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
