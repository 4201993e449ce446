/*
 * test_plane_store.c: reliable requests against a scripted store.
 * Runs in: tests.     Owns: a loop and a socket in a scratch folder.
 * Never: waits without a limit.
 * Tested in: itself
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "proto/wire.h"
#include "tests/unit/runtime/rig.h"
#include "workers/runtime/plane_store.h"

static struct rig rig;
static struct hub hub;
static struct plane_store *plane;

/* What came back. */
struct got {
    unsigned calls;
    int err;
    uint16_t type;
    bool had_body;
    char text[64];
    int64_t at_ms;
};

static unsigned ups;
static uint64_t last_rid;

static void on_up(void *ctx)
{
    (*(unsigned *)ctx)++;
}

static void on_reply(void *ctx, int err, uint16_t type, const void *body)
{
    struct got *g = ctx;
    g->calls++;
    g->err = err;
    g->type = type;
    g->had_body = body != NULL;
    g->at_ms = clock_mono_ms();
    if (type == MSG_STATUS) {
        (void)sv_copy(g->text, sizeof g->text, ((const struct msg_status *)body)->text);
    }
}

static bool got_it(void *ctx)
{
    return ((struct got *)ctx)->calls > 0;
}

static bool is_up(void *ctx)
{
    return *(unsigned *)ctx > 0;
}

static bool seen_one(void *ctx)
{
    return *(unsigned *)ctx > 0;
}

static int setup(void **state)
{
    (void)state;
    rig_new(&rig);
    hub = (struct hub){0};
    ups = 0;
    last_rid = 0;
    plane = plane_store_new(rig.loop, rig.endpoint, "agent-1", 1);
    store_on_up(plane, on_up, &ups);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    plane_store_free(plane);
    if (hub.sock) {
        hub_stop(&hub);
    }
    rig_free(&rig);
    return 0;
}

static void start(hub_fn *fn)
{
    hub_start(&hub, &rig, fn);
    peers_up(hub.peers, "agent-1", 1, getpid());
}

static void call(struct got *g, int64_t within_ms)
{
    store_call(plane, MSG_RUN_GET, &(struct msg_run_get){.run_id = SV("r1")}, within_ms, on_reply, g);
}

static void answer_done(struct hub *h, sv from, const struct envelope *e, sv body)
{
    struct msg_run_get q = {0};
    struct arena a = ARENA_INIT;
    assert_int_equal(e->type, MSG_RUN_GET);
    assert_int_equal(e->flags, ENV_REQUEST);
    assert_true(sv_eqc(e->src, "agent-1"));
    assert_int_equal(wire_decode(e->type, body, &a, &q, NULL), OK);
    assert_true(sv_eqc(q.run_id, "r1"));
    arena_free(&a);
    hub_reply(h, from, e, MSG_DONE, &(struct msg_done){.dup = true});
    hub_reply(h, from, e, MSG_DONE, &(struct msg_done){.dup = true}); /* the second finds nobody */
}

static void test_answer_once(void **state)
{
    (void)state;
    struct got g = {0};
    start(answer_done);
    call(&g, 5000);
    assert_int_equal(g.calls, 0);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    rig_for(&rig, 50);
    assert_int_equal(g.calls, 1);
    assert_int_equal(g.err, OK);
    assert_int_equal(g.type, MSG_DONE);
    assert_int_equal(ups, 1);
    assert_int_equal(hub.others, 1);
    assert_true(store_is_up(plane));
}

static void test_call_waits_for_a_late_store(void **state)
{
    (void)state;
    struct got g = {0};
    call(&g, 5000);
    rig_for(&rig, 100);
    assert_false(store_is_up(plane));
    int64_t began = clock_mono_ms();
    start(answer_done);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
    assert_true(g.at_ms - began < 2500); /* generous: the machine may be busy */
}

static void test_registered_late(void **state)
{
    (void)state;
    struct got g = {0};
    hub_start(&hub, &rig, answer_done);
    call(&g, 5000);
    rig_for(&rig, 150);
    assert_int_equal(g.calls, 0);
    assert_int_equal(hub.others, 0); /* nothing but HELLO was tried on a store that does not know us */
    peers_up(hub.peers, "agent-1", 1, getpid());
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
}

