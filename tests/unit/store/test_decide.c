/*
 * test_decide.c: parts of unknown outcome, the operator's word about them, dead letters.
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
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static void turn(struct hx *h, const char *event, const char *reply)
{
    struct msg_ingest in = hx_dm(event, "ann", "q");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", reply);
}

static const struct msg_deliver *deliver(struct hx *h, const char *text, uint64_t part)
{
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    assert_non_null(d);
    assert_sv(d->text, text);
    assert_int_equal(d->part, part);
    return d;
}

static void begin(struct hx *h, const char *who, sv id, uint64_t part, uint64_t parts)
{
    struct msg_begin b = {.delivery_id = id, .part = part, .parts = parts};
    hx_done(h, who, MSG_BEGIN, &b, false);
}

/* The worker dies while it sends; its successor asks for work. */
static void dies(struct hx *h, uint64_t inc, bool resend)
{
    char who[32];
    store_peer_gone(h->s, CHAN, inc);
    hx_idle(h);
    (void)snprintf(who, sizeof(who), CHAN "#%llu", (unsigned long long)inc + 1);
    struct msg_out_want w = {.channel = SV("irc"), .account = SV("default"), .window = 4, .keyless = true, .resend = resend};
    hx_done(h, who, MSG_OUT_WANT, &w, false);
}

static const struct msg_outbox *outbox(struct hx *h, const char *state)
{
    struct msg_outbox_list l = {.state = sv_of(state)};
    return hx_ask(h, "cli-7", MSG_OUTBOX_LIST, &l, MSG_OUTBOX);
}

static uint64_t decide(struct hx *h, const char *action, sv id, const char *state)
{
    struct msg_decide m = {.action = sv_of(action), .delivery_id = id, .state = sv_of(state)};
    const struct msg_decided *d = hx_ask(h, "cli-7", MSG_DECIDE, &m, MSG_DECIDED);
    return d->count;
}

/* Part 1 of 3 is lost with its worker: parts 2 and the next delivery go on; "again" sends just part 1, at the end. */
static void an_unknown_part_steps_aside(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN "#1", 4, true);
    turn(h, "e1", "long");
    turn(h, "e2", "next");
    sv id = deliver(h, "long", 0)->delivery_id;
    begin(h, CHAN "#1", id, 0, 3);
    hx_receipt(h, CHAN "#1", id, 0, 3, "delivered");
    begin(h, CHAN "#1", id, 1, 3);
    dies(h, 1, false);
    assert_int_equal(deliver(h, "long", 2)->stop, 0);
    begin(h, CHAN "#2", id, 2, 3);
    hx_check(h);
    hx_receipt(h, CHAN "#2", id, 2, 3, "delivered");
    sv next = deliver(h, "next", 0)->delivery_id;
    assert_int_equal(outbox(h, "unknown")->rows_n, 1);
    assert_int_equal(outbox(h, "unknown")->rows[0].unsure[0].part, 1);
    hx_sleep(h, 10);
    hx_reopen(h);
    hx_check(h);
    assert_int_equal(decide(h, "retry", id, ""), 1);
    hx_check(h); /* behind "next", which is under way */
    hx_channel(h, CHAN "#2", 4, true);
    (void)deliver(h, "next", 0);
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_receipt(h, CHAN "#2", next, 0, 1, "delivered");
    assert_int_equal(deliver(h, "long", 1)->stop, 2); /* this part alone */
    begin(h, CHAN "#2", id, 1, 3);
    hx_receipt(h, CHAN "#2", id, 1, 3, "delivered");
    assert_int_equal(outbox(h, "")->rows_n, 0);
    struct msg_outbox_list one = {.delivery_id = id};
    const struct msg_outbox *o = hx_ask(h, "cli-7", MSG_OUTBOX_LIST, &one, MSG_OUTBOX);
    assert_sv(o->rows[0].state, "delivered");
    assert_int_equal(o->rows[0].unsure_n, 0);
    assert_int_equal(o->rows[0].log_n, 9); /* 4 begun, 3 delivered, 1 unknown, 1 again */
}

static void unknown_again_stays_unknown(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN "#1", 4, true);
    turn(h, "e1", "long");
    sv id = deliver(h, "long", 0)->delivery_id;
    for (uint64_t part = 0; part < 2; part++) { /* both parts are lost */
        begin(h, part == 0 ? CHAN "#1" : CHAN "#2", id, part, 2);
        dies(h, part + 1, false);
        if (part == 0) {
            (void)deliver(h, "long", 1);
        }
    }
    assert_int_equal(outbox(h, "unknown")->rows[0].unsure_n, 2);
    assert_int_equal(decide(h, "retry", SV_NULL, "unknown"), 1);
    (void)deliver(h, "long", 0);
    begin(h, CHAN "#3", id, 0, 2);
    dies(h, 3, false);
    assert_int_equal(deliver(h, "long", 1)->stop, 2);
    begin(h, CHAN "#4", id, 1, 2);
    hx_receipt(h, CHAN "#4", id, 1, 2, "delivered");
    const struct msg_outbox *o = outbox(h, "unknown");
    assert_int_equal(o->rows_n, 1);
    assert_int_equal(o->rows[0].unsure_n, 1);
    assert_int_equal(o->rows[0].unsure[0].part, 0);
    assert_int_equal(decide(h, "drop", id, ""), 1);
    assert_int_equal(outbox(h, "")->rows_n, 0);
    struct msg_decide m = {.action = SV("retry"), .delivery_id = id};
    (void)hx_refused(h, "cli-7", MSG_DECIDE, &m, ERR_GONE);
}

