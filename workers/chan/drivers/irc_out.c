/*
 * irc_out.c: parts on their way into IRC. Every part is followed by a PING of ours: the server answers in
 *            order, so the PONG proves that it took the part, and an error numeric before it names the reason
 *            why not. Only a connection that ends in between leaves the outcome unknown.
 * Runs in: channel workers.     Owns: parts between send_part and receipt.
 * Never: answers a nick that may have changed its owner since the message came (channels.md 2.11).
 * Tested in: scenario c1
 */
#include <stdio.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "workers/chan/drivers/irc_int.h"

#define PROOF_MS 30000        /* PONG after a part */
#define OWNER_MS 10000        /* answer to USERHOST */
#define FRESH_MS 3000         /* after this the server is asked again who has the nick */
#define TARGET_RETRY_MS 20000 /* the person or the room is not there now */
#define TARGET_ATTEMPTS 5
#define USER_MAX 10           /* RFC 2812 user name with '~' */
#define HOST_MAX 63

struct irc_out {
    struct list link;
    struct irc *i;
    struct chan_part *part;
    char target[256];
    char token[32];    /* of our PING; empty: the owner of the nick is being looked up */
    uint64_t first;    /* stream_queued before the first byte of this part */
    char msgid[128];   /* from the echo, when the server sends one */
    struct loop_timer limit;
};

static void finish(struct irc_out *o, enum chan_outcome outcome, const char *error, int64_t retry_ms)
{
    struct irc *i = o->i;
    struct chan_part *p = o->part;
    char msgid[sizeof o->msgid];
    memcpy(msgid, o->msgid, sizeof msgid);
    loop_timer_stop(&o->limit);
    list_del(&o->link);
    xfree(o);
    chan_receipt(i->c, p, outcome, sv_of(msgid), error, retry_ms);
}

/* Not sent: the person or room is not there. It may come back, but not for ever. */
static void not_there(struct irc_out *o, const char *why)
{
    bool again = o->part->attempt < TARGET_ATTEMPTS && !sv_empty(o->part->delivery_id);
    finish(o, again ? SENT_RETRYABLE : SENT_REJECTED, why, again ? TARGET_RETRY_MS : 0);
}

static void on_limit(void *ctx)
{
    struct irc_out *o = (struct irc_out *)ctx;
    struct irc *i = o->i;
    if (!o->token[0]) {
        finish(o, SENT_RETRYABLE, "the server does not say who has the nick now", TARGET_RETRY_MS);
        return;
    }
    irc_drop(i, "the server stopped answering"); /* settles this part as well */
}

/* ---- sending ----------------------------------------------------------------------------------------- */

/* "PRIVMSG target :text" lines, cut to what fits behind our own prefix. */
static void put_lines(struct irc_out *o)
{
    struct irc *i = o->i;
    struct arena a = ARENA_INIT;
    struct buf text ATTR_CLEANUP(buf_free) = BUF_INIT(65536);
    irc_sanitise(&text, o->part->text);
    size_t prefix = i->prefix[0] ? strlen(i->prefix) : strlen(i->nick) + 1 + USER_MAX + 1 + HOST_MAX;
    struct chunk_opts opts = {.limit = irc_budget(prefix, sv_of(o->target)), .unit = CHUNK_BYTES};
    sv *lines = NULL;
    size_t n = chunk_split(buf_view(&text), &opts, &a, &lines);
    for (size_t k = 0; k < n; k++) {
        irc_send2(i, "PRIVMSG", sv_of(o->target), lines[k]);
    }
    arena_free(&a);
}

static void transmit(struct irc_out *o)
{
    struct irc *i = o->i;
    o->first = stream_queued(i->stream);
    if (snprintf(o->token, sizeof o->token, "tz%llu", (unsigned long long)++i->next_token) < 0) {
        o->token[0] = '\0';
    }
    put_lines(o);
    irc_send1(i, "PING", sv_of(o->token));
    loop_timer_start(&o->limit, PROOF_MS);
}

static bool room_ready(const struct irc *i, sv target)
{
    for (size_t k = 0; k < i->rooms_n; k++) {
        if (irc_same(target, sv_of(i->rooms[k].name), i->casemap)) {
            return i->rooms[k].joined;
        }
    }
    return true; /* not one of ours: the server says what it thinks of it */
}

/* Direct messages are addressed to "nick!user@host". true: that person had the nick a moment ago. */
static bool owner_known(const struct irc *i, sv chat_id, sv nick)
{
    char folded[128];
    if (!irc_fold(folded, sizeof folded, nick, i->casemap)) {
        return false;
    }
    const struct irc_person *p = (const struct irc_person *)map_get(&i->seen, sv_of(folded));
    return p && clock_mono_ms() - p->at_ms < FRESH_MS && irc_same(sv_of(p->prefix), chat_id, i->casemap);
}

