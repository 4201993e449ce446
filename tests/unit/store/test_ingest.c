/*
 * test_ingest.c: the one door: repeats, conflicts, grants in the same transaction, commands, bad input.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include "common/err.h"

#define KEY "agent:main:main"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    hx_open(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static void a_turn_costs_two_commits(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 4);
    hx_watch(h, "edge", true);
    uint64_t before = store_commits(h->s);
    const struct msg_ingested *a = hx_send(h, KEY, "r1", "hello");
    assert_sv(a->state, "started");
    assert_sv(a->run_id, "r1");
    assert_int_equal(a->message_seq, 1);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_int_equal(g->rows_n, 1);
    assert_sv(g->rows[0].text, "hello");
    assert_sv(g->rows[0].idem, "r1:user");
    assert_int_equal(g->attempt, 1);
    assert_int_equal(g->timeout_ms, 600000);
    hx_finish(h, "agent-1", g, "ok", "hi there");
    assert_int_equal(store_commits(h->s) - before, 2);

    const struct msg_run *r = hx_push(h, "edge", MSG_RUN);
    assert_sv(r->state, "running");
    r = hx_push(h, "edge", MSG_RUN);
    assert_sv(r->state, "ok");
    assert_sv(r->reply, "hi there");
    const struct msg_row *row = hx_push(h, "edge", MSG_ROW);
    assert_sv(row->row[0].role, "user");
    row = hx_push(h, "edge", MSG_ROW);
    assert_sv(row->row[0].role, "assistant");
    assert_int_equal(row->row[0].n, 2);

    const struct msg_history_page *p = hx_history(h, KEY);
    assert_int_equal(p->total, 2);
    assert_int_equal(p->rows_n, 2);
    assert_sv(p->rows[1].text, "hi there");
    assert_sv(p->rows[1].run_id, "r1");
    assert_int_equal(p->session_n, 1);
    assert_sv(p->session[0].status, "done");
    assert_sv(p->session[0].title, "hello");
    assert_sv(p->session[0].preview, "hi there");
    assert_sv(p->session[0].model, "m");
    assert_int_equal(p->session[0].out_tokens, 5);
    assert_int_equal(p->pending_n, 0);
}

static void reads_do_not_commit(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 4);
    uint64_t before = store_commits(h->s);
    (void)hx_history(h, KEY);
    hx_watch(h, "edge", false);
    hx_agent(h, "agent-1", 4);
    struct msg_sessions_list l = {0};
    (void)hx_ask(h, "edge", MSG_SESSIONS_LIST, &l, MSG_SESSIONS);
    assert_int_equal(store_commits(h->s), before);
}

static void a_repeat_describes_the_first(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, KEY, "r1", "hello");
    const struct msg_ingested *a = hx_send(h, KEY, "r1", "hello");
    assert_true(a->dup);
    assert_sv(a->state, "queued");
    assert_sv(a->run_id, "r1");
    hx_agent(h, "agent-1", 1);
    a = hx_send(h, "main", "r1", "hello"); /* the short form of the same key */
    assert_sv(a->state, "started");
    assert_int_equal(a->message_seq, 1);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "hi");
    a = hx_send(h, KEY, "r1", "hello");
    assert_true(a->dup);
    assert_sv(a->state, "ok");
    assert_int_equal(hx_history(h, KEY)->total, 2);
    hx_reopen(h);
    assert_sv(hx_send(h, KEY, "r1", "hello")->state, "ok");
}

static void a_client_key_for_other_content_is_a_conflict(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, KEY, "r1", "hello");
    struct msg_ingest in = {.channel = SV("webchat"),
                            .account = SV("client"),
                            .event_id = SV("r1"),
                            .session_key = SV(KEY),
                            .text = SV("something else")};
    (void)hx_refused(h, "edge", MSG_INGEST, &in, ERR_CONFLICT);
    /* a platform may redeliver an edited text: still the same event */
    struct msg_ingest dm = hx_dm("e1", "ann", "one");
    (void)hx_ask(h, "irc/default", MSG_INGEST, &dm, MSG_INGESTED);
    struct msg_ingest chosen = hx_dm("mine", "ann", "one"); /* but not under a key that the sender chose, after a restart too */
    chosen.own_key = true;
    (void)hx_ask(h, "irc/default", MSG_INGEST, &chosen, MSG_INGESTED);
    hx_reopen(h);
    chosen.text = SV("two");
    (void)hx_refused(h, "irc/default", MSG_INGEST, &chosen, ERR_CONFLICT);
    dm.text = SV("two");
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &dm, MSG_INGESTED);
    assert_true(a->dup);
}

