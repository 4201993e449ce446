/*
 * irc_reg.c: see irc_reg.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: puts a password into reg.why.
 * Tested in: tests/unit/chan/test_irc_reg.c
 */
#include "workers/chan/drivers/irc_reg.h"

#include <stdio.h>

#include "common/err.h"
#include "common/text.h"

#define SAME_NICK_TRIES 4   /* 4 x 400 ms */
#define SASL_PIECE 400      /* bytes of base64 in one AUTHENTICATE line (IRCv3 sasl) */

static const char *const cap_names[IRC_CAPS] = {
    "sasl",        "server-time", "message-tags",     "msgid",        "echo-message",
    "account-tag", "batch",       "labeled-response", "multi-prefix",
};

static void emit1(struct irc_reg *r, const char *command, sv a)
{
    r->emit(r->ctx, command, &a, 1);
}

static void emit2(struct irc_reg *r, const char *command, sv a, sv b)
{
    sv p[2] = {a, b};
    r->emit(r->ctx, command, p, 2);
}

void irc_reg_start(struct irc_reg *r, const struct irc_reg_conf *conf, irc_emit_fn *emit, void *ctx)
{
    *r = (struct irc_reg){.conf = conf, .emit = emit, .ctx = ctx};
    if (!sv_copy(r->nick, sizeof r->nick, sv_of(conf->nick))) {
        sv_copy(r->nick, sizeof r->nick, SV("tenaza"));
    }
    emit2(r, "CAP", SV("LS"), SV("302"));
    if (conf->password[0]) {
        emit1(r, "PASS", sv_of(conf->password));
    }
    emit1(r, "NICK", sv_of(r->nick));
    sv user[4] = {sv_of(conf->username), SV("0"), SV("*"), sv_of(conf->realname)};
    r->emit(r->ctx, "USER", user, 4);
}

static enum irc_reg_event fail(struct irc_reg *r, enum irc_reg_event event, const char *what, sv said)
{
    struct buf clean ATTR_CLEANUP(buf_free) = BUF_INIT(1024);
    irc_plain(&clean, sv_sub(said, 0, 150));
    if (snprintf(r->why, sizeof r->why, "%s%s%s", what, clean.n ? ": " : "", buf_cstr(&clean)) < 0) {
        r->why[0] = '\0';
    }
    return event;
}

/* ---- capabilities ------------------------------------------------------------------------------------ */

static bool wanted(const struct irc_reg *r, size_t i)
{
    return r->offered[i] && (i != IRC_CAP_SASL || r->conf->sasl);
}

static enum irc_reg_event end_caps(struct irc_reg *r)
{
    if (!r->cap_ended) {
        r->cap_ended = true;
        emit1(r, "CAP", SV("END"));
    }
    return REG_MORE;
}

static enum irc_reg_event caps_settled(struct irc_reg *r)
{
    if (!r->conf->sasl) {
        return end_caps(r);
    }
    if (!r->on[IRC_CAP_SASL]) {
        return fail(r, REG_NO_SASL, "the server offers no SASL now", SV_NULL);
    }
    emit1(r, "AUTHENTICATE", r->conf->sasl_external ? SV("EXTERNAL") : SV("PLAIN"));
    return REG_MORE;
}

static void note_caps(struct irc_reg *r, sv list, bool *set)
{
    while (!sv_empty(list)) {
        sv word = sv_cut(&list, ' ');
        sv name = sv_cut(&word, '=');
        for (size_t i = 0; i < IRC_CAPS; i++) {
            if (sv_eqc(name, cap_names[i])) {
                set[i] = true;
            }
        }
    }
    UNUSED(r);
}

static enum irc_reg_event on_cap(struct irc_reg *r, const struct irc_msg *m)
{
    sv verb = irc_param(m, 1);
    if (sv_eqc(verb, "LS") && !r->listed) {
        bool more = m->n > 3 && sv_eqc(irc_param(m, 2), "*");
        note_caps(r, irc_param(m, m->n - 1), r->offered);
        if (more) {
            return REG_MORE;
        }
        r->listed = true;
        for (size_t i = 0; i < IRC_CAPS; i++) {
            if (wanted(r, i)) {
                r->asked++;
                emit2(r, "CAP", SV("REQ"), sv_of(cap_names[i]));
            }
        }
        return r->asked == 0 ? caps_settled(r) : REG_MORE;
    }
    bool ack = sv_eqc(verb, "ACK");
    if ((ack || sv_eqc(verb, "NAK")) && r->answered < r->asked) {
        if (ack) {
            note_caps(r, irc_param(m, m->n - 1), r->on);
        }
        r->answered++;
        return r->answered == r->asked ? caps_settled(r) : REG_MORE;
    }
    return REG_MORE;
}

