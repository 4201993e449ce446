/*
 * test_care.c: expiry in slices, growth and its end, databases of other versions, a disk that cannot be written.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/wire.h"
#include "workers/store/body.h"
#include "workers/store/disk.h"
#include "workers/store/migrate.h"
#include "workers/store/store_int.h"

#define KEY "agent:main:main"
#define DAY_MS (24LL * 3600 * 1000)

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

static void turns(struct hx *h, const char *tag, int n)
{
    for (int i = 0; i < n; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "%s%d", tag, i);
        (void)hx_send(h, KEY, id, "words");
        hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "answer");
        hx_skip(h);
    }
}

static void expiry_goes_on_behind_an_open_message_and_in_slices(void **state)
{
    struct hx *h = *state;
    (void)hx_send(h, "agent:main:stuck", "stuck", "nobody has answered this yet");
    hx_agent(h, "agent-1", 8);
    (void)hx_grant(h, "agent-1");
    turns(h, "t", 450);
    hx_sleep(h, 31 * DAY_MS);
    int slices = 0;
    while (h->s->state.journal_rows > 1 && slices < 50) {
        uint64_t before = h->s->state.journal_rows;
        hx_sleep(h, 150);
        hx_idle(h);
        assert_true(before - h->s->state.journal_rows <= 200);
        slices++;
    }
    assert_int_equal(h->s->state.journal_rows, 1);
    assert_true(slices >= 3);
    struct msg_run_get get = {.run_id = SV("t0")};
    (void)hx_refused(h, "edge", MSG_RUN_GET, &get, ERR_GONE);
    (void)hx_run(h, "stuck");
    hx_check(h);
}

static void finished_jobs_expire(void **state)
{
    struct hx *h = *state;
    struct msg_cron_job job = {.kind = SV("at"), .due_ms = h->real + 5000, .text = SV("wake up")};
    const struct msg_cron_job *j = hx_ask(h, "cli-1", MSG_CRON_JOB, &job, MSG_CRON_JOB);
    struct msg_cron_job later = {.kind = SV("at"), .due_ms = h->real + 90 * DAY_MS, .text = SV("much later")};
    const struct msg_cron_job *l = hx_ask(h, "cli-1", MSG_CRON_JOB, &later, MSG_CRON_JOB);
    struct msg_cron_done d = {.job_id = j->job_id, .due_ms = j->due_ms, .run_id = SV("r")};
    hx_sleep(h, 6000);
    hx_done(h, "cron", MSG_CRON_DONE, &d, false);
    hx_sleep(h, 31 * DAY_MS);
    hx_idle(h);
    hx_idle(h);
    struct msg_cron_del del = {.job_id = j->job_id};
    (void)hx_refused(h, "cli-1", MSG_CRON_DEL, &del, ERR_GONE);
    del.job_id = l->job_id;
    hx_done(h, "cli-1", MSG_CRON_DEL, &del, false);
}

static void at_its_greatest_size_the_store_says_so_and_reads_on(void **state)
{
    struct hx *h = *state;
    hx_close(h);
    h->conf.map_start = 1u << 20;
    h->conf.map_bytes = 4u << 20;
    hx_open(h);
    char *big = xmalloc(60001); /* below BODY_MAX: it stays in the database */
    memset(big, 'x', 60000);
    big[60000] = '\0';
    uint16_t got = MSG_INGESTED;
    const struct msg_status *st = NULL;
    for (int i = 0; i < 200 && got == MSG_INGESTED; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%d", i);
        struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(id),
                                .session_key = sv_of(KEY), .text = sv_of(big), .queue_mode = SV("followup")};
        in.session_key = arena_printf(&h->a, "agent:main:%d", i);
        st = hx_call(h, "edge", MSG_INGEST, &in, &got);
    }
    xfree(big);
    assert_int_equal(got, MSG_STATUS);
    assert_int_equal(st->code, ERR_BUSY);
    assert_true(sv_find(st->text, SV("store.mapSize (4 MiB)")) > 0);
    assert_int_equal(h->s->db.map_bytes, 4u << 20);
    assert_int_equal(store_exit_code(h->s), 0);
    struct msg_sessions_list l = {.limit = 1000};
    const struct msg_sessions *s = hx_ask(h, "edge", MSG_SESSIONS_LIST, &l, MSG_SESSIONS);
    assert_true(s->total > 20);
    hx_close(h);
    h->conf.map_bytes = 64u << 20;
    hx_open(h);
    (void)hx_send(h, KEY, "more", "there is room again");
}