void irc_send_part(struct chan *c, struct chan_part *p)
{
    struct irc *i = (struct irc *)chan_ctx(c);
    struct irc_who who = irc_prefix(p->chat_id);
    bool person = who.host.n > 0;
    sv target = person ? who.nick : p->chat_id;
    if (i->phase != IRC_ONLINE) {
        chan_receipt(c, p, SENT_RETRYABLE, SV_NULL, "not connected", 0);
        return;
    }
    struct irc_out *o = (struct irc_out *)xcalloc(1, sizeof *o);
    o->i = i;
    o->part = p;
    loop_timer_init(&o->limit, chan_loop(c), on_limit, o);
    list_add_tail(&i->outs, &o->link);
    if (sv_empty(target) || sv_chr(target, ' ') >= 0 || !sv_copy(o->target, sizeof o->target, target)) {
        finish(o, SENT_REJECTED, "this is not a nick or a channel", 0);
        return;
    }
    if (!room_ready(i, target)) {
        not_there(o, "we are not in this channel now");
        return;
    }
    if (person && !owner_known(i, p->chat_id, target)) {
        irc_send1(i, "USERHOST", target);
        loop_timer_start(&o->limit, OWNER_MS);
        return;
    }
    transmit(o);
}

void irc_limits(struct chan *c, sv chat_id, struct chunk_opts *out)
{
    /* The longest prefix we can have, not the one of this connection: a part must come out the same after a
     * reconnect. put_lines cuts again in the rare case that even this is too much. */
    const struct irc *i = (const struct irc *)chan_ctx(c);
    sv target = irc_prefix(chat_id).nick;
    size_t budget = irc_budget(strlen(i->conf.nick) + 4 + 1 + USER_MAX + 1 + HOST_MAX, target);
    out->limit = budget < 350 ? budget : 350; /* channels.md 1.10 */
    out->unit = CHUNK_BYTES;
    out->by_line = true;
    out->fences = false;
}

/* ---- what the server says about it ------------------------------------------------------------------- */

void irc_out_pong(struct irc *i, sv token)
{
    LIST_EACH(e, &i->outs) {
        struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
        if (o->token[0] && sv_eqc(token, o->token)) {
            finish(o, SENT_DELIVERED, NULL, 0);
            return;
        }
    }
}

void irc_out_refused(struct irc *i, sv target, sv text)
{
    LIST_EACH(e, &i->outs) {
        struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
        if (irc_same(target, sv_of(o->target), i->casemap)) {
            struct buf why ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
            irc_plain(&why, sv_sub(text, 0, 200));
            not_there(o, buf_cstr(&why));
            return; /* the oldest one: answers come in order */
        }
    }
}

/* "nick[*]=[+-]user@host" of a USERHOST answer. */
static void owner_is(struct irc *i, sv entry)
{
    sv nick = sv_cut(&entry, '=');
    if (nick.n && nick.p[nick.n - 1] == '*') {
        nick.n--;
    }
    sv mask = sv_sub(entry, 1, entry.n);
    LIST_EACH(e, &i->outs) {
        struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
        if (o->token[0] || !irc_same(nick, sv_of(o->target), i->casemap)) {
            continue;
        }
        struct irc_who want = irc_prefix(o->part->chat_id);
        sv address = sv_sub(o->part->chat_id, want.nick.n + 1, o->part->chat_id.n);
        loop_timer_stop(&o->limit);
        if (irc_same(mask, address, i->casemap)) {
            irc_remember(i, o->part->chat_id);
            transmit(o);
        } else {
            finish(o, SENT_REJECTED, "the nick has another owner now", 0);
        }
    }
}

void irc_out_userhost(struct irc *i, const struct irc_msg *m)
{
    sv list = sv_trim(irc_param(m, 1));
    if (sv_empty(list)) { /* nobody: the oldest question is answered */
        LIST_EACH(e, &i->outs) {
            struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
            if (!o->token[0]) {
                not_there(o, "nobody has this nick now");
                return;
            }
        }
    }
    while (!sv_empty(list)) {
        sv entry = sv_cut(&list, ' ');
        if (!sv_empty(entry)) {
            owner_is(i, entry);
        }
    }
}

void irc_out_echo(struct irc *i, sv target, sv text, const char *msgid)
{
    LIST_EACH(e, &i->outs) {
        struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
        if (o->token[0] && !o->msgid[0] && irc_same(target, sv_of(o->target), i->casemap) &&
            sv_starts(o->part->text, text)) {
            if (!sv_copy(o->msgid, sizeof o->msgid, sv_of(msgid))) {
                log_debug("message id of the server is too long to keep");
            }
            return;
        }
    }
}

void irc_out_lost(struct irc *i)
{
    uint64_t left = i->stream ? stream_left(i->stream) : 0;
    LIST_EACH(e, &i->outs) {
        struct irc_out *o = CONTAINER_OF(e, struct irc_out, link);
        if (!o->token[0] || o->first >= left) {
            finish(o, SENT_RETRYABLE, "the connection ended before it was sent", 0);
        } else {
            finish(o, SENT_UNKNOWN, "the connection ended before the server confirmed it", 0);
        }
    }
}
