/*
 * events.c: see events.h.
 * Runs in: edge.     Owns: nothing.
 * Never: builds a payload twice: the text is made once, each connection adds its number.
 * Tested in: the scenarios
 */
#include "workers/edge/events.h"

#include <inttypes.h>

#include "workers/edge/connect_params.h"
#include "workers/edge/cronjson.h"
#include "workers/edge/replay.h"
#include "workers/edge/scopes.h"

static const struct {
    const char *name;
    uint32_t scope;
} EVENTS[] = {
#define EVENT(ID, name, scope, doc) {name, scope},
#include "proto/events.def"
#undef EVENT
};

static bool wants(const struct conn *c, enum event_id ev, event_filter *f, const void *ctx)
{
    return c->state == CONN_READY && conn_has(c, EVENTS[ev].scope) && (f == NULL || f(c, ctx));
}

/* What tells how things stand is in the snapshot of whoever comes back; the rest is kept for those away. */
static bool is_kept(enum event_id ev)
{
    return ev != EV_TICK && ev != EV_HEALTH && ev != EV_PRESENCE && ev != EV_SHUTDOWN;
}

bool events_wanted(const struct edge *e, enum event_id ev, event_filter *f, const void *ctx)
{
    LIST_EACH(it, &e->conns)
    {
        if (wants(CONTAINER_OF(it, struct conn, all), ev, f, ctx)) {
            return true;
        }
    }
    return is_kept(ev) && e->replays_n > 0; /* perhaps somebody who is away: rare, not worth a closer look */
}

static void add_version(const struct edge *e, enum event_id ev, struct buf *text)
{
    if (ev == EV_HEALTH || ev == EV_PRESENCE) {
        buf_printf(text, ",\"stateVersion\":{\"presence\":%" PRIu64 ",\"health\":%" PRIu64 "}",
                   e->presence_version, e->health_version);
    }
}

/* One broadcast on its way: the text is made for the first one who gets it. */
struct cast {
    struct edge *e;
    enum event_id ev;
    sv payload;
    event_filter *f;
    const void *ctx;
    struct buf text;
};

static void deliver(struct conn *c, void *ctx)
{
    struct cast *k = ctx;
    struct buf msg;
    if (!wants(c, k->ev, k->f, k->ctx)) {
        return;
    }
    if (k->text.n == 0) {
        buf_printf(&k->text, "{\"type\":\"event\",\"event\":\"%s\",\"payload\":", EVENTS[k->ev].name);
        buf_sv(&k->text, k->payload);
        add_version(k->e, k->ev, &k->text);
        buf_str(&k->text, ",\"seq\":");
    }
    out_begin(&msg);
    /* One allocation of the right size: idle memory of many slow clients adds up. */
    char *room = buf_room(&msg, k->text.n + 24);
    if (room != NULL) {
        buf_sv(&msg, buf_view(&k->text));
        buf_printf(&msg, "%" PRIu64 "}", ++c->seq);
    }
    replay_note(c, out_text(&msg));
    if (c->wsi != NULL) {
        conn_send(c, &msg);
    } else {
        buf_free(&msg); /* a stand-in: the event is kept, that is all */
    }
}

void events_broadcast(struct edge *e, enum event_id ev, sv payload, event_filter *f, const void *ctx)
{
    struct cast k = {.e = e, .ev = ev, .payload = payload, .f = f, .ctx = ctx, .text = BUF_INIT(OUT_MSG_MAX)};
    LIST_EACH(it, &e->conns)
    {
        deliver(CONTAINER_OF(it, struct conn, all), &k);
    }
    if (is_kept(ev)) {
        replay_each_away(e, deliver, &k);
    }
    buf_free(&k.text);
}

void events_challenge(struct conn *c, const char *nonce, int64_t now_ms)
{
    struct buf msg;
    out_begin(&msg);
    buf_printf(&msg,
               "{\"type\":\"event\",\"event\":\"%s\",\"payload\":{\"nonce\":\"%s\",\"ts\":%" PRId64 "}}",
               EVENTS[EV_CHALLENGE].name, nonce, now_ms);
    conn_send(c, &msg);
}

void events_on_cron(void *ctx, uint16_t type, const void *body)
{
    struct edge *e = ctx;
    if (type != MSG_CRON_NEWS || !events_wanted(e, EV_CRON, NULL, NULL)) {
        return;
    }
    struct buf b = BUF_INIT(OUT_MSG_MAX);
    cron_news(&b, body);
    events_broadcast(e, EV_CRON, buf_view(&b), NULL, NULL);
    buf_free(&b);
}

void events_names(struct buf *dst)
{
    for (size_t i = 0; i < EV_COUNT; i++) {
        buf_printf(dst, "%c\"%s\"", i == 0 ? '[' : ',', EVENTS[i].name);
    }
    buf_ch(dst, ']');
}

bool event_to_chat(const struct conn *c, const void *ctx)
{
    return !(c->caps & CAP_SESSION_SCOPED) || map_get(&c->message_subs, sv_of(ctx)) != NULL;
}

bool event_to_subscribers(const struct conn *c, const void *ctx)
{
    UNUSED(ctx);
    return c->sessions_sub;
}

bool event_to_row_watchers(const struct conn *c, const void *ctx)
{
    return c->sessions_sub || map_get(&c->message_subs, sv_of(ctx)) != NULL;
}