static void bad_input_names_the_field(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    in.lane = SV("fast");
    assert_sv(hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BAD)->field, "lane");
    in = hx_dm("", "ann", "x");
    assert_sv(hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BAD)->field, "event_id");
    in = hx_dm("e1", "ann", "x");
    in.chat_type = SV_NULL;
    assert_sv(hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BAD)->field, "session_key");
    in = hx_dm("e1", "ann", "x");
    in.chat_type = SV("forum");
    assert_sv(hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BAD)->field, "chat_type");
    assert_int_equal(store_commits(h->s), 0);
    struct msg_session_get get = {.key = SV("agent:main:none")};
    (void)hx_refused(h, "edge", MSG_SESSION_GET, &get, ERR_GONE);
    /* a message the store does not take */
    struct msg_subscribe sub = {.topic = SV("run")};
    assert_sv(hx_refused(h, "edge", MSG_SUBSCRIBE, &sub, ERR_BAD)->field, "type");
}

static void session_keys_follow_the_route(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = hx_dm("e1", "Ann", "x");
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->session_key, "agent:main:main");
    in.event_id = SV("e2");
    in.chat_type = SV("channel");
    in.chat_id = SV("#Room");
    a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->session_key, "agent:main:irc:channel:#room");
    in.event_id = SV("e3");
    in.chat_type = SV("group");
    in.thread_id = SV("7");
    a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->session_key, "agent:main:irc:group:#room:thread:7");
    h->conf.dm_scope = DM_ACCOUNT_CHANNEL_PEER;
    hx_reopen(h);
    in = hx_dm("e4", "Ann", "x");
    a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->session_key, "agent:main:irc:default:direct:ann");
    struct msg_session_get get = {.key = a->session_key};
    const struct msg_session *s = hx_ask(h, "edge", MSG_SESSION_GET, &get, MSG_SESSION);
    assert_sv(s->chat_id, "Ann");
    assert_sv(s->kind, "direct");
}

static void stop_ends_everything_of_the_session(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, KEY, "r2", "two");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = SV("s1"),
                            .session_key = SV(KEY), .text = SV("/stop"), .command = SV("stop")};
    const struct msg_ingested *a = hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "command");
    assert_sv(a->text, "Stopped. 1 running, 1 queued.");
    assert_int_equal(a->stopped_n, 2);
    assert_non_null(hx_push(h, "agent-1", MSG_ABORT_RUN));
    assert_sv(hx_run(h, "r2")->state, "aborted");
    assert_sv(hx_run(h, "r1")->state, "running");
    hx_finish(h, "agent-1", g, "aborted", "part");
    assert_sv(hx_run(h, "r1")->state, "aborted");
    assert_sv(hx_run(h, "r1")->stop, "stop");
    in.event_id = SV("s2");
    a = hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->text, "Nothing is running.");
    a = hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    assert_true(a->dup);
    assert_sv(a->text, "Nothing is running.");
}

static void new_starts_an_empty_transcript(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = SV("n1"),
                            .session_key = SV(KEY), .text = SV("/new"), .command = SV("new")};
    const struct msg_ingested *a = hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "command");
    assert_sv(a->text, "✅ New session started.");
    assert_sv(hx_run(h, "r1")->state, "aborted");
    const struct msg_history_page *p = hx_history(h, KEY);
    assert_int_equal(p->rows_n, 1);
    assert_sv(p->rows[0].role, "system");
    assert_sv(p->rows[0].kind, "reset");
    assert_sv(p->rows[0].text, "Reset");
    struct msg_finish f = {.run_id = g->run_id, .fence = g->fence + 1, .status = SV("ok")};
    (void)hx_refused(h, "agent-1", MSG_FINISH, &f, ERR_FENCED);
    assert_sv(hx_send(h, KEY, "r2", "two")->state, "started");
    assert_int_equal(hx_grant(h, "agent-1")->rows_n, 2);
}

static void cursor_moves_with_the_message(void **state)
{
    struct hx *h = *state;
    struct msg_cursor_get get = {.channel = SV("irc"), .account = SV("default")};
    const struct msg_cursor *c = hx_ask(h, "irc/default", MSG_CURSOR_GET, &get, MSG_CURSOR);
    assert_int_equal(c->blob.n, 0);
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    in.cursor = SV("offset 17");
    (void)hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    hx_reopen(h);
    c = hx_ask(h, "irc/default", MSG_CURSOR_GET, &get, MSG_CURSOR);
    assert_sv(c->blob, "offset 17");
}

static void a_wanted_run_id_that_is_taken_is_replaced(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, KEY, "r1", "hello");
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    in.run_id = SV("r1");
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_false(sv_eqc(a->run_id, "r1"));
    assert_int_equal(a->run_id.n, 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_costs_two_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_do_not_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repeat_describes_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_key_for_other_content_is_a_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_input_names_the_field, setup, teardown),
        cmocka_unit_test_setup_teardown(session_keys_follow_the_route, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_ends_everything_of_the_session, setup, teardown),
        cmocka_unit_test_setup_teardown(new_starts_an_empty_transcript, setup, teardown),
        cmocka_unit_test_setup_teardown(cursor_moves_with_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wanted_run_id_that_is_taken_is_replaced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
