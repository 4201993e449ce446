/*
 * topics.c: who wants which topic.
 * Runs in: bus.     Owns: the subscriptions of the processes that live now.
 * Never: sends; remembers a message.
 * Tested in: tests/unit/bus/test_topics.c
 */
#include "workers/bus/bus.h"

#include "common/buf.h"
#include "common/err.h"

struct topic {
    struct list subscribers;
};

struct topics {
    struct map by_name; /* to struct topic; topics without subscribers do not exist */
};

struct topics *topics_new(void)
{
    return xcalloc(1, sizeof(struct topics));
}

static struct subscriber *of_link(struct list *l)
{
    return CONTAINER_OF(l, struct subscriber, link);
}

static void drop(struct subscriber *s)
{
    list_del(&s->link);
    xfree(s);
}

void topics_free(struct topics *t)
{
    if (!t) {
        return;
    }
    sv key;
    void *v;
    for (size_t it = 0; map_next(&t->by_name, &it, &key, &v);) {
        struct topic *one = v;
        LIST_EACH(l, &one->subscribers) {
            drop(of_link(l));
        }
        xfree(one);
    }
    map_free(&t->by_name);
    xfree(t);
}

static struct subscriber *find(struct topic *t, sv peer)
{
    LIST_EACH(l, &t->subscribers) {
        if (sv_eqc(peer, of_link(l)->name)) {
            return of_link(l);
        }
    }
    return NULL;
}

static size_t held_by(const struct topics *t, sv peer)
{
    size_t n = 0, it = 0;
    sv key;
    void *v;
    while (map_next(&t->by_name, &it, &key, &v)) {
        n += find(v, peer) != NULL;
    }
    return n;
}

int topics_add(struct topics *t, sv topic, sv peer)
{
    struct subscriber *s = xcalloc(1, sizeof *s);
    if (sv_empty(topic) || topic.n >= sizeof s->name || sv_empty(peer) ||
        !sv_copy(s->name, sizeof s->name, peer)) {
        xfree(s);
        return ERR_BAD;
    }
    struct topic *one = map_get(&t->by_name, topic);
    if (one && find(one, peer)) {
        xfree(s);
        return OK;
    }
    if ((!one && map_count(&t->by_name) >= TOPICS_MAX) || held_by(t, peer) >= TOPICS_PER_PEER_MAX) {
        xfree(s);
        return ERR_FULL;
    }
    if (!one) {
        one = xcalloc(1, sizeof *one);
        list_init(&one->subscribers);
        (void)map_put(&t->by_name, topic, one);
    }
    list_add_tail(&one->subscribers, &s->link);
    return OK;
}

/* Removes one subscription; the topic too when it was the last. */
static void remove_from(struct topics *t, sv topic, struct topic *one, sv peer)
{
    struct subscriber *s = find(one, peer);
    if (s) {
        drop(s);
    }
    if (list_empty(&one->subscribers)) {
        (void)map_del(&t->by_name, topic);
        xfree(one);
    }
}

void topics_del(struct topics *t, sv topic, sv peer)
{
    struct topic *one = map_get(&t->by_name, topic);
    if (one) {
        remove_from(t, topic, one, peer);
    }
}

void topics_forget(struct topics *t, sv peer)
{
    sv key;
    void *v;
    for (size_t it = 0; map_next(&t->by_name, &it, &key, &v);) {
        remove_from(t, key, v, peer);
    }
}

struct list *topics_of(struct topics *t, sv topic)
{
    struct topic *one = map_get(&t->by_name, topic);
    return one ? &one->subscribers : NULL;
}

size_t topics_count(const struct topics *t)
{
    return map_count(&t->by_name);
}