static void answer_second(struct hub *h, sv from, const struct envelope *e, sv body)
{
    UNUSED(body);
    if (h->others == 1) {
        last_rid = e->rid;
        return; /* lost */
    }
    assert_true(e->rid == last_rid);
    hub_reply(h, from, e, MSG_DONE, &(struct msg_done){0});
}

static void test_sent_again_with_the_same_rid(void **state)
{
    (void)state;
    struct got g = {0};
    int64_t began = clock_mono_ms();
    start(answer_second);
    call(&g, 5000);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
    assert_int_equal(hub.others, 2);
    assert_true(g.at_ms - began >= 850);
    assert_int_equal(ups, 1);
}

static void test_deadline(void **state)
{
    (void)state;
    struct got g = {0}, none = {0};
    int64_t began = clock_mono_ms();
    start(NULL);
    call(&g, 300);
    call(&none, 0);
    assert_int_equal(none.calls, 0); /* never from inside store_call */
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, ERR_TIMEOUT);
    assert_false(g.had_body);
    assert_true(g.at_ms - began >= 295 && g.at_ms - began < 2500);
    assert_int_equal(none.err, ERR_TIMEOUT);
}

static void busy_twice(struct hub *h, sv from, const struct envelope *e, sv body)
{
    UNUSED(body);
    if (h->others <= 2) {
        hub_reply(h, from, e, MSG_STATUS, &(struct msg_status){.code = ERR_BUSY, .retry_ms = 60});
    } else {
        hub_reply(h, from, e, MSG_DONE, &(struct msg_done){0});
    }
}

static void test_busy_is_retried(void **state)
{
    (void)state;
    struct got g = {0};
    start(busy_twice);
    int64_t began = clock_mono_ms();
    call(&g, 5000);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
    assert_int_equal(hub.others, 3);
    assert_true(g.at_ms - began >= 120);
}

static void busy_for_long(struct hub *h, sv from, const struct envelope *e, sv body)
{
    UNUSED(body);
    hub_reply(h, from, e, MSG_STATUS,
              &(struct msg_status){.code = ERR_BUSY, .retry_ms = 60000, .text = SV("later")});
}

static void test_busy_beyond_the_deadline_is_told(void **state)
{
    (void)state;
    struct got g = {0};
    start(busy_for_long);
    call(&g, 5000);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, ERR_BUSY);
    assert_string_equal(g.text, "later");
}

static void refuse(struct hub *h, sv from, const struct envelope *e, sv body)
{
    UNUSED(body);
    hub_reply(h, from, e, MSG_STATUS, &(struct msg_status){.code = ERR_FENCED, .text = SV("moved on")});
}

static void test_refusal(void **state)
{
    (void)state;
    struct got g = {0};
    start(refuse);
    call(&g, 5000);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, ERR_FENCED);
    assert_string_equal(g.text, "moved on");
    assert_int_equal(hub.others, 1);
}

static void test_restarted_store(void **state)
{
    (void)state;
    struct got g = {0};
    start(NULL); /* takes requests, answers none */
    call(&g, 20000);
    assert_true(rig_until(&rig, 5000, seen_one, &hub.others));
    assert_int_equal(ups, 1);
    hub_stop(&hub);
    int64_t began = clock_mono_ms();
    start(answer_done);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
    assert_int_equal(ups, 2);
    assert_true(g.at_ms - began < 2500);
    rig_for(&rig, 100);
    assert_int_equal(g.calls, 1);
}

static void test_restart_is_noticed_when_idle(void **state)
{
    (void)state;
    start(NULL);
    assert_true(rig_until(&rig, 5000, is_up, &ups));
    hub_stop(&hub);
    ups = 0;
    start(NULL);
    assert_true(rig_until(&rig, 5000, is_up, &ups)); /* HELLO alone would take 10 s */
}

static unsigned grants;

static void on_grant(void *ctx, uint16_t type, const void *body)
{
    UNUSED(ctx);
    assert_int_equal(type, MSG_ABORT_RUN);
    assert_true(sv_eqc(((const struct msg_abort_run *)body)->run_id, "r9"));
    grants++;
}

