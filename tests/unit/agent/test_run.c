/*
 * test_run.c: a run from GRANT to FINISH against fake planes, with the offline responder as the model.
 * Runs in: unit tests.     Owns: one agent.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "tests/unit/agent/fake_planes.h"

static struct agent ag;
static struct conf conf;
static struct loop_timer limit;
static struct msg_entry user_row;

static char dir[64];

/* A folder for workspaces; only the tests that write make it. */
static const char *state_dir_of(char dst[64])
{
    (void)snprintf(dst, 64, "/tmp/tenaza-run-test-%d", (int)getpid());
    return dst;
}

static void too_late(void *ctx)
{
    (void)ctx;
    panic("the test waits for ever");
}

static int setup(void **state)
{
    (void)state;
    crypto_init();
    user_row = (struct msg_entry){.role = SV("user"), .text = SV("what time is it?"), .run_id = SV("r1")};
    memset(&ag, 0, sizeof ag);
    conf = (struct conf){0};
    conf_set_bool(&conf, "models.autodetect", false);
    conf_set_str(&conf, "agents.defaults.timezone", SV("UTC"));
    ag.loop = loop_new();
    ag.conf = &conf;
    ag.state_dir = state_dir_of(dir);
    fake_reset(ag.loop);
    loop_timer_init(&limit, ag.loop, too_late, NULL);
    loop_timer_start(&limit, 20000);
    agent_start(&ag);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_timer_stop(&limit);
    agent_stop(&ag);
    loop_free(ag.loop);
    conf_free(&conf);
    fake_free();
    return 0;
}

static bool no_runs(void)
{
    return ag.runs_n == 0;
}

static void run_until(bool (*cond)(void))
{
    while (!cond()) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
}


static struct msg_grant grant_of(struct msg_entry *rows, size_t n)
{
    return (struct msg_grant){.run_id = SV("r1"), .fence = 7, .attempt = 1, .session_key = SV("agent:main:main"),
                              .session_id = SV("s1"), .agent_id = SV("main"), .lane = SV("main"), .rows = rows, .rows_n = n};
}

static void a_turn_streams_and_finishes(void **state)
{
    (void)state;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    assert_int_equal(ag.runs_n, 1);
    agent_grant(&ag, &g); /* a repeat */
    assert_int_equal(ag.runs_n, 1);
    run_until(no_runs);

    assert_int_equal(fake_count(MSG_STEP), 0); /* two commits a turn: grant and finish */
    assert_int_equal(fake_count(MSG_FINISH), 1);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "ok");
    assert_int_equal(f->fence, 7);
    assert_sv(f->provider, "offline");
    assert_sv(f->model, "guide");
    assert_sv(f->stop, "stop");
    assert_true(sv_starts(f->reply, SV("[offline] It is ")));
    assert_int_equal(f->rows_n, 1);
    assert_sv(f->rows[0].role, "assistant");
    assert_true(sv_eq(f->rows[0].text, f->reply));
    assert_int_equal(f->event_seq, fake.events[fake.events_n - 1].seq);

    struct buf text = BUF_INIT(100000);
    fake_text(&text);
    assert_true(sv_eq(buf_view(&text), f->reply));
    buf_free(&text);
    assert_int_equal(fake.events[0].seq, 1);
    assert_int_equal(fake_events("lifecycle", "\"phase\":\"start\""), 1);
    assert_int_equal(fake_events("lifecycle", "\"phase\":\"model\""), 1);
    assert_int_equal(fake_events("lifecycle", "\"phase\":\"finishing\""), 1);
    assert_int_equal(fake_events("usage", NULL), 1);
    assert_sv(fake.events[1].stream, "lifecycle");
}

static bool some_text(void)
{
    return fake_events("assistant", NULL) > 0;
}

static void an_abort_keeps_the_partial_text(void **state)
{
    (void)state;
    user_row.text = SV("tell me a story");
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    run_until(some_text);
    struct msg_abort_run older = {.run_id = SV("r1"), .fence = 6};
    fake.on_abort(&ag, MSG_ABORT_RUN, &older);
    assert_int_equal(fake_count(MSG_FINISH), 0);
    struct msg_abort_run a = {.run_id = SV("r1"), .fence = 7, .reason = SV("stop")};
    fake.on_abort(&ag, MSG_ABORT_RUN, &a);
    run_until(no_runs);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "aborted");
    assert_sv(f->stop, "stop");
    assert_int_equal(f->reply.n, 0);
    assert_int_equal(f->rows_n, 1);
    assert_sv(f->rows[0].stop, "aborted");
    assert_true(f->rows[0].text.n > 5);
}

