/*
 * test_backup.c: copies beside a running store, their verification, damage that is found, and the way back.
 * Runs in: unit tests.     Owns: folders beside the one of the harness.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/file.h"
#include "workers/store/backup.h"
#include "workers/store/look.h"
#include "workers/store/manifest.h"
#include "workers/store/store_int.h"
#include "workers/store/tree.h"

#define KEY "agent:main:main"
#define LIMIT_MS 60000

struct fx {
    struct hx h;
    char at[100], db[100];
};

static int setup(void **state)
{
    static struct fx f;
    hx_init(&f.h);
    hx_open(&f.h);
    (void)snprintf(f.at, sizeof(f.at), "%s.backup", f.h.dir);
    (void)snprintf(f.db, sizeof(f.db), "%s.other", f.h.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fx *f = *state;
    tree_remove(f->at);
    tree_remove(f->db);
    hx_free(&f->h);
    return 0;
}

static void turns(struct fx *f, const char *tag, int n)
{
    char *big = xmalloc(90001);
    memset(big, 'b', 90000);
    big[90000] = '\0';
    hx_agent(&f->h, "agent-1", 8);
    for (int i = 0; i < n; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "%s%d", tag, i);
        (void)hx_send(&f->h, KEY, id, "words");
        hx_finish(&f->h, "agent-1", hx_grant(&f->h, "agent-1"), "ok", i % 10 == 0 ? big : "answer");
        hx_skip(&f->h);
    }
    xfree(big);
}

static void create(struct fx *f)
{
    struct backup_report r;
    char text[700] = "";
    if (backup_create(f->h.dir, f->at, LIMIT_MS, &r, text, sizeof(text)) != 0) {
        fail_msg("%s", text);
    }
    assert_true(r.rows > 0);
}

static void a_copy_beside_a_running_store_is_whole(void **state)
{
    struct fx *f = *state;
    struct backup_report r;
    char text[700] = "";
    turns(f, "t", 40);
    create(f);
    turns(f, "later", 5); /* the store goes on, and the copy does not change */
    assert_int_equal(backup_verify(f->at, &r, text, sizeof(text)), 0);
    assert_int_equal(r.files, 8); /* transcript and reply of four long answers */
    struct look *l;
    assert_int_equal(look_open(f->at, false, &l, text, sizeof(text)), 0);
    struct msg_r_run run;
    assert_true(rec_get(look_tx(l), T_RUNS, SV("t39"), MSG_R_RUN, &run));
    assert_false(rec_get(look_tx(l), T_RUNS, SV("later0"), MSG_R_RUN, &run));
    look_close(l);
}

static void what_is_damaged_is_named(void **state)
{
    struct fx *f = *state;
    struct backup_report r;
    char text[700] = "";
    char path[200];
    struct buf b = BUF_INIT(1u << 20);
    turns(f, "t", 12);
    create(f);
    (void)snprintf(path, sizeof(path), "%s/MANIFEST", f->at);
    assert_int_equal(file_read(path, &b), OK);
    /* cut in the middle */
    assert_int_equal(file_replace(path, sv_sub(buf_view(&b), 0, b.n - 10), 0600), OK);
    assert_int_not_equal(backup_verify(f->at, &r, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "no whole backup"));
    assert_int_equal(file_replace(path, buf_view(&b), 0600), OK);
    /* one bit of the database */
    (void)snprintf(path, sizeof(path), "%s/data.mdb", f->at);
    FILE *d = fopen(path, "r+e");
    assert_int_equal(fseek(d, 20000, SEEK_SET), 0);
    int c = fgetc(d);
    assert_int_equal(fseek(d, 20000, SEEK_SET), 0);
    (void)fputc(c ^ 1, d);
    (void)fclose(d);
    assert_int_not_equal(backup_verify(f->at, &r, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "data.mdb of the backup is not what it was"));
    assert_int_not_equal(backup_restore(f->db, f->at, &r, text, sizeof(text)), 0);
    assert_int_equal(access(f->db, F_OK), -1);
    buf_free(&b);
}

