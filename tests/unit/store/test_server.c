/*
 * test_server.c: the store on its socket: registered peers, answers and pushes through real planes, a restart.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses a fixed path.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "tests/unit/runtime/rig.h"
#include "workers/runtime/plane_store.h"
#include "workers/store/server.h"

#define WAIT_MS 5000

struct fx {
    struct rig rig;
    struct server *server;
    struct store_conf conf;
    char dir[80];
    struct plane_store *edge, *agent;
    struct arena a;
    struct msg_ingested ingested;
    unsigned answers, grants, ended;
    int err;
};

static void serve(struct fx *f)
{
    char text[256];
    if (server_new(f->rig.loop, f->rig.endpoint, &f->conf, NULL, NULL, &f->server, text, sizeof(text)) != 0) {
        fail_msg("%s", text);
    }
}

static int setup(void **state)
{
    static struct fx f;
    struct conf none = {0};
    f = (struct fx){.a = ARENA_INIT};
    crypto_init();
    rig_new(&f.rig);
    (void)snprintf(f.dir, sizeof(f.dir), "/tmp/tenaza-server-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    f.conf = store_conf_read(&none, f.dir);
    f.conf.map_bytes = 64u << 20;
    serve(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fx *f = *state;
    char path[128];
    static const char *const files[] = {"data.mdb", "lock.mdb", "store.lock"};
    plane_store_free(f->edge);
    plane_store_free(f->agent);
    server_free(f->server);
    rig_free(&f->rig);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->dir);
    arena_free(&f->a);
    return 0;
}

static void on_ingested(void *ctx, int err, uint16_t type, const void *body)
{
    struct fx *f = ctx;
    f->answers++;
    f->err = err;
    if (err == OK) {
        assert_int_equal(type, MSG_INGESTED);
        f->ingested = *(const struct msg_ingested *)body;
        f->ingested.state = arena_sv(&f->a, f->ingested.state);
    }
}

static void on_done(void *ctx, int err, uint16_t type, const void *body)
{
    UNUSED(type);
    UNUSED(body);
    assert_int_equal(err, OK);
    ((struct fx *)ctx)->answers++;
}

static void on_up(void *ctx)
{
    struct fx *f = ctx;
    struct msg_want w = {.slots = 8};
    store_call(f->agent, MSG_WANT, &w, WAIT_MS, on_done, f);
}

static void on_edge_up(void *ctx)
{
    struct fx *f = ctx;
    struct msg_watch w = {.rows = false};
    store_call(f->edge, MSG_WATCH, &w, WAIT_MS, on_done, f);
}

static void on_grant(void *ctx, uint16_t type, const void *body)
{
    struct fx *f = ctx;
    const struct msg_grant *g = body;
    UNUSED(type);
    f->grants++;
    assert_int_equal(g->rows_n, 1);
    struct msg_entry row = {.role = SV("assistant"), .text = SV("hi")};
    struct msg_finish m = {.run_id = g->run_id, .fence = g->fence, .status = SV("ok"), .reply = SV("hi"),
                           .rows = &row, .rows_n = 1};
    store_call(f->agent, MSG_FINISH, &m, WAIT_MS, on_done, f);
}

static void on_run(void *ctx, uint16_t type, const void *body)
{
    struct fx *f = ctx;
    UNUSED(type);
    f->ended += sv_eqc(((const struct msg_run *)body)->state, "ok");
}

static bool both_up(void *ctx)
{
    struct fx *f = ctx;
    return f->answers >= 2;
}

static bool all_ended(void *ctx)
{
    return ((struct fx *)ctx)->ended >= 20;
}

static void connect_both(struct fx *f)
{
    f->edge = plane_store_new(f->rig.loop, f->rig.endpoint, "edge", 1);
    f->agent = plane_store_new(f->rig.loop, f->rig.endpoint, "agent-1", 1);
    store_on_up(f->edge, on_edge_up, f);
    store_on_up(f->agent, on_up, f);
    store_on_push(f->agent, MSG_GRANT, on_grant, f);
    store_on_push(f->edge, MSG_RUN, on_run, f);
    server_peer(f->server, true, "edge", 1, getpid());
    server_peer(f->server, true, "agent-1", 1, getpid());
    assert_true(rig_until(&f->rig, WAIT_MS, both_up, f));
}

static void say(struct fx *f, const char *id)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "agent:main:%s", id);
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(id),
                            .run_id = sv_of(id), .session_key = sv_of(key), .text = SV("hello")};
    store_call(f->edge, MSG_INGEST, &in, WAIT_MS, on_ingested, f);
}

static void turns_through_the_socket(void **state)
{
    struct fx *f = *state;
    f->conf.width_main = 8;
    server_free(f->server);
    serve(f);
    connect_both(f);
    for (int i = 0; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "r%d", i);
        say(f, id);
    }
    assert_true(rig_until(&f->rig, WAIT_MS, all_ended, f));
    assert_int_equal(f->grants, 20);
    assert_int_equal(f->err, OK);
    assert_true(store_commits(server_store(f->server)) < 40); /* they shared commits */
}

static bool one_ended(void *ctx)
{
    return ((struct fx *)ctx)->ended >= 1;
}

static void a_restart_is_noticed_and_nothing_is_lost(void **state)
{
    struct fx *f = *state;
    connect_both(f);
    server_free(f->server); /* requests of now are repeated until somebody answers */
    say(f, "r1");
    rig_for(&f->rig, 30);
    serve(f);
    server_peer(f->server, true, "edge", 1, getpid());
    server_peer(f->server, true, "agent-1", 1, getpid());
    assert_true(rig_until(&f->rig, WAIT_MS, one_ended, f));
    assert_int_equal(f->grants, 1);
}

static void strangers_are_not_answered(void **state)
{
    struct fx *f = *state;
    f->edge = plane_store_new(f->rig.loop, f->rig.endpoint, "edge", 1);
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = SV("x"),
                            .session_key = SV("main"), .text = SV("hello")};
    store_call(f->edge, MSG_INGEST, &in, 300, on_ingested, f);
    rig_for(&f->rig, 500);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->err, ERR_TIMEOUT);
    assert_int_equal(server_requests(f->server), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(turns_through_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_is_noticed_and_nothing_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_are_not_answered, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
