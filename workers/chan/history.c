/*
 * history.c: see history.h.
 * Runs in: channel workers.     Owns: the lines.
 * Never: grows beyond its caps.
 * Tested in: tests/unit/chan/test_history.c
 */
#include "workers/chan/history.h"

#include "common/text.h"

struct line {
    struct list link;
    size_t n;
    char text[];
};

struct chat {
    struct list link;  /* in history.order */
    struct list lines; /* oldest first */
    size_t count, bytes;
    char *key;
};

void history_init(struct history *h, size_t limit)
{
    h->chats = MAP_INIT;
    list_init(&h->order);
    h->limit = limit;
}

static void drop_oldest(struct chat *c)
{
    struct line *l = CONTAINER_OF(c->lines.next, struct line, link);
    list_del(&l->link);
    c->count--;
    c->bytes -= l->n;
    xfree(l);
}

static void forget(struct history *h, struct chat *c)
{
    while (!list_empty(&c->lines)) {
        drop_oldest(c);
    }
    map_del(&h->chats, sv_of(c->key));
    list_del(&c->link);
    xfree(c->key);
    xfree(c);
}

void history_free(struct history *h)
{
    LIST_EACH(e, &h->order) {
        forget(h, CONTAINER_OF(e, struct chat, link));
    }
    map_free(&h->chats);
}

static struct chat *chat_of(struct history *h, sv key)
{
    struct chat *c = (struct chat *)map_get(&h->chats, key);
    if (c) {
        list_del(&c->link);
    } else {
        if (map_count(&h->chats) >= HISTORY_CHATS_MAX) {
            forget(h, CONTAINER_OF(h->order.next, struct chat, link));
        }
        c = (struct chat *)xcalloc(1, sizeof *c);
        list_init(&c->lines);
        c->key = xsvdup(key);
        map_put(&h->chats, sv_of(c->key), c);
    }
    list_add_tail(&h->order, &c->link);
    return c;
}

void history_add(struct history *h, sv chat, sv who, sv text)
{
    if (h->limit == 0 || sv_empty(text) || memchr(chat.p ? chat.p : "", 0, chat.n)) {
        return;
    }
    struct chat *c = chat_of(h, chat);
    who = sv_sub(who, 0, utf8_cut(who, 100));
    text = sv_sub(text, 0, utf8_cut(text, HISTORY_LINE_MAX));
    size_t n = who.n + 2 + text.n;
    struct line *l = (struct line *)xmalloc(sizeof *l + n);
    l->n = n + 1; /* with the line end it gets in history_take */
    memcpy(l->text, who.p ? who.p : "", who.n);
    memcpy(l->text + who.n, ": ", 2);
    for (size_t i = 0; i < text.n; i++) {
        char *at = &l->text[who.n + 2 + i];
        *at = text.p[i];
        if (*at == '\n' || *at == '\r') {
            *at = ' ';
        }
    }
    list_add_tail(&c->lines, &l->link);
    c->count++;
    c->bytes += l->n;
    while (c->count > h->limit || c->bytes > HISTORY_BYTES_MAX) {
        drop_oldest(c);
    }
}

void history_take(struct history *h, sv chat, struct buf *dst)
{
    struct chat *c = (struct chat *)map_get(&h->chats, chat);
    if (!c) {
        return;
    }
    LIST_EACH(e, &c->lines) {
        const struct line *l = CONTAINER_OF(e, struct line, link);
        buf_add(dst, l->text, l->n - 1);
        buf_ch(dst, '\n');
    }
    forget(h, c);
}
