/*
 * test_delta.c: coalescing, offsets over several messages, NO_REPLY, the cap.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/delta.h"
#include "common/text.h"
#include "tests/unit/agent/fake_planes.h"

static struct loop *loop;
static struct stream s;

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    fake_reset(loop);
    stream_init(&s, loop, NULL);
    s.run_id = SV("r1");
    s.session_key = SV("k");
    stream_item(&s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stream_free(&s);
    loop_free(loop);
    fake_free();
    return 0;
}

static void says(const char *want)
{
    struct buf text = BUF_INIT(1000000);
    stream_flush(&s);
    fake_text(&text);
    assert_sv(buf_view(&text), want);
    buf_free(&text);
}

static void turn(void)
{
    ev_run(loop_ev(loop), EVRUN_ONCE);
}

static void the_first_delta_leaves_at_once(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("Hello")));
    assert_int_equal(fake.events_n, 0); /* but in the same turn of the loop more may come */
    assert_true(stream_text(&s, SV(", world")));
    turn();
    assert_int_equal(fake.events_n, 1);
    assert_sv(fake.events[0].delta, "Hello, world");
    assert_sv(fake.events[0].item_id, "r1:1");
    for (int i = 0; i < 20; i++) {
        assert_true(stream_text(&s, SV(" and more")));
    }
    assert_int_equal(fake.events_n, 1); /* 180 bytes wait for 30 ms */
    turn();
    assert_int_equal(fake.events_n, 2);
    for (int i = 0; i < 30; i++) {
        assert_true(stream_text(&s, SV(" and more")));
    }
    assert_int_equal(fake.events_n, 3); /* 256 bytes do not wait */
}

static void messages_are_joined_by_a_blank_line(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("one")));
    assert_false(stream_item_end(&s));
    stream_item(&s);
    assert_true(stream_text(&s, SV("two")));
    assert_sv(stream_item_text(&s), "two");
    assert_false(stream_item_end(&s));
    assert_sv(stream_all(&s), "one\n\ntwo");
    says("one\n\ntwo");
    assert_int_equal(fake.events[1].off, 5);
    assert_sv(fake.events[1].delta, "two");
    stream_item(&s); /* a message without text leaves no trace */
    assert_false(stream_item_end(&s));
    assert_sv(stream_all(&s), "one\n\ntwo");
    assert_sv(stream_item_text(&s), "");
}

static void events_do_not_overtake_text(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("before")));
    stream_event(&s, "tool", json_pack("{s:s}", "phase", "start"));
    assert_int_equal(fake.events_n, 2);
    assert_sv(fake.events[0].stream, "assistant");
    assert_sv(fake.events[1].data, "{\"phase\":\"start\"}");
    assert_int_equal(fake.events[1].seq, 2);
}

static void silence_does_not_leak(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("NO_")));
    assert_true(stream_text(&s, SV("REPLY")));
    turn();
    assert_int_equal(fake.events_n, 0);
    assert_true(stream_item_end(&s));
    assert_int_equal(fake.events_n, 0);
    assert_int_equal(stream_all(&s).n, 0);
}

static void a_prefix_of_silence_is_text(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("No")));
    assert_true(stream_text(&s, SV(", thanks")));
    says("No, thanks");
    stream_item(&s);
    assert_true(stream_text(&s, SV("No")));
    assert_false(stream_item_end(&s));
    assert_sv(stream_item_text(&s), "No");
}

static void the_token_is_cut_around_text(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("NO_REPLY\n\nBut this matters.")));
    assert_false(stream_item_end(&s));
    assert_sv(stream_item_text(&s), "But this matters.");
    stream_item(&s);
    assert_true(stream_text(&s, SV("That was it.\n\nNO_REPLY")));
    assert_false(stream_item_end(&s));
    assert_sv(stream_item_text(&s), "That was it.");
    stream_item(&s);
    assert_true(stream_text(&s, SV("NO_REPLYING is a word")));
    assert_sv(stream_item_text(&s), "NO_REPLYING is a word");
    stream_item(&s);
    assert_true(stream_text(&s, SV("`NO_REPLY`")));
    assert_true(stream_item_end(&s));
}

static void a_restored_text_continues(void **state)
{
    (void)state;
    stream_free(&s);
    stream_init(&s, loop, NULL);
    s.run_id = SV("r1");
    s.session_key = SV("k");
    stream_restore(&s, SV("Let me look."));
    stream_restore(&s, SV_NULL);
    stream_item(&s);
    assert_true(stream_text(&s, SV("Noon.")));
    stream_flush(&s);
    assert_int_equal(fake.events_n, 1);
    assert_int_equal(fake.events[0].off, 14);
    assert_sv(fake.events[0].item_id, "r1:2");
    assert_sv(stream_all(&s), "Let me look.\n\nNoon.");
}

static void a_dropped_try_leaves_nothing(void **state)
{
    (void)state;
    assert_true(stream_text(&s, SV("NO")));
    stream_item_drop(&s);
    assert_true(stream_text(&s, SV("Yes")));
    says("Yes");
}

static void the_cap_is_at_a_character(void **state)
{
    (void)state;
    bool more = true;
    for (int i = 0; i < 200000 && more; i++) {
        more = stream_text(&s, SV("\xc3\xa9\xc3\xa9\xc3\xa9"));
        if (fake.events_n > 2000) {
            fake.events_n = 0;
        }
    }
    assert_false(more);
    assert_true(stream_all(&s).n <= RUN_TEXT_MAX && stream_all(&s).n > RUN_TEXT_MAX - 2);
    assert_true(utf8_valid(stream_all(&s)));
    assert_false(stream_text(&s, SV("x")));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_first_delta_leaves_at_once), CASE(messages_are_joined_by_a_blank_line),
        CASE(events_do_not_overtake_text),    CASE(silence_does_not_leak),
        CASE(a_prefix_of_silence_is_text),    CASE(the_token_is_cut_around_text),
        CASE(a_restored_text_continues),      CASE(a_dropped_try_leaves_nothing),
        CASE(the_cap_is_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