static void the_answer_so_far_can_be_asked_for(void **state)
{
    (void)state;
    user_row.text = SV("tell me a story");
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    run_until(some_text);
    struct bus_peer from = {.name = "edge", .rid = 5};
    struct msg_run_text_get get = {.run_id = SV("r1")};
    fake.on_text_get(&ag, &from, MSG_RUN_TEXT_GET, &get);
    assert_int_equal(fake.answer_type, MSG_RUN_TEXT);
    assert_true(sv_starts(fake.answer.text, SV("[offline]")));
    assert_int_equal(fake.answer.seq, fake.events[fake.events_n - 1].seq);
    get.run_id = SV("other");
    fake.on_text_get(&ag, &from, MSG_RUN_TEXT_GET, &get);
    assert_int_equal(fake.answer_type, MSG_STATUS);
    run_until(no_runs);
}

static void a_newer_fence_makes_it_forget(void **state)
{
    (void)state;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    run_until(some_text);
    struct msg_abort_run a = {.run_id = SV("r1"), .fence = 8};
    fake.on_abort(&ag, MSG_ABORT_RUN, &a);
    assert_int_equal(ag.runs_n, 0);
    assert_int_equal(fake_count(MSG_FINISH), 0);
}

static void a_fenced_finish_is_dropped(void **state)
{
    (void)state;
    fake.auto_ok = false;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    while (fake_count(MSG_FINISH) == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    assert_int_equal(ag.runs_n, 1); /* held until the store has it */
    fake_answer((size_t)fake_find(MSG_FINISH, 0), ERR_FENCED);
    assert_int_equal(ag.runs_n, 0);
}

static void an_unanswered_finish_is_sent_again(void **state)
{
    (void)state;
    fake.auto_ok = false;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    while (fake_count(MSG_FINISH) == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    fake_answer((size_t)fake_find(MSG_FINISH, 0), ERR_TIMEOUT);
    assert_int_equal(ag.runs_n, 1);
    fake.auto_ok = true;
    run_until(no_runs);
    assert_int_equal(fake_count(MSG_FINISH), 2);
}

static void a_refused_finish_ends_as_an_error(void **state)
{
    (void)state;
    fake.auto_ok = false;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    while (fake_count(MSG_FINISH) == 0) {
        ev_run(loop_ev(ag.loop), EVRUN_ONCE);
    }
    fake_answer((size_t)fake_find(MSG_FINISH, 0), ERR_BAD);
    assert_int_equal(fake_count(MSG_FINISH), 2);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 1)].finish;
    assert_sv(f->status, "error");
    assert_int_equal(f->rows_n, 0);
    fake_answer((size_t)fake_find(MSG_FINISH, 1), OK);
    assert_int_equal(ag.runs_n, 0);
}

static void abort_before_the_grant(void **state)
{
    (void)state;
    struct msg_grant g = grant_of(&user_row, 1);
    g.abort = true;
    agent_grant(&ag, &g);
    run_until(no_runs);
    assert_sv(fake.calls[fake_find(MSG_FINISH, 0)].finish.status, "aborted");
}

static void a_run_out_of_time_says_so(void **state)
{
    (void)state;
    struct msg_grant g = grant_of(&user_row, 1);
    g.timeout_ms = 30;
    g.rows[0].text = SV("tell me something");
    agent_grant(&ag, &g);
    run_until(no_runs);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "timeout");
    assert_sv(f->error_kind, "timeout");
    assert_true(sv_starts(f->error, SV("Timed out after ")));
}

