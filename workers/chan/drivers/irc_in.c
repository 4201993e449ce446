/*
 * irc_in.c: lines that arrive while the connection is open: messages become events, the rest keeps our
 *           picture of the server true.
 * Runs in: channel workers.     Owns: the table of who was seen under which nick on this connection.
 * Never: answers a NOTICE (RFC 2812, 3.3.2); takes a bare nick for an identity.
 * Tested in: scenario c1; parsing in tests/unit/chan/test_irc_proto.c
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/chan/drivers/irc_int.h"
#include "workers/chan/mention.h"

#define SEEN_MAX 1000 /* nicks remembered; beyond that all are forgotten and asked for again */
#define NICK_RETRY_MS 400

/* ---- people ------------------------------------------------------------------------------------------ */

void irc_forget_people(struct irc *i)
{
    size_t at = 0;
    sv key;
    void *value = NULL;
    while (map_next(&i->seen, &at, &key, &value)) {
        xfree(value);
    }
    map_free(&i->seen);
    i->seen = MAP_INIT;
}

static void forget_person(struct irc *i, sv nick)
{
    char folded[128];
    if (irc_fold(folded, sizeof folded, nick, i->casemap)) {
        xfree(map_del(&i->seen, sv_of(folded)));
    }
}

void irc_remember(struct irc *i, sv prefix)
{
    char folded[128];
    struct irc_who who = irc_prefix(prefix);
    if (sv_empty(who.host) || !irc_fold(folded, sizeof folded, who.nick, i->casemap)) {
        return;
    }
    if (map_count(&i->seen) >= SEEN_MAX) {
        irc_forget_people(i);
    }
    struct irc_person *p = (struct irc_person *)xmalloc(sizeof *p + prefix.n + 1);
    p->at_ms = clock_mono_ms();
    memcpy(p->prefix, prefix.p, prefix.n);
    p->prefix[prefix.n] = '\0';
    xfree(map_put(&i->seen, sv_of(folded), p));
}

static bool is_me(const struct irc *i, sv nick)
{
    return irc_same(nick, sv_of(i->nick), i->casemap);
}

static struct irc_room *room_of(struct irc *i, sv name)
{
    for (size_t k = 0; k < i->rooms_n; k++) {
        if (irc_same(name, sv_of(i->rooms[k].name), i->casemap)) {
            return &i->rooms[k];
        }
    }
    return NULL;
}