static void test_pushes(void **state)
{
    (void)state;
    grants = 0;
    start(NULL);
    store_on_push(plane, MSG_ABORT_RUN, on_grant, NULL);
    assert_true(rig_until(&rig, 5000, is_up, &ups));
    hub_push(&hub, "agent-1", MSG_RUN_GET, &(struct msg_run_get){.run_id = SV("no handler")});
    hub_push(&hub, "agent-1", MSG_ABORT_RUN, &(struct msg_abort_run){.run_id = SV("r9"), .fence = 1});
    assert_true(rig_until(&rig, 5000, seen_one, &grants));
}

static void test_forget(void **state)
{
    (void)state;
    struct got mine = {0}, other = {0};
    start(answer_done);
    call(&mine, 5000);
    call(&other, 5000);
    call(&mine, 0);
    store_forget(plane, &mine);
    assert_true(rig_until(&rig, 5000, got_it, &other));
    rig_for(&rig, 50);
    assert_int_equal(mine.calls, 0);
}

static void test_caps_and_bad_bodies(void **state)
{
    (void)state;
    struct got g = {0}, over = {0}, bad = {0};
    for (int i = 0; i < 1024; i++) {
        call(&g, 60000);
    }
    call(&over, 60000);
    assert_int_equal(over.calls, 0);
    assert_true(rig_until(&rig, 5000, got_it, &over));
    assert_int_equal(over.err, ERR_BUSY);
    assert_int_equal(g.calls, 0);
    store_call(plane, MSG_RUN_GET, &(struct msg_run_get){{0}}, 1000, on_reply, &bad);
    assert_true(rig_until(&rig, 5000, got_it, &bad));
    assert_int_equal(bad.err, ERR_BAD);
    assert_string_equal(bad.text, "run_id is missing");
    store_forget(plane, &g);
    start(answer_done);
    call(&g, 5000);
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_int_equal(g.err, OK);
}

static bool all_answered(void *ctx)
{
    return ((struct got *)ctx)->calls == 1000;
}

static void test_more_requests_than_the_queue_holds(void **state)
{
    (void)state;
    struct got g = {0};
    start(answer_done);
    for (int i = 0; i < 1000; i++) {
        call(&g, 20000);
    }
    assert_true(rig_until(&rig, 10000, all_answered, &g));
    assert_int_equal(g.err, OK);
}

static void test_late_listener_hears_of_up(void **state)
{
    (void)state;
    unsigned late = 0;
    start(NULL);
    assert_true(rig_until(&rig, 5000, is_up, &ups));
    store_on_up(plane, on_up, &late);
    assert_int_equal(late, 0);
    assert_true(rig_until(&rig, 5000, is_up, &late));
    assert_int_equal(ups, 1);
}

static bool asked_again(void *ctx)
{
    return hub.hellos > *(unsigned *)ctx;
}

static void test_silence(void **state)
{
    (void)state;
    struct got g = {0};
    start(NULL);
    assert_true(rig_until(&rig, 5000, is_up, &ups));
    rig_for(&rig, 30);
    unsigned hellos = hub.hellos;
    hub.silent = true;
    call(&g, 20000);
    assert_true(rig_until(&rig, 5000, asked_again, &hellos)); /* no answer for a second: HELLO */
    assert_true(store_is_up(plane));
    clock_test_set(clock_mono_ms() + 3100, clock_real_ms());
    assert_false(store_is_up(plane));
    clock_test_set(-1, -1);
    hub.silent = false;
    hub.fn = answer_done;
    assert_true(rig_until(&rig, 5000, got_it, &g));
    assert_true(store_is_up(plane));
    assert_int_equal(ups, 1); /* the same process: nothing to repeat */
}

static void test_freed_with_calls_under_way(void **state)
{
    (void)state;
    struct got g = {0};
    call(&g, 5000);
    call(&g, 0);
    plane_store_free(plane);
    plane = NULL;
    rig_for(&rig, 20);
    assert_int_equal(g.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_waits_for_a_late_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registered_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sent_again_with_the_same_rid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_is_retried, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_beyond_the_deadline_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restarted_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_is_noticed_when_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pushes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caps_and_bad_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_requests_than_the_queue_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_listener_hears_of_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_with_calls_under_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
