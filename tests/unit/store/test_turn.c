/*
 * test_turn.c: the turn itself: batches, failing commits, growing, refusals, paging, clock rows, sweeping.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>

#include "common/err.h"
#include "common/buf.h"
#include "proto/wire.h"
#include "workers/store/db.h"
#include "workers/store/disk.h"

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

static size_t replies(const struct hx *h, size_t from, uint16_t type)
{
    size_t n = 0;
    for (size_t i = from; i < h->got_n; i++) {
        n += h->got[i].rid != 0 && h->got[i].type == type;
    }
    return n;
}

/* n requests in one turn: odd ones are malformed. */
static void one_bad_request_does_not_spoil_the_batch(void **state)
{
    struct hx *h = *state;
    struct store_req reqs[64];
    for (size_t i = 0; i < ARRAY_LEN(reqs); i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "run-%zu", i);
        struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(id),
                                .run_id = sv_of(id), .session_key = SV(KEY), .text = SV("x"),
                                .lane = i % 2 ? SV("odd") : SV_NULL};
        in.session_key = arena_printf(&h->a, "agent:main:%zu", i);
        struct buf b = BUF_INIT(4096);
        assert_int_equal(wire_encode(MSG_INGEST, &in, &b, NULL), OK);
        reqs[i] = (struct store_req){.name = "edge",
                                     .inc = 1,
                                     .type = MSG_INGEST,
                                     .rid = 1000 + i,
                                     .body = arena_sv(&h->a, buf_view(&b))};
        buf_free(&b);
    }
    reqs[7].body = SV("\xff\xff");
    uint64_t before = store_commits(h->s);
    store_turn(h->s, reqs, ARRAY_LEN(reqs));
    assert_int_equal(store_commits(h->s) - before, 1);
    assert_int_equal(replies(h, 0, MSG_INGESTED), 32);
    assert_int_equal(replies(h, 0, MSG_STATUS), 32);
    assert_sv(hx_run(h, "run-62")->state, "queued");
    struct msg_run_get get = {.run_id = SV("run-61")};
    (void)hx_refused(h, "edge", MSG_RUN_GET, &get, ERR_GONE);
}

static void nothing_is_acknowledged_without_a_commit(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    hx_watch(h, "edge", true);
    store_test_fail_commit(h->s, ENOSPC);
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    const struct msg_status *st = hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BUSY);
    assert_true(st->retry_ms > 0);
    assert_true(sv_find(st->text, SV("No space left")) > 0);
    assert_null(hx_push(h, "agent-1", MSG_GRANT));
    assert_null(hx_push(h, "edge", MSG_RUN));
    assert_string_not_equal(store_degraded(h->s), "");
    /* it recovers by itself, and the repeat is not a duplicate */
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_false(a->dup);
    assert_sv(a->state, "started");
    assert_string_equal(store_degraded(h->s), "");
    assert_int_equal(hx_grant(h, "agent-1")->fence, 1);
}

static void news_survive_a_failed_commit(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    hx_agent(h, "agent-2", 1);
    hx_skip(h);
    store_peer_gone(h->s, "agent-1", 1);
    store_test_fail_commit(h->s, ENOSPC);
    hx_idle(h);
    assert_true(store_has_news(h->s));
    hx_idle(h);
    assert_false(store_has_news(h->s));
    assert_int_equal(hx_grant(h, "agent-2")->attempt, 2);
}

static void a_failing_disk_stops_acknowledgements_and_nothing_else(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r0", "before");
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    for (int i = 0; i < 5; i++) {
        store_test_fail_commit(h->s, EIO);
        const struct msg_status *st = hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BUSY);
        assert_true(sv_find(st->text, SV("nothing new is accepted")) > 0);
        assert_int_equal(hx_history(h, KEY)->total, 1); /* reads go on */
        assert_int_equal(store_exit_code(h->s), 0);
    }
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_false(a->dup);
    assert_string_equal(store_degraded(h->s), "");
}

static void the_map_grows_and_the_batch_is_done_again(void **state)
{
    struct hx *h = *state;
    hx_close(h);
    h->conf.map_start = 1u << 20;
    hx_open(h);
    hx_agent(h, "agent-1", 4);
    char *big = xmalloc(200001);
    memset(big, 'x', 200000);
    big[200000] = '\0';
    for (int i = 0; i < 12; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%d", i);
        assert_sv(hx_send(h, KEY, id, big)->state, "started");
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", big);
    }
    xfree(big);
    const struct msg_history_page *p = hx_history(h, KEY);
    assert_int_equal(p->total, 24);
    assert_true(p->more);
    assert_true(p->rows_n >= 3 && p->rows_n < 5); /* as many as fit */
    assert_int_equal(p->rows[p->rows_n - 1].n, 24);
}

static void a_grant_carries_the_newest_rows_that_fit(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 4);
    char *big = xmalloc(200001);
    memset(big, 'y', 200000);
    big[200000] = '\0';
    for (int i = 0; i < 3; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%d", i);
        (void)hx_send(h, KEY, id, big);
        const struct msg_grant *g = hx_grant(h, "agent-1");
        assert_int_equal(g->trimmed, i > 0);
        assert_int_equal(g->rows_n, i > 0 ? 2 : 1);
        assert_true(sv_eqc(g->rows[g->rows_n - 1].role, "user"));
        hx_finish(h, "agent-1", g, "ok", big);
    }
    xfree(big);
}

