/*
 * test_body.c: long values: in files, named by content, gone with their last row, and what happens when one is damaged.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/file.h"
#include "workers/store/body.h"
#include "workers/store/store_int.h"

#define KEY "agent:main:main"
#define LONG 200000

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

static char *text_of(char c)
{
    char *p = xmalloc(LONG + 1);
    memset(p, c, LONG);
    p[LONG] = '\0';
    return p;
}

/* Files in media/; the last name that does not begin with a dot goes into name. */
static size_t files(const struct hx *h, char name[256])
{
    char dir[128];
    size_t n = 0;
    (void)snprintf(dir, sizeof(dir), "%s/media", h->dir);
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            n++;
            if (name != NULL) {
                (void)snprintf(name, 256, "%s", e->d_name);
            }
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return n;
}

static void a_long_turn(struct hx *h, const char *run, char question, char answer)
{
    char *q = text_of(question);
    char *a = text_of(answer);
    (void)hx_send(h, KEY, run, q);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", a);
    xfree(q);
    xfree(a);
}

static void long_texts_come_back_whole(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    a_long_turn(h, "r1", 'q', 'a');
    assert_int_equal(files(h, NULL), 3); /* question and answer in the transcript, and the reply of the run */
    hx_reopen(h);
    const struct msg_history_page *p = hx_history(h, KEY);
    assert_int_equal(p->rows_n, 2);
    assert_int_equal(p->rows[0].text.n, LONG);
    assert_int_equal(p->rows[1].text.p[LONG - 1], 'a');
    assert_int_equal(hx_run(h, "r1")->reply.n, LONG);
    hx_check(h);
}

static void the_name_of_a_file_is_its_digest(void **state)
{
    struct hx *h = *state;
    char name[256];
    char path[400];
    char hex[BODY_NAME];
    uint8_t digest[32];
    char *q = text_of('q');
    (void)hx_send(h, KEY, "r1", q);
    xfree(q);
    assert_int_equal(files(h, name), 1);
    (void)snprintf(path, sizeof(path), "%s/media/%s", h->dir, name);
    struct buf b = BUF_INIT(1u << 20);
    assert_int_equal(file_read(path, &b), OK);
    crypto_sha256(digest, buf_view(&b));
    body_name(sv_mem(digest, sizeof(digest)), hex);
    assert_string_equal(hex, name);
    buf_free(&b);
}

static void files_leave_with_their_last_row(void **state)
{
    struct hx *h = *state;
    hx_agent(h, "agent-1", 1);
    a_long_turn(h, "r1", 'q', 'a');
    hx_sleep(h, 31LL * 24 * 3600 * 1000);
    hx_idle(h);
    assert_int_equal(files(h, NULL), 2); /* the run has expired; the transcript stays */
    hx_check(h);
}

static void one_file_for_equal_values(void **state)
{
    struct hx *h = *state;
    struct tx tx = {.s = h->s, .a = &h->a, .now = h->real};
    struct msg_r_body row;
    char *v = text_of('v');
    assert_int_equal(db_begin(&h->s->db, &tx.txn, NULL), 0);
    tx_put(&tx, T_TRAN, SV("one"), sv_of(v));
    tx_put(&tx, T_TRAN, SV("two"), sv_of(v));
    tx_put(&tx, T_TRAN, SV("two"), sv_of(v));
    sv ref;
    assert_true(tx_get(&tx, T_TRAN, SV("one"), &ref));
    assert_true(body_is_ref(ref));
    ref = arena_sv(&h->a, ref);
    assert_int_equal(body_len(ref), LONG);
    assert_true(rec_get(&tx, T_BODY, body_hash(ref), MSG_R_BODY, &row));
    assert_int_equal(row.refs, 2);
    assert_true(tx_del(&tx, T_TRAN, SV("one")));
    assert_true(tx_del(&tx, T_TRAN, SV("two")));
    assert_int_equal(files(h, NULL), 1); /* not before the commit */
    rec_put(&tx, T_META, SV("state"), MSG_R_STATE, &h->s->state);
    assert_int_equal(db_commit(&h->s->db, tx.txn), 0);
    body_collect(h->s);
    assert_int_equal(files(h, NULL), 0);
    xfree(v);
}

