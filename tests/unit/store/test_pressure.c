/*
 * test_pressure.c: when new messages are refused, for how long, and whose come first.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>

#include "common/err.h"
#include "workers/store/model.h"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    h.conf.max_queued = 8;
    hx_open(&h);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static struct msg_ingest message(const char *id, const char *lane)
{
    return (struct msg_ingest){.channel = SV("cron"),
                               .account = SV("default"),
                               .event_id = sv_of(id),
                               .session_key = sv_of(id),
                               .lane = sv_of(lane),
                               .text = SV("some words")};
}

static void people_go_before_the_clock(void **state)
{
    struct hx *h = *state;
    char id[32];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(id, sizeof(id), "c%d", i);
        struct msg_ingest in = message(id, "cron");
        (void)hx_ask(h, "cron", MSG_INGEST, &in, MSG_INGESTED);
    }
    struct msg_ingest late = message("c4", "cron");
    assert_int_equal(hx_refused(h, "cron", MSG_INGEST, &late, ERR_BUSY)->retry_ms, 1000);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(id, sizeof(id), "p%d", i);
        struct msg_ingest in = message(id, "main");
        (void)hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
    }
    struct msg_ingest more = message("p4", "main");
    (void)hx_refused(h, "edge", MSG_INGEST, &more, ERR_BUSY);
    struct msg_ingest again = message("p0", "main"); /* what was accepted is still known */
    assert_true(((const struct msg_ingested *)hx_ask(h, "edge", MSG_INGEST, &again, MSG_INGESTED))->dup);
    hx_check(h);
    hx_agent(h, "agent-1", 8); /* and there is room again when it is worked off */
    const struct msg_grant *g = hx_grant(h, "agent-1");
    assert_sv(g->lane, "main");
    hx_finish(h, "agent-1", g, "ok", "a");
    (void)hx_ask(h, "edge", MSG_INGEST, &more, MSG_INGESTED);
}

static void bytes_that_wait_are_counted(void **state)
{
    struct hx *h = *state;
    struct msg_store_stats m = {.check = true};
    (void)hx_send(h, "main", "r1", "ten bytes.");
    assert_int_equal(((const struct msg_store_info *)hx_ask(h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO))->waiting_bytes, 10);
    hx_agent(h, "agent-1", 8);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "a");
    assert_int_equal(((const struct msg_store_info *)hx_ask(h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO))->waiting_bytes, 0);
}

static void a_slow_disk_takes_no_new_messages_for_a_while(void **state)
{
    struct hx *h = *state;
    struct msg_ingest in = message("e1", "main");
    pressure_commit(h->s, 1200000);
    (void)hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED); /* once is nothing */
    hx_sleep(h, 3000);
    pressure_commit(h->s, 1200000);
    in.event_id = SV("e2");
    const struct msg_status *st = hx_refused(h, "edge", MSG_INGEST, &in, ERR_BUSY);
    assert_int_equal(st->retry_ms, 5000);
    assert_true(sv_find(st->text, SV("longer than a second")) >= 0);
    hx_sleep(h, 10001);
    (void)hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(people_go_before_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_wait_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_disk_takes_no_new_messages_for_a_while, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