static void history_pages_from_the_newest(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 4);
    for (int i = 0; i < 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%d", i);
        (void)hx_send(h, KEY, id, id);
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "answer");
    }
    struct msg_history m = {.session_key = SV("main"), .limit = 3, .offset = 2};
    const struct msg_history_page *p = hx_ask(h, "edge", MSG_HISTORY, &m, MSG_HISTORY_PAGE);
    assert_sv(p->session_key, KEY);
    assert_int_equal(p->rows_n, 3);
    assert_int_equal(p->rows[0].n, 6);
    assert_int_equal(p->rows[2].n, 8);
    assert_true(p->more);
    m.offset = 100;
    p = hx_ask(h, "edge", MSG_HISTORY, &m, MSG_HISTORY_PAGE);
    assert_int_equal(p->rows_n, 0);
    assert_false(p->more);
    p = hx_history(h, "agent:main:nobody");
    assert_int_equal(p->total, 0);
    assert_int_equal(p->session_n, 0);
}

static void sessions_are_listed_newest_first(void **state)
{
    struct hx *h = *state;
    static const char *const keys[] = {"agent:main:alpha", "agent:main:beta", "agent:other:gamma"};
    for (size_t i = 0; i < 3; i++) {
        (void)hx_send(h, keys[i], keys[i], "Hello   there,\n how are you");
        hx_sleep(h, 10);
    }
    struct msg_ingest again = {.channel = SV("webchat"), .account = SV("client"), .event_id = SV("x"),
                               .session_key = SV("agent:main:alpha"), .text = SV("more")};
    (void)hx_ask(h, "edge", MSG_INGEST, &again, MSG_INGESTED);
    struct msg_sessions_list l = {0};
    const struct msg_sessions *s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &l, MSG_SESSIONS);
    assert_int_equal(s->total, 3);
    assert_int_equal(s->rows_n, 3);
    assert_sv(s->rows[0].key, "agent:main:alpha");
    assert_int_equal(s->rows[0].queued, 1);
    assert_sv(s->rows[1].key, "agent:other:gamma");
    l.limit = 1;
    l.offset = 1;
    s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &l, MSG_SESSIONS);
    assert_int_equal(s->rows_n, 1);
    assert_int_equal(s->total, 3);
    assert_sv(s->rows[0].key, "agent:other:gamma");
    struct msg_sessions_list q = {.search = SV("BET")};
    s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &q, MSG_SESSIONS);
    assert_int_equal(s->total, 1);
    assert_sv(s->rows[0].key, "agent:main:beta");
    struct msg_sessions_list o = {.agent_id = SV("main"), .limit = 1};
    s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &o, MSG_SESSIONS);
    assert_int_equal(s->rows_n, 1);
    assert_int_equal(s->total, 2);
    hx_agent(h, "agent-1", 8);
    struct msg_session_get get = {.key = SV("agent:main:beta")};
    const struct msg_session *one = hx_ask(h, "edge", MSG_SESSION_GET, &get, MSG_SESSION);
    assert_sv(one->title, "Hello there, how are you");
    assert_sv(one->status, "running");
    assert_sv(one->active_run, "agent:main:beta");
}

static void clock_rows(void **state)
{
    struct hx *h = *state;
    struct msg_cron_job job = {.kind = SV("at"), .due_ms = h->real + 5000, .text = SV("wake up")};
    struct msg_hello hello = {.name = SV("cron"), .inc = 1};
    hx_done(h, "cron", MSG_HELLO, &hello, false);
    const struct msg_cron_job *j = hx_ask(h, "cli-1", MSG_CRON_JOB, &job, MSG_CRON_JOB);
    assert_int_equal(j->job_id.n, 36);
    const struct msg_cron_jobs *told = hx_push(h, "cron", MSG_CRON_JOBS);
    assert_int_equal(told->next_due_ms, h->real + 5000);
    struct msg_cron_list l = {.due_before_ms = h->real};
    const struct msg_cron_jobs *list = hx_ask(h, "cron", MSG_CRON_LIST, &l, MSG_CRON_JOBS);
    assert_int_equal(list->rows_n, 0);
    l.due_before_ms = h->real + 5000;
    list = hx_ask(h, "cron", MSG_CRON_LIST, &l, MSG_CRON_JOBS);
    assert_int_equal(list->rows_n, 1);
    assert_sv(list->rows[0].text, "wake up");
    struct msg_cron_done d = {.job_id = j->job_id, .due_ms = j->due_ms, .run_id = SV("r")};
    hx_done(h, "cron", MSG_CRON_DONE, &d, false);
    hx_done(h, "cron", MSG_CRON_DONE, &d, true);
    told = hx_push(h, "cron", MSG_CRON_JOBS);
    assert_int_equal(told->next_due_ms, 0);
    struct msg_cron_del del = {.job_id = j->job_id};
    hx_done(h, "cli-1", MSG_CRON_DEL, &del, false);
    (void)hx_refused(h, "cli-1", MSG_CRON_DEL, &del, ERR_GONE);
    job.kind = SV("often");
    assert_sv(hx_refused(h, "cli-1", MSG_CRON_JOB, &job, ERR_BAD)->field, "kind");
}