static void what_a_failed_turn_wrote_is_swept(void **state)
{
    struct hx *h = *state;
    char *q = text_of('q');
    char tmp[128];
    struct msg_ingest in = hx_dm("e1", "ann", q);
    store_test_fail_commit(h->s, ENOSPC);
    (void)hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BUSY);
    xfree(q);
    assert_int_equal(files(h, NULL), 1);
    (void)snprintf(tmp, sizeof(tmp), "%s/media/half.abc.tmp", h->dir);
    assert_int_equal(file_replace(tmp, SV("half"), 0600), OK);
    hx_sleep(h, 61000);
    hx_idle(h); /* writes again */
    hx_sleep(h, 61000);
    hx_idle(h);
    assert_int_equal(files(h, NULL), 0);
}

static void a_backup_keeps_files_alive(void **state)
{
    struct hx *h = *state;
    char dir[128];
    hx_agent(h, "agent-1", 1);
    a_long_turn(h, "r1", 'q', 'a');
    (void)snprintf(dir, sizeof(dir), "%s/media", h->dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    hx_sleep(h, 31LL * 24 * 3600 * 1000);
    hx_idle(h);
    assert_int_equal(files(h, NULL), 3);
    (void)close(fd);
    hx_sleep(h, 61000);
    hx_idle(h);
    assert_int_equal(files(h, NULL), 2);
}

static void a_damaged_file_is_found_and_never_shown(void **state)
{
    struct hx *h = *state;
    char name[256];
    char path[400];
    char *q = text_of('q');
    hx_agent(h, "agent-1", 1);
    (void)hx_send(h, KEY, "r1", q);
    hx_finish(h, "agent-1", hx_grant(h, "agent-1"), "ok", "short");
    xfree(q);
    assert_int_equal(files(h, name), 1);
    (void)snprintf(path, sizeof(path), "%s/media/%s", h->dir, name);
    struct buf b = BUF_INIT(1u << 20);
    assert_int_equal(file_read(path, &b), OK);
    assert_int_equal(truncate(path, 10), 0);
    struct msg_store_stats m = {.check = true};
    const struct msg_store_info *info = hx_ask(h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO);
    assert_true(sv_find(info->findings, SV("has 10 bytes instead of")) > 0);
    struct msg_history get = {.session_key = SV(KEY)};
    (void)hx_refused(h, "edge", MSG_HISTORY, &get, ERR_INTERNAL);
    assert_int_equal(file_replace(path, buf_view(&b), 0600), OK); /* for the check at the end */
    buf_free(&b);
}

static void without_its_file_nothing_is_acknowledged(void **state)
{
    struct hx *h = *state;
    char path[128];
    char *q = text_of('q');
    struct msg_ingest in = hx_dm("e1", "ann", q);
    (void)snprintf(path, sizeof(path), "%s/media", h->dir);
    assert_int_equal(file_replace(path, SV("in the way"), 0600), OK);
    (void)hx_refused(h, "irc/default", MSG_INGEST, &in, ERR_BUSY);
    assert_string_not_equal(store_degraded(h->s), "");
    assert_int_equal(unlink(path), 0);
    const struct msg_ingested *a = hx_ask(h, "irc/default", MSG_INGEST, &in, MSG_INGESTED);
    assert_false(a->dup);
    xfree(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(long_texts_come_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(the_name_of_a_file_is_its_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(files_leave_with_their_last_row, setup, teardown),
        cmocka_unit_test_setup_teardown(one_file_for_equal_values, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_failed_turn_wrote_is_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_backup_keeps_files_alive, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_found_and_never_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(without_its_file_nothing_is_acknowledged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
