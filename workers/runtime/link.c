/*
 * link.c: one DEALER connection to a hub: HELLO, noticing a restarted hub, sending envelopes.
 * Runs in: every worker but store and bus, and the command line.     Owns: the socket and the HELLO timer.
 * Never: repeats anything but HELLO; knows message types.
 * Tested in: tests/unit/runtime/test_plane_store.c, test_plane_bus.c
 */
#include "workers/runtime/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/evzmq.h"
#include "common/id.h"
#include "common/log.h"
#include "proto/wire.h"
#include "workers/runtime/slot.h"

/* ms. The first ones hurry: start-up time depends on them when the hub is registered a moment after us. */
enum { FIRST_MS = 10, RETRY_MS = 1000, IDLE_MS = 10000, SILENT_MS = 3000 };

struct link {
    struct evzmq *sock;
    struct link_ops ops;
    void *ctx;
    char name[128];
    uint64_t inc;
    struct buf header, body;
    struct arena arena;
    struct loop_timer hello;
    int64_t wait_ms;    /* until the next HELLO while unanswered */
    int64_t asked_ms;   /* monotonic time of the oldest unanswered HELLO, 0: none */
    uint64_t boot;      /* of the hub, 0: never heard */
    bool met;           /* it has answered once */
};

/* Up to a tenth more, so that workers do not all ask at once. */
static int64_t jitter(int64_t ms)
{
    uint16_t r;
    id_random(&r, sizeof r);
    return ms + ms * (r % 100) / 1000;
}

static void send_hello(void *ctx)
{
    struct link *k = ctx;
    int64_t now = clock_mono_ms();
    buf_reset(&k->body);
    struct msg_hello h = {.name = sv_of(k->name), .inc = k->inc};
    if (wire_encode(MSG_HELLO, &h, &k->body, NULL) == OK) {
        /* rid 0 is HELLO's; requests of the planes count from 1. A full queue holds HELLOs already. */
        struct envelope e = {.type = MSG_HELLO, .flags = ENV_REQUEST};
        int rc = link_send(k, &e, buf_view(&k->body));
        UNUSED(rc);
    }
    if (k->asked_ms == 0) {
        k->asked_ms = now;
    }
    loop_timer_start(&k->hello, jitter(k->wait_ms));
    k->wait_ms = k->wait_ms * 2 < RETRY_MS ? k->wait_ms * 2 : RETRY_MS;
}

static void answered(struct link *k, uint64_t boot)
{
    bool restarted = k->met && boot != k->boot;
    bool first = !k->met;
    k->met = true;
    k->boot = boot;
    k->asked_ms = 0;
    k->wait_ms = RETRY_MS;
    loop_timer_start(&k->hello, slot_wait_ms(IDLE_MS));
    if (first || restarted) {
        k->ops.up(k->ctx, restarted);
    }
}

static bool is_hello_answer(const struct envelope *e)
{
    return (e->flags & (ENV_REPLY | ENV_PUSH)) != 0 && e->rid == 0 &&
           (e->type == MSG_DONE || e->type == MSG_STATUS);
}

static void on_message(void *ctx, const struct evzmq_msg *m)
{
    struct link *k = ctx;
    struct envelope e;
    if (envelope_decode(m->header, &e) != OK) {
        log_warn("a hub sent a malformed header (%zu bytes)", m->header.n);
        return;
    }
    if (!is_hello_answer(&e)) {
        k->ops.message(k->ctx, &e, m->body);
        return;
    }
    struct msg_done done = {0};
    if (e.type == MSG_DONE && wire_decode(MSG_DONE, m->body, &k->arena, &done, NULL) == OK) {
        answered(k, done.boot);
    }
}

struct link *link_new(struct loop *l, const char *endpoint, const char *name, uint64_t inc, int linger_ms,
                      const struct link_ops *ops, void *ctx)
{
    struct link *k = xcalloc(1, sizeof *k);
    k->ops = *ops;
    k->ctx = ctx;
    k->inc = inc;
    k->header = BUF_INIT(ENVELOPE_MAX);
    k->body = BUF_INIT(ENVELOPE_MAX);
    k->arena = ARENA_INIT;
    if (!sv_copy(k->name, sizeof k->name, sv_of(name))) {
        die(EXIT_USAGE, "worker name is too long: %s", name);
    }
    char id[sizeof k->name + 24];
    (void)snprintf(id, sizeof id, "%s#%" PRIu64, name, inc);
    if (evzmq_dealer(l, endpoint, id, linger_ms, on_message, k, &k->sock) != OK) {
        die(EXIT_TEMPFAIL, "cannot connect to %s", endpoint);
    }
    loop_timer_init(&k->hello, l, send_hello, k);
    k->wait_ms = FIRST_MS;
    loop_timer_start(&k->hello, 0);
    return k;
}

void link_free(struct link *k)
{
    if (!k) {
        return;
    }
    loop_timer_stop(&k->hello);
    evzmq_free(k->sock);
    buf_free(&k->header);
    buf_free(&k->body);
    arena_free(&k->arena);
    xfree(k);
}

int link_send(struct link *k, struct envelope *e, sv body)
{
    e->src = sv_of(k->name);
    buf_reset(&k->header);
    if (!envelope_encode(e, &k->header)) {
        return ERR_BAD;
    }
    return evzmq_send(k->sock, SV_NULL, buf_view(&k->header), body);
}

void link_ask(struct link *k)
{
    if (k->asked_ms == 0) {
        k->asked_ms = clock_mono_ms();
        loop_timer_start(&k->hello, FIRST_MS);
    }
}

bool link_is_up(const struct link *k)
{
    return k->met && (k->asked_ms == 0 || clock_mono_ms() - k->asked_ms < SILENT_MS);
}

const char *link_name(const struct link *k)
{
    return k->name;
}