static void half_a_backup_is_never_taken_for_one(void **state)
{
    struct fx *f = *state;
    struct backup_report r;
    char text[700] = "";
    turns(f, "t", 30);
    assert_int_not_equal(backup_create(f->h.dir, f->at, -1, &r, text, sizeof(text)), 0); /* no time at all */
    assert_non_null(strstr(text, "longer than its limit"));
    assert_int_equal(access(f->at, F_OK), -1);
    create(f);
    assert_int_not_equal(backup_create(f->h.dir, f->at, LIMIT_MS, &r, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "exists already"));
}

static void restored_is_what_was_saved(void **state)
{
    struct fx *f = *state;
    struct backup_report r;
    char text[700] = "";
    turns(f, "t", 12);
    create(f);
    turns(f, "later", 3);
    assert_int_equal(backup_restore(f->h.dir, f->at, &r, text, sizeof(text)), EXIT_TEMPFAIL); /* in use */
    assert_non_null(strstr(text, "in use"));
    hx_close(&f->h);
    if (backup_restore(f->h.dir, f->at, &r, text, sizeof(text)) != 0) {
        fail_msg("%s", text);
    }
    struct stat st;
    assert_int_equal(stat(r.kept, &st), 0);
    tree_remove(r.kept);
    f->h.conf.map_start = 1u << 16; /* smaller than the copy, which has no free page either */
    hx_open(&f->h);
    assert_string_equal(store_degraded(f->h.s), "");
    hx_check(&f->h);
    assert_sv(hx_run(&f->h, "t11")->state, "ok");
    struct msg_run_get get = {.run_id = SV("later0")};
    (void)hx_refused(&f->h, "edge", MSG_RUN_GET, &get, ERR_GONE);
    assert_int_equal(hx_history(&f->h, KEY)->total, 24);
    turns(f, "again", 3); /* it works on */
    /* also into a place where there was none */
    assert_int_equal(backup_restore(f->db, f->at, &r, text, sizeof(text)), 0);
    assert_string_equal(r.kept, "");
    struct look *l;
    assert_int_equal(look_open(f->db, false, &l, text, sizeof(text)), 0);
    struct buf out = BUF_INIT(4096);
    look_check(l, true, &out);
    assert_int_equal(out.n, 0);
    buf_free(&out);
    look_close(l);
}

static void a_manifest_leads_nowhere_else(void **state)
{
    static const char *const bad[] = {
        "",
        "tenaza-backup 1\nend\n",
        "tenaza-backup 2\nfile data.mdb 1 0000000000000000000000000000000000000000000000000000000000000000\nend\n",
        "tenaza-backup 1\nfile ../data.mdb 1 0000000000000000000000000000000000000000000000000000000000000000\nend\n",
        "tenaza-backup 1\nfile media/x 1 0000000000000000000000000000000000000000000000000000000000000000\nend\n",
        "tenaza-backup 1\nfile data.mdb x 0000000000000000000000000000000000000000000000000000000000000000\nend\n",
        "tenaza-backup 1\nfile data.mdb 1 00\nend\n",
        "tenaza-backup 1\nfile data.mdb 1 0000000000000000000000000000000000000000000000000000000000000000\n",
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct manifest m;
        assert_int_equal(manifest_parse(&m, sv_of(bad[i])), ERR_PARSE);
        manifest_free(&m);
    }
}

static void the_tables_are_described(void **state)
{
    struct fx *f = *state;
    struct msg_store_stats m = {.tables = true};
    turns(f, "t", 12);
    (void)hx_send(&f->h, "agent:main:x", "open", "words");
    const struct msg_store_info *i = hx_ask(&f->h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO);
    assert_int_equal(i->tables_n, T_COUNT);
    bool seen = false;
    for (size_t t = 0; t < i->tables_n; t++) {
        if (sv_eqc(i->tables[t].name, "tran")) {
            seen = i->tables[t].rows == 25 && i->tables[t].bytes >= 4096;
        }
    }
    assert_true(seen);
    assert_int_equal(i->bodies, 4);
    assert_int_equal(i->oldest_key_ms, f->h.real);
    assert_int_equal(i->map_max, f->h.conf.map_bytes);
    assert_true(i->disk_free > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_beside_a_running_store_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_backup_is_never_taken_for_one, setup, teardown),
        cmocka_unit_test_setup_teardown(restored_is_what_was_saved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manifest_leads_nowhere_else, setup, teardown),
        cmocka_unit_test_setup_teardown(the_tables_are_described, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