static void learn_prefix(struct irc *i, sv prefix)
{
    if (irc_prefix(prefix).host.n && !sv_copy(i->prefix, sizeof i->prefix, prefix)) {
        i->prefix[0] = '\0';
    }
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static int64_t time_of(const struct irc_msg *m)
{
    char text[40];
    int64_t ms = 0;
    return irc_tag(m, "time", text, sizeof text) && clock_iso_parse(sv_of(text), &ms) ? ms : 0;
}

static void hand_in(struct irc *i, const struct irc_msg *m, sv room, sv text, sv raw)
{
    struct irc_who who = irc_prefix(m->prefix);
    char made[96], msgid[200], account[128], chat[256];
    if (!irc_tag(m, "msgid", msgid, sizeof msgid)) {
        msgid[0] = '\0';
    }
    if (!irc_tag(m, "account", account, sizeof account)) {
        account[0] = '\0';
    }
    if (snprintf(made, sizeof made, "%lld-%llu-%llu-%llu", (long long)i->started_ms,
                 (unsigned long long)worker_inc(chan_worker(i->c)), (unsigned long long)i->connections,
                 (unsigned long long)++i->events) < 0 ||
        !irc_fold(chat, sizeof chat, room, i->casemap)) {
        return;
    }
    bool direct = sv_empty(room);
    sv typed = mention_strip(text, sv_of(i->nick));
    bool named = mention_word(text, sv_of(i->nick)) || mention_word(text, sv_of(i->conf.nick));
    struct chan_event e = {
        .event_id = sv_of(msgid[0] ? msgid : made),
        .chat_type = direct ? "direct" : "channel",
        .chat_id = direct ? m->prefix : sv_of(chat),
        .message_id = sv_of(msgid),
        .sender_id = account[0] ? sv_of(account) : m->prefix,
        .sender_name = who.nick,
        .text = sv_empty(typed) ? text : typed,
        .typed = typed,
        .raw = raw,
        .mentioned = named,
        .is_self = is_me(i, who.nick),
        .ts_ms = time_of(m),
    };
    int rc = chan_inbound(i->c, &e, NULL, NULL);
    if (rc == ERR_BUSY) {
        log_error("a message is lost: too many wait for the store");
    }
}

static void on_privmsg(struct irc *i, const struct irc_msg *m, sv raw)
{
    sv target = irc_param(m, 0), body = irc_param(m, 1), verb, rest;
    struct irc_who who = irc_prefix(m->prefix);
    if (sv_empty(who.host) || sv_empty(body) || m->n < 2) {
        return; /* servers speak too; they are nobody to talk to */
    }
    if (is_me(i, who.nick)) {
        char msgid[128];
        if (irc_tag(m, "msgid", msgid, sizeof msgid)) {
            irc_out_echo(i, target, body, msgid);
        }
        return;
    }
    irc_remember(i, m->prefix);
    struct buf text ATTR_CLEANUP(buf_free) = BUF_INIT(16384);
    if (irc_ctcp(body, &verb, &rest)) {
        if (!sv_eq_nocase(verb, SV("ACTION"))) {
            return;
        }
        buf_str(&text, "* ");
        buf_sv(&text, who.nick);
        buf_ch(&text, ' ');
        irc_plain(&text, rest);
    } else {
        irc_plain(&text, body);
    }
    sv shown = sv_trim(buf_view(&text));
    if (sv_empty(shown)) {
        return;
    }
    if (is_me(i, target)) {
        hand_in(i, m, SV_NULL, shown, raw);
    } else if (irc_is_channel(target, sv_of(i->chantypes))) {
        hand_in(i, m, target, shown, raw);
    }
}

/* ---- the server's bookkeeping ------------------------------------------------------------------------ */

static void on_isupport(struct irc *i, const struct irc_msg *m)
{
    for (size_t k = 1; k + 1 < m->n; k++) {
        sv value = m->params[k];
        sv name = sv_cut(&value, '=');
        if (sv_eqc(name, "CASEMAPPING")) {
            i->casemap = irc_casemap_of(value);
        } else if (sv_eqc(name, "CHANTYPES") && !sv_empty(value) &&
                   !sv_copy(i->chantypes, sizeof i->chantypes, value)) {
            sv_copy(i->chantypes, sizeof i->chantypes, SV("#&"));
        }
    }
}

static void on_join(struct irc *i, const struct irc_msg *m)
{
    struct irc_room *room = room_of(i, irc_param(m, 0));
    if (!is_me(i, irc_prefix(m->prefix).nick)) {
        return;
    }
    learn_prefix(i, m->prefix);
    if (room) {
        room->joined = true;
        irc_report(i);
    }
}

static void on_left(struct irc *i, sv room_name, sv nick, const char *how)
{
    struct irc_room *room = room_of(i, room_name);
    if (!is_me(i, nick)) {
        forget_person(i, nick);
        return;
    }
    if (room) {
        room->joined = false;
        log_warn("we %s %s; trying to come back", how, room->name);
        loop_timer_start(&i->reclaim, 10000);
        irc_report(i);
    }
}

static void on_nick(struct irc *i, const struct irc_msg *m)
{
    struct irc_who who = irc_prefix(m->prefix);
    if (!is_me(i, who.nick)) {
        forget_person(i, who.nick);
        forget_person(i, irc_param(m, 0));
        return;
    }
    if (sv_copy(i->nick, sizeof i->nick, irc_param(m, 0))) {
        struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(sizeof i->prefix - 1);
        buf_printf(&b, "%s!%.*s@%.*s", i->nick, SV_ARG(who.user), SV_ARG(who.host));
        learn_prefix(i, buf_view(&b));
        irc_report(i);
    }
}

/* Our own address out of a USERHOST answer. */
static void on_userhost(struct irc *i, const struct irc_msg *m)
{
    sv entry = sv_trim(irc_param(m, 1));
    sv nick = sv_cut(&entry, '=');
    if (nick.n && nick.p[nick.n - 1] == '*') {
        nick.n--;
    }
    if (is_me(i, nick) && entry.n > 1) {
        struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(sizeof i->prefix - 1);
        buf_printf(&b, "%s!%.*s", i->nick, SV_ARG(sv_sub(entry, 1, entry.n)));
        learn_prefix(i, buf_view(&b));
        return;
    }
    irc_out_userhost(i, m);
}

static void on_numeric(struct irc *i, unsigned num, const struct irc_msg *m)
{
    switch (num) {
    case 5: /* RPL_ISUPPORT */
        on_isupport(i, m);
        break;
    case 302: /* RPL_USERHOST */
        on_userhost(i, m);
        break;
    case 376: /* RPL_ENDOFMOTD */
    case 422: /* ERR_NOMOTD */
        if (i->phase == IRC_REGISTERING) {
            irc_online(i);
        }
        break;
    case 401: /* ERR_NOSUCHNICK */
    case 403: /* ERR_NOSUCHCHANNEL */
    case 404: /* ERR_CANNOTSENDTOCHAN */
    case 407: /* ERR_TOOMANYTARGETS */
    case 411: /* ERR_NORECIPIENT */
    case 412: /* ERR_NOTEXTTOSEND */
    case 415: /* ERR_BADMASK */
    case 477: /* ERR_NEEDREGGEDNICK */
    case 486: /* ERR_NONONREG */
    case 531: /* ERR_CANTSENDTOUSER */
        irc_out_refused(i, irc_param(m, 1), irc_param(m, m->n ? m->n - 1 : 0));
        break;
    case 471: /* ERR_CHANNELISFULL */
    case 473: /* ERR_INVITEONLYCHAN */
    case 474: /* ERR_BANNEDFROMCHAN */
    case 475: /* ERR_BADCHANNELKEY */
        log_warn("cannot join %.*s: %.*s", SV_ARG(irc_param(m, 1)), SV_ARG(irc_param(m, m->n - 1)));
        break;
    default:
        break;
    }
}

/* Words of the server other than numerics. */
static void on_word(struct irc *i, const struct irc_msg *m, sv raw)
{
    sv c = m->command;
    if (sv_eqc(c, "PRIVMSG")) {
        on_privmsg(i, m, raw);
    } else if (sv_eqc(c, "PONG")) {
        irc_out_pong(i, irc_param(m, m->n ? m->n - 1 : 0));
    } else if (sv_eqc(c, "JOIN")) {
        on_join(i, m);
    } else if (sv_eqc(c, "PART")) {
        on_left(i, irc_param(m, 0), irc_prefix(m->prefix).nick, "left");
    } else if (sv_eqc(c, "KICK")) {
        on_left(i, irc_param(m, 0), irc_param(m, 1), "were kicked out of");
    } else if (sv_eqc(c, "QUIT")) {
        forget_person(i, irc_prefix(m->prefix).nick);
    } else if (sv_eqc(c, "NICK")) {
        on_nick(i, m);
    }
}

/* ---- registration ------------------------------------------------------------------------------------ */

/* false: the connection is gone. */
static bool on_registering(struct irc *i, const struct irc_msg *m)
{
    switch (irc_reg_line(&i->reg, m)) {
    case REG_MORE:
        return true;
    case REG_WELCOME:
        if (!sv_copy(i->nick, sizeof i->nick, sv_of(i->reg.nick))) {
            i->nick[0] = '\0';
        }
        return true;
    case REG_NICK_TAKEN:
        loop_timer_start(&i->nick_retry, NICK_RETRY_MS);
        return true;
    case REG_REFUSED:
        i->stopping = true;
        chan_state(i->c, CHAN_NEEDS_OPERATOR, "%s", i->reg.why);
        worker_fail(chan_worker(i->c), EXIT_CONFIG, "%s", i->reg.why);
        return false;
    case REG_NO_SASL:
    case REG_BROKEN:
        irc_drop(i, i->reg.why);
        return false;
    }
    return true;
}

bool irc_on_line(void *ctx, sv line)
{
    struct irc *i = (struct irc *)ctx;
    struct irc_msg m;
    if (irc_parse(line, &m) != OK) {
        log_debug("a line of the server is not IRC");
        return true;
    }
    if (sv_eqc(m.command, "PING")) {
        irc_send1(i, "PONG", irc_param(&m, m.n ? m.n - 1 : 0));
        return i->stream != NULL;
    }
    if (i->phase == IRC_REGISTERING && !i->reg.welcome && !on_registering(i, &m)) {
        return false;
    }
    if (sv_eqc(m.command, "ERROR")) {
        struct buf why ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
        irc_plain(&why, sv_sub(irc_param(&m, 0), 0, 200));
        irc_drop(i, buf_cstr(&why));
        return false;
    }
    unsigned num = irc_numeric(&m);
    if (num) {
        on_numeric(i, num, &m);
    } else if (i->phase == IRC_ONLINE) {
        on_word(i, &m, line);
    }
    return i->stream != NULL;
}