static void a_takeover_runs_replayable_calls_again(void **state)
{
    (void)state;
    struct msg_tool_call calls[3] = {{SV("c1"), SV("current_time"), SV("{}")},
                                     {SV("c2"), SV("current_time"), SV("{\"timezone\":\"Europe/Madrid\"}")},
                                     {SV("c3"), SV("no_such_tool"), SV("{}")}};
    struct msg_entry rows[3] = {
        user_row,
        {.role = SV("assistant"), .text = SV("Let me look."), .run_id = SV("r1"), .calls = calls, .calls_n = 3},
        {.role = SV("toolResult"), .text = SV("old"), .run_id = SV("r1"), .tool_call_id = SV("c1"), .tool_name = SV("current_time")},
    };
    struct msg_grant g = grant_of(rows, 3);
    g.attempt = 2;
    g.step = 1;
    agent_grant(&ag, &g);
    run_until(no_runs);
    assert_int_equal(fake_count(MSG_STEP), 1);
    const struct msg_step *s = &fake.calls[fake_find(MSG_STEP, 0)].step;
    assert_int_equal(s->step, 2);
    assert_int_equal(s->rows_n, 2); /* c1 has its result already */
    assert_sv(s->rows[0].tool_call_id, "c2");
    assert_true(sv_find(s->rows[0].text, SV("Europe/Madrid")) >= 0);
    assert_false(s->rows[0].is_error);
    assert_sv(s->rows[1].tool_call_id, "c3");
    assert_true(s->rows[1].is_error);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_true(sv_starts(f->reply, SV("Let me look.\n\n[offline]"))); /* the answer of the whole run */
    assert_true(sv_starts(f->rows[0].text, SV("[offline]")));
    assert_true(fake.events[0].seq > 100000);
}

