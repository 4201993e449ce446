/*
 * pings.c: see pings.h.
 * Runs in: edge.     Owns: nothing else.
 * Never: does more than a bounded number of connections in one turn.
 * Tested in: tests/scn/h3-pings.test.mjs
 */
#include "workers/edge/pings.h"

#include "common/clock.h"
#include "workers/edge/server.h"

#define TURN_MS 250
#define TURN_MAX 2000 /* connections in one turn; 200,000 in 25 s */

static void one(struct conn *c, int64_t now)
{
    if (c->silent_since_ms != 0 && now - c->silent_since_ms >= PINGS_LOST * c->e->conf.ping_ms) {
        pings_del(c);
        transport_kill(c->wsi);
        return;
    }
    c->ping_due_ms = now + c->e->conf.ping_ms;
    list_del(&c->of_pings);
    list_add_tail(&c->e->pings, &c->of_pings);
    if (c->silent_since_ms == 0) {
        c->silent_since_ms = now;
        c->want_ping = true;
        transport_want_write(c->wsi);
    }
}

static void on_turn(void *ctx)
{
    struct edge *e = ctx;
    int64_t now = clock_mono_ms();
    int left = TURN_MAX;
    LIST_EACH(it, &e->pings)
    {
        struct conn *c = CONTAINER_OF(it, struct conn, of_pings);
        if (c->ping_due_ms > now || left-- == 0) {
            break;
        }
        one(c, now);
    }
    loop_timer_start(&e->ping_timer, TURN_MS);
}

void pings_init(struct edge *e)
{
    list_init(&e->pings);
    loop_timer_init(&e->ping_timer, e->loop, on_turn, e);
    loop_timer_start(&e->ping_timer, TURN_MS);
}

void pings_stop(struct edge *e)
{
    loop_timer_stop(&e->ping_timer);
}

void pings_add(struct conn *c)
{
    c->ping_due_ms = clock_mono_ms() + c->e->conf.ping_ms;
    list_add_tail(&c->e->pings, &c->of_pings);
}

void pings_del(struct conn *c)
{
    list_del(&c->of_pings);
}

void pings_heard(struct conn *c)
{
    c->silent_since_ms = 0;
}
