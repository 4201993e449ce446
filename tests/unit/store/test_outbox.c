/*
 * test_outbox.c: deliveries: order, windows, parts, retries, dead workers; pairing codes.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include "common/err.h"

#define CHAN "irc/default"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
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

/* One message of `sender`, answered with `reply`: one delivery. */
static void turn(struct hx *h, const char *event, const char *sender, const char *reply)
{
    h->conf.dm_scope = DM_PEER;
    struct msg_ingest in = hx_dm(event, sender, "q");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", reply);
}

static const struct msg_deliver *deliver(struct hx *h, const char *text)
{
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    assert_non_null(d);
    assert_sv(d->text, text);
    return d;
}

static const struct msg_out_row *outbox_row(struct hx *h, const char *state)
{
    struct msg_outbox_list l = {.state = sv_of(state)};
    const struct msg_outbox *o = hx_ask(h, "cli-7", MSG_OUTBOX_LIST, &l, MSG_OUTBOX);
    static const struct msg_out_row none;
    return o->rows_n > 0 ? &o->rows[0] : &none;
}

static void per_chat_in_order_and_one_at_a_time(void **state)
{
    struct hx *h = *state;
    turn(h, "e1", "ann", "a1");
    turn(h, "e2", "ann", "a2");
    turn(h, "e3", "bob", "b1");
    assert_null(hx_push(h, CHAN, MSG_DELIVER)); /* nobody wants them yet */
    hx_channel(h, CHAN, 4, false);
    const struct msg_deliver *a1 = deliver(h, "a1");
    assert_sv(a1->chat_id, "ann");
    assert_sv(a1->reply_to, "e1");
    assert_sv(a1->op, "send");
    assert_int_equal(a1->attempt, 1);
    const struct msg_deliver *b1 = deliver(h, "b1");
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_check(h);
    hx_receipt(h, CHAN, b1->delivery_id, 0, 1, "delivered");
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_receipt(h, CHAN, a1->delivery_id, 0, 1, "delivered");
    hx_receipt(h, CHAN, deliver(h, "a2")->delivery_id, 0, 1, "delivered");
    struct msg_receipt again = {.delivery_id = a1->delivery_id, .parts = 1, .outcome = SV("delivered")};
    hx_done(h, CHAN, MSG_RECEIPT, &again, true);
    assert_int_equal(outbox_row(h, "")->delivery_id.n, 0);
}

static void the_window_bounds_the_flight(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 1, false);
    turn(h, "e1", "ann", "a");
    turn(h, "e2", "bob", "b");
    const struct msg_deliver *d = deliver(h, "a");
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_receipt(h, CHAN, d->delivery_id, 0, 1, "delivered");
    d = deliver(h, "b");
    hx_channel(h, CHAN, 0, false);
    hx_receipt(h, CHAN, d->delivery_id, 0, 1, "delivered");
    turn(h, "e3", "ann", "c");
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_channel(h, CHAN, 1, false);
    (void)deliver(h, "c");
}

static void parts_that_arrived_are_not_sent_again(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN "#1", 4, true);
    turn(h, "e1", "ann", "long");
    const struct msg_deliver *d = deliver(h, "long");
    struct msg_begin b = {.delivery_id = d->delivery_id, .part = 0, .parts = 3};
    hx_done(h, CHAN "#1", MSG_BEGIN, &b, false);
    hx_done(h, CHAN "#1", MSG_BEGIN, &b, true);
    hx_receipt(h, CHAN "#1", d->delivery_id, 0, 3, "delivered");
    hx_reopen(h);
    store_peer_up(h->s, CHAN, 2);
    hx_idle(h);
    hx_channel(h, CHAN "#2", 4, true);
    const struct msg_deliver *again = deliver(h, "long");
    assert_int_equal(again->part, 1); /* claimed, not begun: nothing left the house */
    assert_int_equal(again->attempt, 1);
    b.part = 0;
    (void)hx_refused(h, CHAN "#2", MSG_BEGIN, &b, ERR_FENCED);
    b.part = 1;
    hx_done(h, CHAN "#2", MSG_BEGIN, &b, false);
    struct msg_receipt r = {.delivery_id = d->delivery_id, .part = 2, .parts = 3, .outcome = SV("delivered")};
    assert_sv(hx_refused(h, CHAN "#2", MSG_RECEIPT, &r, ERR_BAD)->field, "part");
    hx_receipt(h, CHAN "#2", d->delivery_id, 1, 3, "delivered");
    hx_receipt(h, CHAN "#2", d->delivery_id, 2, 3, "delivered");
    assert_int_equal(outbox_row(h, "")->delivery_id.n, 0);
}

