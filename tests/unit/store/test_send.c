/*
 * test_send.c: messages of tools: once for each call, to known chats, under the fence.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common/err.h"

#define CHAN "irc/default"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    h.conf.dm_scope = DM_PEER;
    hx_open(&h);
    *state = &h;
    hx_agent(&h, "agent-1", 8);
    hx_channel(&h, CHAN, 8, true);
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static const struct msg_grant *asked_by(struct hx *h, const char *event, const char *sender)
{
    struct msg_ingest in = hx_dm(event, sender, "q");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    return hx_grant(h, "agent-1");
}

static struct msg_send to_chat(const struct msg_grant *g, const char *key, const char *chat, const char *text)
{
    bool own = chat[0] == '\0';
    return (struct msg_send){.run_id = g->run_id,
                             .fence = g->fence,
                             .key = sv_of(key),
                             .channel = own ? SV_NULL : SV("irc"),
                             .account = own ? SV_NULL : SV("default"),
                             .chat_id = sv_of(chat),
                             .text = sv_of(text)};
}

static void the_same_key_is_sent_once(void **state)
{
    struct hx *h = *state;
    const struct msg_grant *g = asked_by(h, "e1", "ann");
    struct msg_send m = to_chat(g, "k:0", "", "hello");
    const struct msg_sent *first = hx_ask(h, "agent-1", MSG_SEND, &m, MSG_SENT);
    assert_false(first->dup);
    assert_sv(first->chat_id, "ann");
    hx_reopen(h); /* what is answered survives */
    hx_channel(h, CHAN, 8, true);
    const struct msg_sent *again = hx_ask(h, "agent-1", MSG_SEND, &m, MSG_SENT);
    assert_true(again->dup);
    assert_true(sv_eq(again->delivery_id, first->delivery_id));
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    assert_sv(d->text, "hello");
    hx_finish(h, "agent-1", g, "ok", "bye");
    hx_receipt(h, CHAN, d->delivery_id, 0, 1, "delivered");
    assert_sv(((const struct msg_deliver *)hx_push(h, CHAN, MSG_DELIVER))->text, "bye"); /* and in order */
}

static void only_to_chats_that_have_written(void **state)
{
    struct hx *h = *state;
    const struct msg_grant *g = asked_by(h, "e1", "ann");
    struct msg_send m = to_chat(g, "k:0", "bob", "psst");
    const struct msg_status *st = hx_refused(h, "agent-1", MSG_SEND, &m, ERR_DENIED);
    assert_true(sv_find(st->text, SV("irc/default/ann")) >= 0);
    (void)asked_by(h, "e2", "bob");
    (void)hx_ask(h, "agent-1", MSG_SEND, &m, MSG_SENT);
    hx_sleep(h, 366LL * 24 * 3600 * 1000); /* a year later nobody knows ann any more */
    hx_idle(h);
    hx_agent(h, "agent-1", 8);
    struct msg_ingest late = {.channel = SV("webchat"), .account = SV("client"), .event_id = SV("e3"), .run_id = SV("r3"),
                              .session_key = SV("agent:main:main"), .text = SV("q")};
    (void)hx_ask(h, "edge", MSG_INGEST, &late, MSG_INGESTED);
    const struct msg_grant *g3 = hx_grant(h, "agent-1");
    struct msg_send old = to_chat(g3, "k:1", "ann", "hi");
    (void)hx_refused(h, "agent-1", MSG_SEND, &old, ERR_DENIED);
    struct msg_send own = to_chat(g3, "k:2", "", "hi"); /* a client's run answers to no chat */
    (void)hx_refused(h, "agent-1", MSG_SEND, &own, ERR_DENIED);
}

static void the_same_words_twice_are_refused(void **state)
{
    struct hx *h = *state;
    const struct msg_grant *g = asked_by(h, "e1", "ann");
    struct msg_send m = to_chat(g, "k:0", "", "hello");
    (void)hx_ask(h, "agent-1", MSG_SEND, &m, MSG_SENT);
    m.key = SV("k:1");
    (void)hx_refused(h, "agent-1", MSG_SEND, &m, ERR_EXISTS);
    for (int i = 1; i < 32; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "hello %d", i);
        struct msg_send next = to_chat(g, text, "", text);
        (void)hx_ask(h, "agent-1", MSG_SEND, &next, MSG_SENT);
    }
    struct msg_send more = to_chat(g, "more", "", "one more");
    (void)hx_refused(h, "agent-1", MSG_SEND, &more, ERR_DENIED);
}

static void an_old_fence_sends_nothing(void **state)
{
    struct hx *h = *state;
    const struct msg_grant *g = asked_by(h, "e1", "ann");
    store_peer_gone(h->s, "agent-1", 1);
    hx_idle(h);
    hx_agent(h, "agent-1#2", 8);
    const struct msg_grant *g2 = hx_grant(h, "agent-1");
    struct msg_send m = to_chat(g, "k:0", "", "hello");
    (void)hx_refused(h, "agent-1#2", MSG_SEND, &m, ERR_FENCED);
    m.fence = g2->fence;
    (void)hx_ask(h, "agent-1#2", MSG_SEND, &m, MSG_SENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_key_is_sent_once, setup, teardown),
        cmocka_unit_test_setup_teardown(only_to_chats_that_have_written, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_words_twice_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_fence_sends_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