/* As version 1 left it: long values inside their rows, no table body in use. */
static void make_version_1(struct hx *h, sv question)
{
    struct db db;
    struct db_conf conf = {.dir = h->dir, .map_bytes = 64u << 20};
    struct store *s = xcalloc(1, sizeof(*s));
    struct tx tx = {.s = s, .a = &h->a, .now = h->real};
    char text[512] = "";
    sv val;
    assert_int_equal(db_open(&db, &conf, text, sizeof(text)), 0);
    s->db = db;
    s->scratch = BUF_INIT(4u << 20);
    assert_int_equal(db_begin(&s->db, &tx.txn, NULL), 0);
    assert_true(rec_get(&tx, T_META, SV("state"), MSG_R_STATE, &s->state));
    struct scan sc;
    sv k;
    scan_open(&sc, &tx, T_JOURNAL, SV(""), 0, false);
    assert_true(scan_next(&sc, &k, &val));
    assert_true(body_is_ref(val));
    k = arena_sv(&h->a, k);
    val = body_get(&tx, arena_sv(&h->a, val));
    scan_close(&sc);
    assert_true(sv_find(val, sv_sub(question, 0, 1000)) > 0);
    MDB_val mk = {k.n, (void *)(uintptr_t)k.p};
    MDB_val mv = {val.n, (void *)(uintptr_t)val.p};
    assert_int_equal(mdb_put(tx.txn, s->db.dbi[T_JOURNAL], &mk, &mv, 0), 0);
    assert_int_equal(mdb_drop(tx.txn, s->db.dbi[T_BODY], 0), 0);
    s->state.bodies = 0;
    s->state.schema = 1;
    rec_put(&tx, T_META, SV("state"), MSG_R_STATE, &s->state);
    assert_int_equal(tx.db_err, 0);
    assert_int_equal(db_commit(&s->db, tx.txn), 0);
    db_close(&s->db);
    buf_free(&s->scratch);
    xfree(s);
}

static void an_older_database_becomes_current(void **state)
{
    struct hx *h = *state;
    char path[128];
    struct stat st;
    char *q = xmalloc(200001);
    memset(q, 'q', 200000);
    q[200000] = '\0';
    (void)hx_send(h, KEY, "r1", q);
    hx_close(h);
    make_version_1(h, sv_of(q));
    hx_open(h);
    assert_int_equal(h->s->state.schema, migrate_version());
    assert_int_equal(h->s->state.bodies, 1);
    hx_check(h);
    (void)snprintf(path, sizeof(path), "%s/before-schema-%u.mdb", h->dir, migrate_version());
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 200000);
    hx_agent(h, "agent-1", 1);
    assert_int_equal(hx_grant(h, "agent-1")->rows[0].text.n, 200000);
    hx_reopen(h); /* nothing to do the second time */
    xfree(q);
}

static void a_disk_that_takes_no_writes_is_no_reason_not_to_start(void **state)
{
    struct hx *h = *state;
    struct rlimit old;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    (void)hx_send(h, KEY, "r1", "before");
    hx_close(h);
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &before), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit none = {.rlim_cur = 8192, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    hx_open(h);
    assert_string_not_equal(store_degraded(h->s), "");
    struct msg_ingest in = hx_dm("e1", "ann", "x");
    (void)hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BUSY);
    assert_sv(hx_run(h, "r1")->state, "queued"); /* reads go on */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    hx_sleep(h, 2000);
    hx_idle(h);
    assert_string_equal(store_degraded(h->s), "");
    hx_done(h, "irc/default", MSG_HELLO, &(struct msg_hello){.name = SV("irc/default"), .inc = 1}, false);
    assert_false(((const struct msg_ingested *)hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED))->dup);
    assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
}

static void network_file_systems_are_refused_by_name(void **state)
{
    static const struct {
        uint64_t magic;
        const char *name;
    } rows[] = {{0x6969, "NFS"}, {0xff534d42, "CIFS"}, {0x01021997, "9p"}, {0x65735546, "FUSE"}};
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(disk_network_fs(rows[i].magic), rows[i].name);
    }
    assert_null(disk_network_fs(0xef53));     /* ext4 */
    assert_null(disk_network_fs(0x01021994)); /* tmpfs */
    assert_null(disk_network_fs(0x58465342)); /* XFS */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(expiry_goes_on_behind_an_open_message_and_in_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(finished_jobs_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(at_its_greatest_size_the_store_says_so_and_reads_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_database_becomes_current, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_takes_no_writes_is_no_reason_not_to_start, setup, teardown),
        cmocka_unit_test(network_file_systems_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