static void a_started_part_of_a_dead_keyless_worker_is_unknown(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN "#1", 4, true);
    turn(h, "e1", "ann", "one");
    turn(h, "e2", "ann", "two");
    const struct msg_deliver *d = deliver(h, "one");
    struct msg_begin b = {.delivery_id = d->delivery_id, .parts = 1};
    hx_done(h, CHAN "#1", MSG_BEGIN, &b, false);
    store_peer_gone(h->s, CHAN, 1);
    hx_idle(h);
    hx_channel(h, CHAN "#2", 4, true);
    (void)deliver(h, "two"); /* never "one" again */
    const struct msg_out_row *row = outbox_row(h, "unknown");
    assert_sv(row->text, "one");
    struct msg_receipt r = {.delivery_id = d->delivery_id, .parts = 1, .outcome = SV("delivered")};
    hx_done(h, CHAN "#2", MSG_RECEIPT, &r, true); /* too late to matter */
    assert_sv(outbox_row(h, "unknown")->text, "one");
}

static void a_started_part_of_a_dead_keyed_worker_is_sent_again(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN "#1", 4, false);
    turn(h, "e1", "ann", "one");
    const struct msg_deliver *d = deliver(h, "one");
    struct msg_begin b = {.delivery_id = d->delivery_id, .parts = 1};
    hx_done(h, CHAN "#1", MSG_BEGIN, &b, false);
    hx_channel(h, CHAN "#2", 4, false);
    const struct msg_deliver *again = deliver(h, "one");
    assert_true(sv_eq(again->delivery_id, d->delivery_id));
    assert_int_equal(again->attempt, 2);
    struct msg_receipt r = {.delivery_id = d->delivery_id, .parts = 1, .outcome = SV("delivered")};
    hx_done(h, CHAN "#2", MSG_RECEIPT, &r, false);
}

static void retries_wait_longer_each_time_and_end(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, false);
    turn(h, "e1", "ann", "one");
    turn(h, "e2", "ann", "two");
    static const int64_t waits[] = {400, 800, 1600, 3200, 6400, 12800, 25600};
    for (size_t i = 0; i < 7; i++) {
        const struct msg_deliver *d = deliver(h, "one");
        assert_int_equal(d->attempt, i + 1);
        hx_receipt(h, CHAN, d->delivery_id, 0, 1, "retryable");
        hx_sleep(h, waits[i] - 1);
        hx_idle(h);
        assert_null(hx_push(h, CHAN, MSG_DELIVER));
        hx_sleep(h, waits[i] / 10 + 2);
        hx_idle(h);
    }
    hx_receipt(h, CHAN, deliver(h, "one")->delivery_id, 0, 1, "retryable");
    assert_sv(outbox_row(h, "dead")->text, "one");
    (void)deliver(h, "two");
}

static void the_platform_s_wait_wins(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, false);
    turn(h, "e1", "ann", "one");
    struct msg_receipt r = {.delivery_id = deliver(h, "one")->delivery_id,
                            .parts = 1,
                            .outcome = SV("retryable"),
                            .error = SV("slow down"),
                            .retry_after_ms = 60000};
    hx_done(h, CHAN, MSG_RECEIPT, &r, false);
    hx_sleep(h, 59000);
    hx_idle(h);
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    assert_sv(outbox_row(h, "queued")->error, "slow down");
    hx_reopen(h);
    hx_channel(h, CHAN, 4, false);
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    hx_sleep(h, 1000);
    hx_idle(h);
    (void)deliver(h, "one");
}

static void errors_are_delivered_and_stops_are_not(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, false);
    struct msg_ingest in = hx_dm("e1", "ann", "q");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "error", "The model server is down.");
    hx_receipt(h, CHAN, deliver(h, "The model server is down.")->delivery_id, 0, 1, "delivered");
    in.event_id = SV("e2");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "aborted", "half");
    in.event_id = SV("e3");
    (void)hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", ""); /* silent on purpose */
    assert_null(hx_push(h, CHAN, MSG_DELIVER));
    struct msg_receipt bad = {.delivery_id = SV("x"), .parts = 1, .outcome = SV("maybe")};
    assert_sv(hx_refused(h, CHAN, MSG_RECEIPT, &bad, ERR_BAD)->field, "outcome");
    bad.outcome = SV("delivered");
    (void)hx_refused(h, CHAN, MSG_RECEIPT, &bad, ERR_GONE);
}

static void cron_answers_go_where_they_were_asked_to(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, false);
    struct msg_ingest in = {.channel = SV("cron"), .account = SV("cron"), .event_id = SV("j:1"),
                            .session_key = SV("agent:main:cron:j"), .text = SV("tick"), .lane = SV("cron"),
                            .deliver = true, .deliver_channel = SV("irc"), .deliver_to = SV("#room")};
    (void)hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "tock");
    assert_sv(deliver(h, "tock")->chat_id, "#room");
}