static void devices_are_kept(void **state)
{
    struct hx *h = *state;
    char id[65];
    memset(id, 'a', 64);
    id[64] = '\0';
    struct msg_device_req r = {.id = sv_of(id), .public_key = SV("0123456789abcdef0123456789abcdef"), .role = SV("operator")};
    struct msg_device_ask m = {.silent = true, .req = &r, .req_n = 1};
    (void)hx_ask(h, "edge", MSG_DEVICE_ASK, &m, MSG_DEVICE);
    hx_reopen(h);
    struct msg_device_get g = {.id = r.id};
    const struct msg_device *got = hx_ask(h, "edge", MSG_DEVICE_GET, &g, MSG_DEVICE);
    assert_true(sv_eq(got->public_key, r.public_key));
    r.public_key = SV("short");
    assert_sv(hx_refused(h, "edge", MSG_DEVICE_ASK, &m, ERR_BAD)->field, "public_key");
    g.id = SV("none");
    (void)hx_refused(h, "edge", MSG_DEVICE_GET, &g, ERR_GONE);
}

static void stats_tell_how_it_goes(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    (void)hx_send(h, "agent:main:b", "r2", "two");
    struct msg_store_stats m = {0};
    const struct msg_store_info *i = hx_ask(h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO);
    assert_int_equal(i->received, 2);
    assert_int_equal(i->running, 1);
    assert_int_equal(i->queued, 1);
    assert_int_equal(i->sessions, 2);
    assert_int_equal(i->commits, 2);
    assert_true(i->db_bytes > 0);
    assert_int_equal(i->map_bytes, 64u << 20);
}

static void old_tombstones_go_and_open_messages_stay(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", "one");
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "x");
    hx_agent(h, "agent-1", 0);
    (void)hx_send(h, KEY, "r2", "two");
    hx_sleep(h, 29 * 24 * 3600 * 1000LL);
    hx_idle(h);
    assert_true(hx_send(h, KEY, "r1", "one")->dup);
    hx_sleep(h, 2 * 24 * 3600 * 1000LL);
    hx_idle(h);
    struct msg_run_get get = {.run_id = SV("r1")};
    (void)hx_refused(h, "edge", MSG_RUN_GET, &get, ERR_GONE);
    assert_sv(hx_run(h, "r2")->state, "queued");
    assert_false(hx_send(h, KEY, "r1", "one")->dup);
    assert_int_equal(hx_history(h, KEY)->total, 2); /* transcripts do not expire */
}

static void the_database_refuses_what_it_must(void **state)
{
    struct hx *h = *state;
    struct db other;
    struct db_conf conf = {.dir = h->dir, .map_bytes = 1u << 20};
    char text[512] = "";
    assert_int_equal(db_open(&other, &conf, text, sizeof(text)), 75);
    assert_non_null(strstr(text, "in use"));
    assert_string_equal(disk_network_fs(0x6969), "NFS");
    assert_null(disk_network_fs(0xef53)); /* ext4 */
    hx_close(h);
    conf.dir = "/proc/nothing";
    assert_int_equal(db_open(&other, &conf, text, sizeof(text)), 73);
    hx_open(h);
}

static void a_newer_database_is_refused(void **state)
{
    struct hx *h = *state;
    struct db db;
    struct db_conf conf = {.dir = h->dir, .map_bytes = 1u << 20};
    char text[512] = "";
    MDB_txn *txn;
    struct msg_r_state st = {.schema = 99};
    struct buf b = BUF_INIT(4096);
    hx_close(h);
    assert_int_equal(wire_encode(MSG_R_STATE, &st, &b, NULL), OK);
    assert_int_equal(db_open(&db, &conf, text, sizeof(text)), 0);
    assert_int_equal(db_begin(&db, &txn, NULL), 0);
    char name[] = "state";
    MDB_val k = {5, name};
    MDB_val v = {b.n, b.p};
    assert_int_equal(mdb_put(txn, db.dbi[T_META], &k, &v, 0), 0);
    assert_int_equal(db_commit(&db, txn), 0);
    db_close(&db);
    buf_free(&b);
    assert_int_equal(store_new(&h->conf, NULL, NULL, &h->s, text, sizeof(text)), 78);
    assert_non_null(strstr(text, "newer version"));
    h->s = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_bad_request_does_not_spoil_the_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_acknowledged_without_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(news_survive_a_failed_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failing_disk_stops_acknowledgements_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(the_map_grows_and_the_batch_is_done_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_carries_the_newest_rows_that_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(history_pages_from_the_newest, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_are_listed_newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(stats_tell_how_it_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(old_tombstones_go_and_open_messages_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(the_database_refuses_what_it_must, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_database_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
