/*
 * presence.c: see presence.h.
 * Runs in: edge.     Owns: nothing.
 * Never: sends more than two presence events a second.
 * Tested in: the scenarios
 */
#include "workers/edge/presence.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "workers/edge/events.h"

#define MERGE_MS 500

static void add_text(struct buf *b, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        buf_printf(b, ",\"%s\":", key);
        buf_json_str(b, sv_of(value));
    }
}

static void add_self(const struct edge *e, struct buf *b)
{
    char host[256] = "gateway";
    if (gethostname(host, sizeof host - 1) != 0) {
        snprintf(host, sizeof host, "gateway");
    }
    buf_printf(b, "{\"ts\":%" PRId64, e->started_ms);
    add_text(b, "host", host);
    add_text(b, "version", e->conf.version);
    buf_str(b, ",\"platform\":\"linux\",\"mode\":\"gateway\",\"reason\":\"self\"");
    add_text(b, "instanceId", e->boot_id);
    buf_ch(b, '}');
}

void presence_list(const struct edge *e, struct buf *dst)
{
    buf_ch(dst, '[');
    add_self(e, dst);
    LIST_EACH(it, &e->tracked)
    {
        const struct conn *c = CONTAINER_OF(it, struct conn, of_tracked);
        if (c->state != CONN_READY) {
            continue;
        }
        buf_printf(dst, ",{\"ts\":%" PRId64, c->since_ms);
        add_text(dst, "host", c->display_name[0] ? c->display_name : c->client_id);
        add_text(dst, "ip", c->peer.addr);
        add_text(dst, "version", c->version);
        add_text(dst, "platform", c->platform);
        add_text(dst, "mode", c->mode);
        add_text(dst, "deviceId", c->device_id);
        add_text(dst, "instanceId", c->instance_id);
        buf_printf(dst, ",\"reason\":\"connect\",\"onlineSince\":%" PRId64 "}", c->since_ms);
    }
    buf_ch(dst, ']');
}

static void on_timer(void *ctx)
{
    struct edge *e = ctx;
    if (!events_wanted(e, EV_PRESENCE, NULL, NULL)) {
        return;
    }
    struct buf b = BUF_INIT(OUT_MSG_MAX);
    buf_str(&b, "{\"presence\":");
    presence_list(e, &b);
    buf_ch(&b, '}');
    events_broadcast(e, EV_PRESENCE, buf_view(&b), NULL, NULL);
    buf_free(&b);
}

void presence_changed(struct edge *e)
{
    e->presence_version++;
    if (!e->draining && !loop_timer_active(&e->presence_timer)) {
        loop_timer_start(&e->presence_timer, MERGE_MS);
    }
}

void presence_init(struct edge *e)
{
    loop_timer_init(&e->presence_timer, e->loop, on_timer, e);
}