/* Of three calls without a result the first may have been begun by the dead predecessor, the others cannot. */
static void only_the_first_open_call_is_unknown(void **state)
{
    (void)state;
    struct msg_tool_call calls[3] = {{SV("c1"), SV("write"), SV("{\"path\":\"a.txt\",\"content\":\"1\"}")},
                                     {SV("c2"), SV("write"), SV("{\"path\":\"b.txt\",\"content\":\"2\"}")},
                                     {SV("c3"), SV("current_time"), SV("{}")}};
    struct msg_entry rows[2] = {user_row, {.role = SV("assistant"), .run_id = SV("r1"), .calls = calls, .calls_n = 3}};
    struct msg_grant g = grant_of(rows, 2);
    g.attempt = 2;
    g.step = 1;
    agent_grant(&ag, &g);
    run_until(no_runs);
    assert_int_equal(fake_count(MSG_STEP), 3); /* each write alone, and stored before the next call begins */
    const struct msg_step *s = &fake.calls[fake_find(MSG_STEP, 0)].step;
    assert_int_equal(s->rows_n, 1);
    assert_sv(s->rows[0].tool_call_id, "c1");
    assert_true(sv_starts(s->rows[0].text, SV("Outcome unknown")));
    s = &fake.calls[fake_find(MSG_STEP, 1)].step;
    assert_sv(s->rows[0].tool_call_id, "c2");
    assert_sv(s->rows[0].text, "Written: b.txt (1 bytes).");
    s = &fake.calls[fake_find(MSG_STEP, 2)].step;
    assert_sv(s->rows[0].tool_call_id, "c3");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/workspace/main/a.txt", dir);
    assert_int_equal(access(path, F_OK), -1);
    (void)snprintf(path, sizeof path, "%s/workspace/main/b.txt", dir);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/workspace/main", dir);
    (void)rmdir(path);
    (void)snprintf(path, sizeof path, "%s/workspace", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
}

static void a_message_is_repeated_under_its_key(void **state)
{
    (void)state;
    struct msg_tool_call call = {SV("c1"), SV("message"), SV("{\"action\":\"send\",\"message\":\"hi\",\"channel\":\"irc\",\"target\":\"ann\"}")};
    struct msg_entry rows[2] = {user_row, {.id = SV("e-1"), .role = SV("assistant"), .run_id = SV("r1"), .calls = &call, .calls_n = 1}};
    struct msg_grant g = grant_of(rows, 2);
    g.attempt = 2;
    fake.auto_ok = false;
    agent_grant(&ag, &g);
    assert_int_equal(fake_count(MSG_SEND), 1);
    const struct msg_send *m = &fake.calls[fake_find(MSG_SEND, 0)].send;
    assert_sv(m->key, "e-1:0");
    assert_sv(m->account, "default");
    assert_int_equal(m->fence, 7);
    fake_answer((size_t)fake_find(MSG_SEND, 0), ERR_TIMEOUT);
    assert_int_equal(fake_count(MSG_SEND), 2);
    assert_sv(fake.calls[fake_find(MSG_SEND, 1)].send.key, "e-1:0");
    fake.auto_ok = true;
    fake_answer((size_t)fake_find(MSG_SEND, 1), OK);
    run_until(no_runs);
    const struct msg_step *s = &fake.calls[fake_find(MSG_STEP, 0)].step;
    assert_sv(s->rows[0].text, "Accepted for delivery to irc/default/ann (delivery d1).");
}

static void a_tool_that_was_not_offered_does_not_run(void **state)
{
    (void)state;
    struct msg_tool_call calls[2] = {{SV("c1"), SV("write"), SV("{\"path\":\"a\",\"content\":\"1\"}")},
                                     {SV("c2"), SV("message"), SV("{\"action\":\"send\",\"message\":\"hi\"}")}};
    struct msg_entry rows[2] = {user_row, {.role = SV("assistant"), .run_id = SV("r1"), .calls = calls, .calls_n = 2}};
    struct msg_grant g = grant_of(rows, 2);
    g.session_key = SV("agent:main:irc:group:#room"); /* no file tools among several people */
    conf_add_list(&conf, "tools.deny", SV("group:messaging"));
    agent_grant(&ag, &g);
    run_until(no_runs);
    assert_int_equal(fake_count(MSG_SEND), 0);
    const struct msg_step *s = &fake.calls[fake_find(MSG_STEP, 0)].step;
    assert_true(sv_starts(s->rows[0].text, SV("There is no tool named \"write\"")));
    s = &fake.calls[fake_find(MSG_STEP, 1)].step;
    assert_true(sv_starts(s->rows[0].text, SV("There is no tool named \"message\"")));
}

static void a_fenced_step_is_dropped(void **state)
{
    (void)state;
    struct msg_tool_call call = {SV("c1"), SV("current_time"), SV("{}")};
    struct msg_entry rows[2] = {user_row, {.role = SV("assistant"), .run_id = SV("r1"), .calls = &call, .calls_n = 1}};
    struct msg_grant g = grant_of(rows, 2);
    fake.auto_ok = false;
    agent_grant(&ag, &g);
    assert_int_equal(fake_count(MSG_STEP), 1);
    fake_answer((size_t)fake_find(MSG_STEP, 0), ERR_FENCED);
    assert_int_equal(ag.runs_n, 0);
    assert_int_equal(fake_count(MSG_FINISH), 0);
}

static void want_names_what_is_held(void **state)
{
    (void)state;
    assert_int_equal(fake.calls[fake_find(MSG_WANT, 0)].want.slots, AGENT_SLOTS);
    assert_int_equal(fake.calls[fake_find(MSG_WANT, 0)].want.held_n, 0);
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    agent_drain(&ag, 5000);
    const struct msg_want *w = &fake.calls[fake_find(MSG_WANT, 1)].want;
    assert_int_equal(w->slots, 0);
    assert_int_equal(w->held_n, 1);
    assert_sv(w->held[0].run_id, "r1");
    run_until(no_runs);
}

static void without_a_model_the_user_is_told(void **state)
{
    (void)state;
    ag.models.offline_ok = false;
    struct msg_grant g = grant_of(&user_row, 1);
    agent_grant(&ag, &g);
    run_until(no_runs);
    const struct msg_finish *f = &fake.calls[fake_find(MSG_FINISH, 0)].finish;
    assert_sv(f->status, "error");
    assert_sv(f->error_kind, "unavailable");
    assert_true(sv_find(f->error, SV("ANTHROPIC_API_KEY")) >= 0);
}

static void the_model_is_published(void **state)
{
    (void)state;
    assert_true(fake.models_n > 0);
    assert_sv(fake.model.provider, "offline");
    assert_sv(fake.model.model, "guide");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_turn_streams_and_finishes),
        CASE(an_abort_keeps_the_partial_text),
        CASE(the_answer_so_far_can_be_asked_for),
        CASE(a_newer_fence_makes_it_forget),
        CASE(a_fenced_finish_is_dropped),
        CASE(an_unanswered_finish_is_sent_again),
        CASE(a_refused_finish_ends_as_an_error),
        CASE(abort_before_the_grant),
        CASE(a_run_out_of_time_says_so),
        CASE(a_takeover_runs_replayable_calls_again),
        CASE(only_the_first_open_call_is_unknown),
        CASE(a_message_is_repeated_under_its_key),
        CASE(a_tool_that_was_not_offered_does_not_run),
        CASE(a_fenced_step_is_dropped),
        CASE(want_names_what_is_held),
        CASE(without_a_model_the_user_is_told),
        CASE(the_model_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
