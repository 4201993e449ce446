/*
 * rig.c: a loop, a scratch folder and a scripted hub for tests of the planes.
 * Runs in: tests.     Owns: what rig_new made.
 * Never: waits without a limit.
 * Tested in: by its users
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "proto/wire.h"
#include "tests/unit/runtime/rig.h"

struct wait {
    struct rig *rig;
    bool (*done)(void *ctx);
    void *ctx;
    int64_t until_ms;
    struct loop_timer timer;
};

void rig_new(struct rig *r)
{
    log_set_console(-1);
    r->loop = loop_new();
    (void)snprintf(r->dir, sizeof r->dir, "/tmp/tenaza-rig-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->endpoint, sizeof r->endpoint, "ipc://%s/hub.sock", r->dir);
}

void rig_free(struct rig *r)
{
    loop_free(r->loop);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/hub.sock", r->dir);
    (void)unlink(path); /* libzmq leaves it behind, and takes it away itself before the next bind */
    (void)rmdir(r->dir);
}

static void look(void *ctx)
{
    struct wait *w = ctx;
    if ((w->done && w->done(w->ctx)) || clock_mono_ms() >= w->until_ms) {
        loop_stop(w->rig->loop);
    } else {
        loop_timer_start(&w->timer, 2);
    }
}

bool rig_until(struct rig *r, int64_t ms, bool (*done)(void *ctx), void *ctx)
{
    struct wait w = {.rig = r, .done = done, .ctx = ctx, .until_ms = clock_mono_ms() + ms};
    loop_timer_init(&w.timer, r->loop, look, &w);
    loop_timer_start(&w.timer, 0);
    loop_run(r->loop);
    loop_timer_stop(&w.timer);
    return done ? done(ctx) : true;
}

void rig_for(struct rig *r, int64_t ms)
{
    (void)rig_until(r, ms, NULL, NULL);
}

static void send_to(struct hub *h, sv routing, const struct envelope *e, const void *body)
{
    struct buf header = BUF_INIT(ENVELOPE_MAX), bytes = BUF_INIT(BUF_MAX_DEFAULT);
    assert_true(envelope_encode(e, &header));
    assert_int_equal(wire_encode(e->type, body, &bytes, NULL), OK);
    int rc = evzmq_send(h->sock, routing, buf_view(&header), buf_view(&bytes));
    assert_true(rc == OK || rc == ERR_BUSY); /* full: lost, as with a real hub */
    buf_free(&header);
    buf_free(&bytes);
}

static void on_message(void *ctx, const struct evzmq_msg *m)
{
    struct hub *h = ctx;
    struct envelope e;
    if (!peers_check(h->peers, m->peer, m->pid)) {
        return;
    }
    assert_int_equal(envelope_decode(m->header, &e), OK);
    if (e.type == MSG_HELLO) {
        struct msg_done done = peers_done(h->peers);
        h->hellos++;
        if (!h->silent) {
            hub_reply(h, m->peer, &e, MSG_DONE, &done);
        }
        return;
    }
    h->others++;
    if (!h->silent && h->fn) {
        h->fn(h, m->peer, &e, m->body);
    }
}

void hub_start(struct hub *h, struct rig *r, hub_fn *fn)
{
    void *ctx = h->ctx;
    *h = (struct hub){.rig = r, .fn = fn, .ctx = ctx, .peers = peers_new()};
    assert_int_equal(evzmq_router(r->loop, r->endpoint, on_message, h, &h->sock), OK);
    peers_greet(h->peers, r->loop, h->sock);
}

void hub_stop(struct hub *h)
{
    peers_free(h->peers);
    evzmq_free(h->sock);
}

void hub_reply(struct hub *h, sv to, const struct envelope *asked, uint16_t type, const void *body)
{
    struct envelope e = {.type = type, .flags = ENV_REPLY, .rid = asked->rid, .dst = asked->src};
    send_to(h, to, &e, body);
}

void hub_push(struct hub *h, const char *name, uint16_t type, const void *body)
{
    struct envelope e = {.type = type, .flags = ENV_PUSH, .dst = sv_of(name)};
    send_to(h, peers_routing(h->peers, sv_of(name)), &e, body);
}
