/*
 * peer.c: who is connected, as far as the store must know, and what happens to the work of the dead.
 * Runs in: store.     Owns: the rows of struct client.
 * Never: decides who may speak (peers.h of the runtime has checked that before).
 * Tested in: tests/unit/store/test_lease.c
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/store/model.h"

struct client *client_find(struct store *s, sv name)
{
    return sv_empty(name) ? NULL : map_get(&s->clients, name);
}

static void client_drop(struct store *s, sv name)
{
    xfree(map_del(&s->clients, name));
}

static void add_news(struct store *s, bool up, const char *name, uint64_t inc)
{
    if (s->news_n == s->news_cap) {
        s->news_cap = s->news_cap ? s->news_cap * 2 : 16;
        s->news = xrealloc(s->news, s->news_cap * sizeof(*s->news));
    }
    struct news *n = &s->news[s->news_n++];
    *n = (struct news){.up = up, .inc = inc};
    (void)snprintf(n->name, sizeof(n->name), "%s", name);
}

struct client *client_get(struct store *s, const char *name, uint64_t inc)
{
    struct client *c = client_find(s, sv_of(name));
    if (c != NULL && c->inc == inc) {
        return c;
    }
    if (c != NULL) {
        client_drop(s, sv_of(name));
        add_news(s, true, name, inc); /* the older incarnation is dead: its leases go back */
    }
    c = xcalloc(1, sizeof(*c));
    c->inc = inc;
    c->seen_ms = clock_mono_ms();
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    (void)snprintf(c->id, sizeof(c->id), "%s#%llu", name, (unsigned long long)inc);
    (void)map_put(&s->clients, sv_of(c->name), c);
    s->recount = true; /* it may hold leases from before our start */
    return c;
}

void store_peer_up(struct store *s, const char *name, uint64_t inc)
{
    (void)client_get(s, name, inc);
    add_news(s, true, name, inc);
}

void store_peer_gone(struct store *s, const char *name, uint64_t inc)
{
    add_news(s, false, name, inc);
}

bool store_has_news(const struct store *s)
{
    return s->news_n > 0;
}

void peer_news(struct tx *tx)
{
    struct store *s = tx->s;
    for (size_t i = 0; i < s->news_n; i++) {
        const struct news *n = &s->news[i];
        if (n->up) {
            lease_revoke_holder(tx, sv_of(n->name), 0, n->inc, true);
            continue;
        }
        struct client *c = client_find(s, sv_of(n->name));
        if (c != NULL && c->inc == n->inc) {
            client_drop(s, sv_of(n->name));
        }
        lease_revoke_holder(tx, sv_of(n->name), n->inc, 0, true);
    }
}

void peer_silence(struct tx *tx)
{
    struct store *s = tx->s;
    int64_t mono = clock_mono_ms();
    if (!s->boot_checked && mono - s->boot_mono >= BOOT_GRACE_MS) {
        s->boot_checked = true;
        lease_revoke_absent(tx);
    }
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&s->clients, &it, &name, &value)) {
        struct client *c = value;
        if (c->used > 0 && mono - c->seen_ms > LEASE_MS) {
            log_warn("%s has been silent for %d s: its runs go back to the queue", c->name, LEASE_MS / 1000);
            c->slots = 0; /* until it says WANT again */
            lease_revoke_holder(tx, sv_of(c->name), c->inc, 0, false);
        }
    }
}

void peer_forgive(struct store *s, int64_t ms)
{
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&s->clients, &it, &name, &value)) {
        ((struct client *)value)->seen_ms += ms;
    }
    s->boot_mono += s->boot_checked ? 0 : ms;
}

int peer_hello(struct tx *tx, struct client *from, const void *msg)
{
    UNUSED(msg);
    from->seen_ms = clock_mono_ms();
    reply(tx, MSG_DONE, &tx->s->hello);
    return OK;
}