static void resend_is_a_choice_and_ends(void **state)
{
    struct hx *h = *state;
    struct msg_out_want w = {.channel = SV("irc"), .account = SV("default"), .window = 4, .keyless = true, .resend = true};
    hx_done(h, CHAN "#1", MSG_OUT_WANT, &w, false);
    turn(h, "e1", "one");
    for (uint64_t inc = 1; inc <= 8; inc++) {
        const struct msg_deliver *d = deliver(h, "one", 0);
        char who[32];
        assert_int_equal(d->attempt, inc);
        (void)snprintf(who, sizeof(who), CHAN "#%llu", (unsigned long long)inc);
        begin(h, who, d->delivery_id, 0, 1);
        dies(h, inc, true);
    }
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    assert_int_equal(outbox(h, "unknown")->rows_n, 1);
}

static void what_is_on_its_way_is_not_decided(void **state)
{
    struct hx *h = *state;
    turn(h, "e1", "one");
    sv id = outbox(h, "")->rows[0].delivery_id;
    struct msg_decide m = {.action = SV("drop"), .delivery_id = id};
    (void)hx_refused(h, "cli-7", MSG_DECIDE, &m, ERR_CONFLICT);
    m.action = SV("burn");
    (void)hx_refused(h, "cli-7", MSG_DECIDE, &m, ERR_BAD);
    m = (struct msg_decide){.action = SV("drop"), .state = SV("queued")};
    (void)hx_refused(h, "cli-7", MSG_DECIDE, &m, ERR_BAD);
}

/* A rejected answer is told to its reader in a few words, and can be sent again. */
static void given_up_is_told_and_resubmitted(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, true);
    turn(h, "e1", "too rude");
    sv id = deliver(h, "too rude", 0)->delivery_id;
    hx_receipt(h, CHAN, id, 0, 1, "rejected");
    const struct msg_deliver *note = hx_push(h, CHAN, MSG_DELIVER);
    assert_true(sv_starts(note->text, SV("An answer to you could not be delivered.")));
    hx_receipt(h, CHAN, note->delivery_id, 0, 1, "rejected"); /* not told, not kept */
    assert_int_equal(outbox(h, "dead")->rows_n, 1);
    assert_int_equal(outbox(h, "")->rows_n, 1);
    assert_int_equal(decide(h, "retry", SV_NULL, "dead"), 1);
    (void)deliver(h, "too rude", 0);
    hx_receipt(h, CHAN, id, 0, 1, "delivered");
    assert_int_equal(outbox(h, "")->rows_n, 0);
}

/* ---- messages whose run failed ---- */

static const struct msg_dead *dead(struct hx *h)
{
    struct msg_dead_list l = {.limit = 10};
    return hx_ask(h, "cli-7", MSG_DEAD_LIST, &l, MSG_DEAD);
}

static void a_failed_message_is_kept_and_answered_after_all(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, true);
    struct msg_ingest in = hx_dm("e1", "ann", "why?");
    const struct msg_ingested *a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "error", "no model");
    hx_receipt(h, CHAN, deliver(h, "no model", 0)->delivery_id, 0, 1, "delivered"); /* the sender was told */
    hx_reopen(h);
    hx_agent(h, "agent-1", 8);
    hx_channel(h, CHAN, 4, true);
    const struct msg_dead *d = dead(h);
    assert_int_equal(d->rows_n, 1);
    assert_sv(d->rows[0].text, "why?");
    assert_sv(d->rows[0].error, "no model");
    assert_sv(d->rows[0].chat_id, "ann");
    assert_int_equal(d->rows[0].seq, a->seq);
    struct msg_dead_decide m = {.action = SV("resubmit"), .seq = a->seq};
    assert_int_equal(((const struct msg_decided *)hx_ask(h, "cli-7", MSG_DEAD_DECIDE, &m, MSG_DECIDED))->count, 1);
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_false(sv_eq(g->run_id, a->run_id));
    assert_sv(g->rows[g->rows_n - 1].text, "why?");
    assert_int_equal(dead(h)->rows_n, 0);
    hx_finish(h, "agent-1", g, "ok", "because");
    (void)deliver(h, "because", 0);
    const struct msg_ingested *again = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED); /* still a repeat */
    assert_true(again->dup);
    assert_true(sv_eq(again->run_id, g->run_id));
    (void)hx_refused(h, "cli-7", MSG_DEAD_DECIDE, &m, ERR_GONE);
}

static void dead_letters_are_dropped_and_swept(void **state)
{
    struct hx *h = *state;
    for (int i = 0; i < 3; i++) {
        char run[16];
        (void)snprintf(run, sizeof(run), "r%d", i);
        (void)hx_send(h, "main", run, run);
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), i == 2 ? "aborted" : "error", "bad");
    }
    assert_int_equal(dead(h)->rows_n, 2); /* whoever stops a run wants no answer */
    struct msg_dead_decide m = {.action = SV("drop"), .seq = dead(h)->rows[0].seq};
    (void)hx_ask(h, "cli-7", MSG_DEAD_DECIDE, &m, MSG_DECIDED);
    assert_int_equal(dead(h)->rows_n, 1);
    hx_sleep(h, 31LL * 24 * 3600 * 1000); /* older than any tombstone */
    hx_idle(h);
    assert_int_equal(dead(h)->rows_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_unknown_part_steps_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_again_stays_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(resend_is_a_choice_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_on_its_way_is_not_decided, setup, teardown),
        cmocka_unit_test_setup_teardown(given_up_is_told_and_resubmitted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_message_is_kept_and_answered_after_all, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_letters_are_dropped_and_swept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
