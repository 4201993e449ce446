/*
 * conn.c: see conn.h.
 * Runs in: edge.     Owns: what conn.h says.
 * Never: writes to the socket (the transport does).
 * Tested in: the scenarios
 */
#include "workers/edge/conn.h"

#include <string.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/id.h"
#include "common/log.h"
#include "common/text.h"
#include "workers/edge/connect.h"
#include "workers/edge/pings.h"
#include "workers/edge/presence.h"
#include "workers/edge/replay.h"
#include "workers/edge/rpc.h"
#include "workers/edge/scopes.h"
#include "workers/edge/server.h"
#include "workers/edge/subs.h"

#define CLOSE_REASON_MAX 120 /* bytes, gateway-ws.md 2.1 */
#define CLOSE_WAIT_MS 3000   /* for what is queued and the other side's close frame */
#define SLOW_WAIT_MS 1000    /* 13.3 */
#define SWALLOW_MS 5000      /* to read the rest of a message that is too large */

static void on_deadline(void *ctx)
{
    struct conn *c = ctx;
    if (c->state == CONN_CLOSING || c->swallowing) {
        transport_kill(c->wsi);
    } else {
        conn_close(c, 1000, SV("")); /* 3.1: the handshake took too long */
    }
}

struct conn *conn_new(struct edge *e, void *wsi, const struct peer *peer, sv host, sv origin)
{
    struct conn *c = xcalloc(1, sizeof *c);
    c->e = e;
    c->wsi = wsi;
    c->peer = *peer;
    c->in = BUF_INIT(CONN_MAX_AFTER_HELLO);
    c->since_ms = clock_real_ms();
    outq_init(&c->out);
    list_init(&c->calls);
    list_init(&c->of_tracked);
    pings_add(c);
    id_uuid(c->conn_id);
    list_add_tail(&e->conns, &c->all);
    e->conns_n++;
    loop_timer_init(&c->kill, e->loop, on_deadline, c);
    loop_timer_start(&c->kill, CONN_HANDSHAKE_MS);
    connect_begin(c, host, origin);
    return c;
}

static void free_identity(struct conn *c)
{
    xfree(c->scopes);
    xfree(c->client_id);
    xfree(c->mode);
    xfree(c->platform);
    xfree(c->version);
    xfree(c->display_name);
    xfree(c->instance_id);
    xfree(c->device_id);
}

void conn_free(struct conn *c)
{
    struct edge *e = c->e;
    bool tracked = c->tracked;
    list_del(&c->all);
    list_del(&c->of_tracked);
    pings_del(c);
    e->conns_n--;
    if (c->scopes != NULL) {
        e->ready_n--;
        counter_set(C_edge_clients, e->ready_n);
    }
    loop_timer_stop(&c->kill);
    connect_free(c);
    rpc_cancel_all(c);
    replay_detach(c);
    subs_drop_all(c);
    outq_clear(&c->out);
    buf_free(&c->in);
    free_identity(c);
    xfree(c);
    if (tracked) {
        presence_changed(e);
    }
}

void conn_message(struct conn *c, sv text)
{
    counter_add(C_ws_in, text.n);
    switch (c->state) {
    case CONN_CHALLENGED:
    case CONN_CHECKING:
        connect_message(c, text);
        break;
    case CONN_READY:
        rpc_message(c, text);
        break;
    case CONN_CLOSING:
        break;
    }
}

size_t conn_limit(const struct conn *c)
{
    return c->state == CONN_READY ? CONN_MAX_AFTER_HELLO : CONN_MAX_BEFORE_HELLO;
}

void conn_too_large(struct conn *c, bool last)
{
    if (!c->swallowing) {
        c->swallowing = true;
        buf_free(&c->in);
        loop_timer_start(&c->kill, SWALLOW_MS);
    }
    if (last) {
        c->swallowing = false;
        conn_close(c, 1009, SV(""));
    }
}

void conn_send(struct conn *c, struct buf *msg)
{
    if (c->state == CONN_CLOSING && c->close_code != 0) {
        buf_free(msg);
        return;
    }
    if (!outq_push(&c->out, msg)) {
        log_warn("a client reads too slowly and is disconnected conn=%s queued=%zu", c->conn_id,
                 c->out.bytes);
        conn_close(c, 1008, SV("slow consumer"));
        loop_timer_start(&c->kill, SLOW_WAIT_MS);
        return;
    }
    if (!c->want_write) {
        c->want_write = true;
        transport_want_write(c->wsi);
    }
}

void conn_close(struct conn *c, uint16_t code, sv reason)
{
    if (c->state == CONN_CLOSING) {
        return;
    }
    c->state = CONN_CLOSING;
    c->close_code = code;
    reason.n = utf8_cut(reason, reason.n < CLOSE_REASON_MAX ? reason.n : CLOSE_REASON_MAX);
    sv_copy(c->close_reason, sizeof c->close_reason, reason);
    loop_timer_start(&c->kill, CLOSE_WAIT_MS);
    c->want_write = true;
    transport_want_write(c->wsi);
}

void conn_ready(struct conn *c)
{
    c->state = CONN_READY;
    c->e->ready_n++;
    counter_set(C_edge_clients, c->e->ready_n);
    loop_timer_stop(&c->kill);
    if (c->tracked) {
        list_add_tail(&c->e->tracked, &c->of_tracked);
        presence_changed(c->e);
    }
}

bool conn_has(const struct conn *c, uint32_t scope_bit)
{
    return scope_bit == SC_NONE || (c->scope_bits & scope_bit) != 0;
}
