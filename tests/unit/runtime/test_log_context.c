/*
 * test_log_context.c: the run and trace of a message reach the log lines of its handler.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/attrs.h"
#include "common/log.h"
#include "workers/runtime/context.h"

static void test_message(void **state)
{
    UNUSED(state);
    struct msg_run_event event = {.run_id = SV("run-1")};
    context_message(msg_desc(MSG_RUN_EVENT), &event, SV("0123456789abcdef"));
    assert_int_equal(log_context_now()->message, MSG_RUN_EVENT);
    assert_string_equal(log_context_now()->run, "run-1");
    assert_string_equal(log_context_now()->trace, "30313233343536373839616263646566");
    struct trace t = context_trace();
    assert_true(t.is && sv_eqc(trace_view(&t), "0123456789abcdef"));
    log_context_end();
    assert_false(context_trace().is);
}

static void test_message_without_a_run(void **state)
{
    UNUSED(state);
    struct msg_subscribe s = {.topic = SV("run")}; /* its own key, not the run's */
    context_message(msg_desc(MSG_SUBSCRIBE), &s, SV("short"));
    assert_string_equal(log_context_now()->run, "");
    assert_string_equal(log_context_now()->trace, "");
    context_message(msg_desc(MSG_RUN_EVENT), NULL, SV_NULL);
    assert_string_equal(log_context_now()->run, "");
    log_context_end();
}

static void test_run(void **state)
{
    UNUSED(state);
    struct trace a = trace_new(), b = trace_new();
    assert_true(a.is && b.is && memcmp(a.id, b.id, sizeof a.id) != 0);
    context_run(SV("run-2"), &a);
    assert_int_equal(log_context_now()->message, MSG_NONE);
    assert_string_equal(log_context_now()->run, "run-2");
    assert_memory_equal(context_trace().id, a.id, sizeof a.id);
    log_context_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_message_without_a_run),
        cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
