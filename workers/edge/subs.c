/*
 * subs.c: see subs.h.
 * Runs in: edge.     Owns: nothing else.
 * Never: asks the store once per connection.
 * Tested in: the scenarios
 */
#include "workers/edge/subs.h"

#include "common/log.h"

#define WATCH_MS 30000

static void on_watch(void *ctx, int err, uint16_t type, const void *body)
{
    UNUSED(ctx);
    UNUSED(type);
    UNUSED(body);
    if (err != OK) {
        log_warn("the store does not answer WATCH: %s", err_text(err));
    }
}

void subs_watch(struct edge *e)
{
    const struct msg_watch w = {.rows = e->row_watchers > 0};
    store_call(e->store, MSG_WATCH, &w, WATCH_MS, on_watch, e);
}

static bool wants_rows(const struct conn *c)
{
    return c->sessions_sub || map_count(&c->message_subs) > 0;
}

static void account(struct conn *c, bool before)
{
    struct edge *e = c->e;
    bool now = wants_rows(c);
    if (now == before) {
        return;
    }
    e->row_watchers += now ? 1u : 0u;
    e->row_watchers -= now ? 0u : 1u;
    if (e->row_watchers == (now ? 1u : 0u) && !e->draining) {
        subs_watch(e);
    }
}

void subs_sessions(struct conn *c, bool on)
{
    bool before = wants_rows(c);
    c->sessions_sub = on;
    account(c, before);
}

bool subs_messages(struct conn *c, sv key, bool on)
{
    bool before = wants_rows(c);
    if (on && map_count(&c->message_subs) >= SUBS_MAX && map_get(&c->message_subs, key) == NULL) {
        return false;
    }
    if (on) {
        map_put(&c->message_subs, key, c);
    } else {
        map_del(&c->message_subs, key);
    }
    account(c, before);
    return true;
}

void subs_move(struct conn *from, struct conn *to)
{
    /* Who wants rows changes its name only: no account. */
    to->sessions_sub = from->sessions_sub;
    to->message_subs = from->message_subs;
    from->sessions_sub = false;
    from->message_subs = MAP_INIT;
}

void subs_drop_all(struct conn *c)
{
    bool before = wants_rows(c);
    c->sessions_sub = false;
    map_free(&c->message_subs);
    c->message_subs = MAP_INIT;
    account(c, before);
}