/* ---- pairing ---- */

static struct msg_ingest stranger(const char *event, const char *sender)
{
    struct msg_ingest in = hx_dm(event, sender, "let me in");
    in.access = SV("pair");
    return in;
}

static const struct msg_pairs *pairs(struct hx *h, const char *state)
{
    struct msg_pair_list l = {.state = sv_of(state)};
    return hx_ask(h, "cli-7", MSG_PAIR_LIST, &l, MSG_PAIRS);
}

static void a_stranger_gets_one_code_and_is_let_in_by_it(void **state)
{
    struct hx *h = *state;
    hx_channel(h, CHAN, 4, false);
    struct msg_ingest in = stranger("e1", "zoe");
    const struct msg_ingested *a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "pairing");
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    const struct msg_deliver *d = hx_push(h, CHAN, MSG_DELIVER);
    assert_true(sv_find(d->text, SV("zoe")) > 0);
    const struct msg_pairs *p = pairs(h, "");
    assert_int_equal(p->rows_n, 1);
    assert_int_equal(p->rows[0].code.n, 8);
    assert_true(sv_find(d->text, p->rows[0].code) > 0);
    assert_true(sv_find(d->text, SV("tenaza pairing approve ")) > 0);
    hx_receipt(h, CHAN, d->delivery_id, 0, 1, "delivered");
    a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    assert_true(a->dup);
    assert_sv(a->state, "pairing");
    in.event_id = SV("e2");
    a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "ignored");
    assert_null(hx_push(h, CHAN, MSG_DELIVER));

    struct msg_pair_approve ap = {.code = SV("WRONGONE")};
    (void)hx_refused(h, "cli-7", MSG_PAIR_APPROVE, &ap, ERR_GONE);
    char lower[9] = "";
    for (size_t i = 0; i < 8; i++) {
        char c = p->rows[0].code.p[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    ap.code = sv_of(lower);
    const struct msg_pair *done = hx_ask(h, "cli-7", MSG_PAIR_APPROVE, &ap, MSG_PAIR);
    assert_sv(done->sender_id, "zoe");
    assert_sv(done->state, "approved");
    assert_int_equal(pairs(h, "pending")->rows_n, 0);
    assert_int_equal(pairs(h, "approved")->rows_n, 1);
    in.event_id = SV("e3");
    a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "started");
}

static void three_open_requests_per_account_and_an_hour_each(void **state)
{
    struct hx *h = *state;
    static const char *const who[] = {"s1", "s2", "s3", "s4"};
    for (size_t i = 0; i < 4; i++) {
        struct msg_ingest in = stranger(who[i], who[i]);
        const struct msg_ingested *a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
        assert_sv(a->state, i < 3 ? "pairing" : "ignored");
    }
    sv code = pairs(h, "")->rows[0].code;
    hx_sleep(h, 3600 * 1000 + 1);
    hx_idle(h);
    assert_int_equal(pairs(h, "")->rows_n, 0);
    struct msg_pair_approve ap = {.code = code};
    (void)hx_refused(h, "cli-7", MSG_PAIR_APPROVE, &ap, ERR_GONE);
    struct msg_ingest in = stranger("e9", "s4");
    const struct msg_ingested *a = hx_ask(h, CHAN, MSG_INGEST, &in, MSG_INGESTED);
    assert_sv(a->state, "pairing");
}

static void wrong_codes_are_throttled(void **state)
{
    struct hx *h = *state;
    struct msg_pair_approve ap = {.code = SV("ABCDEFGH")};
    for (int i = 0; i < 5; i++) {
        (void)hx_refused(h, "cli-7", MSG_PAIR_APPROVE, &ap, ERR_GONE);
    }
    (void)hx_refused(h, "cli-7", MSG_PAIR_APPROVE, &ap, ERR_BUSY);
    hx_sleep(h, 60000);
    (void)hx_refused(h, "cli-7", MSG_PAIR_APPROVE, &ap, ERR_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(per_chat_in_order_and_one_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_window_bounds_the_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_that_arrived_are_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_started_part_of_a_dead_keyless_worker_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_started_part_of_a_dead_keyed_worker_is_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(retries_wait_longer_each_time_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(the_platform_s_wait_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_delivered_and_stops_are_not, setup, teardown),
        cmocka_unit_test_setup_teardown(cron_answers_go_where_they_were_asked_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stranger_gets_one_code_and_is_let_in_by_it, setup, teardown),
        cmocka_unit_test_setup_teardown(three_open_requests_per_account_and_an_hour_each, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_codes_are_throttled, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