/* ---- SASL -------------------------------------------------------------------------------------------- */

static void send_credentials(struct irc_reg *r)
{
    if (r->conf->sasl_external) {
        emit1(r, "AUTHENTICATE", SV("+"));
        return;
    }
    struct buf plain ATTR_CLEANUP(buf_free) = BUF_INIT(2048);
    struct buf b64 ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
    buf_ch(&plain, '\0');
    buf_str(&plain, r->conf->sasl_user);
    buf_ch(&plain, '\0');
    buf_str(&plain, r->conf->sasl_password);
    b64_encode(&b64, buf_view(&plain), B64_STD);
    sv rest = buf_view(&b64);
    bool full = true;
    while (rest.n > 0) {
        sv piece = sv_sub(rest, 0, SASL_PIECE);
        emit1(r, "AUTHENTICATE", piece);
        rest = sv_sub(rest, piece.n, rest.n);
        full = piece.n == SASL_PIECE;
    }
    if (full) {
        emit1(r, "AUTHENTICATE", SV("+")); /* a last piece of exactly 400 bytes needs an end mark */
    }
}

/* ---- nick -------------------------------------------------------------------------------------------- */

void irc_reg_retry_nick(struct irc_reg *r)
{
    r->nick_tries++;
    if (r->nick_tries > SAME_NICK_TRIES) {
        size_t n = strlen(r->nick);
        size_t marks = r->nick_tries - SAME_NICK_TRIES;
        if (marks > 1 && n > 1 && marks % 3 == 0) {
            r->nick[n - 2] = '-'; /* the server may cut long nicks: change inside as well */
        } else if (n + 1 < sizeof r->nick) {
            r->nick[n] = '_';
            r->nick[n + 1] = '\0';
        }
    }
    emit1(r, "NICK", sv_of(r->nick));
}

static enum irc_reg_event on_numeric(struct irc_reg *r, unsigned num, const struct irc_msg *m)
{
    sv said = irc_param(m, m->n ? m->n - 1 : 0);
    switch (num) {
    case 1: /* RPL_WELCOME: the first parameter is what we are called now */
        r->welcome = true;
        sv_copy(r->nick, sizeof r->nick, irc_param(m, 0));
        return REG_WELCOME;
    case 433: /* ERR_NICKNAMEINUSE */
    case 436: /* ERR_NICKCOLLISION */
    case 437: /* ERR_UNAVAILRESOURCE */
        return r->nick_tries > 12 ? fail(r, REG_BROKEN, "no free nick", said) : REG_NICK_TAKEN;
    case 432: /* ERR_ERRONEUSNICKNAME */
        return r->nick_tries > SAME_NICK_TRIES ? fail(r, REG_BROKEN, "no free nick", said)
                                               : fail(r, REG_REFUSED, "the server refuses the nick", said);
    case 464: /* ERR_PASSWDMISMATCH */
        return fail(r, REG_REFUSED, "the server refuses the password", said);
    case 465: /* ERR_YOUREBANNEDCREEP */
        return fail(r, REG_REFUSED, "we are banned from the server", said);
    case 903: /* RPL_SASLSUCCESS */
        r->sasl_done = true;
        return end_caps(r);
    case 902: /* ERR_NICKLOCKED */
    case 904: /* ERR_SASLFAIL */
    case 905: /* ERR_SASLTOOLONG */
        return fail(r, REG_REFUSED, "SASL login failed", said);
    case 906: /* ERR_SASLABORTED */
        return fail(r, REG_BROKEN, "SASL login was aborted", said);
    default:
        return REG_MORE;
    }
}

enum irc_reg_event irc_reg_line(struct irc_reg *r, const struct irc_msg *m)
{
    if (sv_eq_nocase(m->command, SV("CAP"))) {
        return r->welcome ? REG_MORE : on_cap(r, m);
    }
    if (sv_eq_nocase(m->command, SV("AUTHENTICATE"))) {
        if (!r->sasl_done && sv_eqc(irc_param(m, 0), "+")) {
            send_credentials(r);
        }
        return REG_MORE;
    }
    if (sv_eq_nocase(m->command, SV("ERROR"))) {
        return fail(r, REG_BROKEN, "the server closed the link", irc_param(m, 0));
    }
    return on_numeric(r, irc_numeric(m), m);
}
