/*
 * test_sesschange.c: sessions named, archived, reset, deleted, annotated; the lists and counters that follow.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common/err.h"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    hx_open(&h);
    hx_agent(&h, "agent-1", 4);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static const struct msg_session *change(struct hx *h, struct msg_session_change m)
{
    return hx_ask(h, "edge", MSG_SESSION_CHANGE, &m, MSG_SESSION);
}

static uint64_t listed(struct hx *h, const char *archived)
{
    struct msg_sessions_list l = {.archived = sv_of(archived)};
    const struct msg_sessions *s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &l, MSG_SESSIONS);
    assert_int_equal(s->total, s->rows_n);
    return s->total;
}

static void a_patch_makes_and_changes(void **state)
{
    struct hx *h = *state;
    const struct msg_session *a = change(h, (struct msg_session_change){
        .key = SV("agent:main:s1"), .op = SV("patch"), .set = SV("label,pinned"), .label = SV("One"), .pinned = true});
    assert_true(sv_eqc(a->label, "One"));
    assert_true(a->pinned_ms > 0);
    const struct msg_session *b = change(h, (struct msg_session_change){
        .key = SV("agent:main:s1"), .op = SV("patch"), .set = SV("label,model"), .model = SV("p/m")});
    assert_true(sv_empty(b->label)); /* cleared */
    assert_true(b->pinned_ms > 0);   /* not named: kept */
    assert_true(sv_eq(a->session_id, b->session_id));
    assert_true(b->revision > a->revision);
    (void)hx_send(h, "agent:main:s1", "r1", "hi");
    assert_true(sv_eqc(hx_grant(h, "agent-1")->model, "p/m"));
    struct msg_session_change stale = {.key = SV("agent:main:s1"), .op = SV("patch"), .expected_id = SV("other")};
    (void)hx_refused(h, "edge", MSG_SESSION_CHANGE, &stale, ERR_CONFLICT);
}

static void archived_sessions_are_listed_apart(void **state)
{
    struct hx *h = *state;
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:a"), .op = SV("patch")});
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:b"), .op = SV("patch"), .set = SV("archived"),
                                                .archived = true});
    assert_int_equal(listed(h, ""), 1);
    assert_int_equal(listed(h, "only"), 1);
    assert_int_equal(listed(h, "all"), 2);
    hx_sleep(h, 10);
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:b"), .op = SV("patch"), .set = SV("archived")});
    assert_int_equal(listed(h, ""), 2);
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:b"), .op = SV("patch"), .set = SV("archived"),
                                                .archived = true});
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:b"), .op = SV("delete")});
    assert_int_equal(listed(h, "all"), 1);
}

static void reset_and_delete_end_runs(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, "agent:main:s1", "r1", "one");
    const struct msg_grant *g = hx_grant(h, "agent-1");
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:s1"), .op = SV("reset")});
    assert_true(sv_eqc(hx_run(h, "r1")->state, "aborted"));
    assert_true(sv_eqc(hx_history(h, "agent:main:s1")->rows[0].kind, "reset"));
    (void)hx_send(h, "agent:main:s1", "r2", "two");
    (void)hx_grant(h, "agent-1");
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:s1"), .op = SV("delete")});
    assert_true(sv_eqc(hx_run(h, "r2")->state, "aborted"));
    assert_int_equal(hx_history(h, "agent:main:s1")->session_n, 0);
    hx_idle(h);
    struct msg_session_change again = {.key = SV("agent:main:s1"), .op = SV("delete")};
    (void)hx_refused(h, "edge", MSG_SESSION_CHANGE, &again, ERR_GONE);
    struct msg_session_change main_one = {.key = SV("main"), .op = SV("delete")};
    (void)hx_refused(h, "edge", MSG_SESSION_CHANGE, &main_one, ERR_DENIED);
    assert_non_null(g);
    (void)hx_send(h, "agent:main:s1", "r3", "a new one"); /* the key is free again */
    assert_int_equal(hx_history(h, "agent:main:s1")->total, 1);
}

static void long_transcripts_go_in_slices(void **state)
{
    struct hx *h = *state;
    char text[16];
    for (int i = 0; i < 1200; i++) {
        snprintf(text, sizeof text, "note %d", i);
        (void)change(h, (struct msg_session_change){.key = SV("agent:main:s1"), .op = SV("note"), .role = SV("assistant"),
                                                    .text = sv_of(text)});
    }
    assert_int_equal(hx_history(h, "agent:main:s1")->total, 1200);
    (void)change(h, (struct msg_session_change){.key = SV("agent:main:s1"), .op = SV("delete")});
    for (int i = 0; i < 5; i++) {
        hx_sleep(h, 5);
        hx_idle(h);
    }
    assert_int_equal(hx_history(h, "agent:main:s1")->total, 0);
    struct msg_session_change bad = {.key = SV("agent:main:s1"), .op = SV("note"), .text = SV(" ")};
    (void)hx_refused(h, "edge", MSG_SESSION_CHANGE, &bad, ERR_BAD);
    bad.op = SV("polish");
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_SESSION_CHANGE, &bad, ERR_BAD)->field, "op"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_patch_makes_and_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(archived_sessions_are_listed_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_and_delete_end_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(long_transcripts_go_in_slices, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
