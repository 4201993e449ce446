/*
 * irc_reg.h: from an open connection to a registered one: CAP, SASL, PASS, NICK, USER, up to 001.
 * Runs in: channel workers.     Owns: nothing but its counters; lines leave through emit.
 * Never: touches a socket or a clock; sends anything but registration commands before 001.
 * Tested in: tests/unit/chan/test_irc_reg.c
 */
#ifndef TENAZA_WORKERS_CHAN_DRIVERS_IRC_REG_H
#define TENAZA_WORKERS_CHAN_DRIVERS_IRC_REG_H

#include "workers/chan/drivers/irc_proto.h"

/* Capabilities we ask for, one REQ each: a server refuses a whole REQ for one word (channels.md 2.11). */
enum irc_cap {
    IRC_CAP_SASL,
    IRC_CAP_SERVER_TIME,
    IRC_CAP_MESSAGE_TAGS,
    IRC_CAP_MSGID,
    IRC_CAP_ECHO_MESSAGE,
    IRC_CAP_ACCOUNT_TAG,
    IRC_CAP_BATCH,
    IRC_CAP_LABELED_RESPONSE,
    IRC_CAP_MULTI_PREFIX,
    IRC_CAPS
};

struct irc_reg_conf {
    const char *nick, *username, *realname;
    const char *password;                  /* of the server, "" for none */
    const char *sasl_user, *sasl_password; /* "" for none */
    bool sasl, sasl_external;
};

typedef void irc_emit_fn(void *ctx, const char *command, const sv *params, size_t n);

enum irc_reg_event {
    REG_MORE,       /* not for us, or go on */
    REG_WELCOME,    /* registered; reg.nick is our name */
    REG_NICK_TAKEN, /* wait a moment, then irc_reg_retry_nick */
    REG_NO_SASL,    /* the server offers no SASL now: try again later */
    REG_REFUSED,    /* reg.why: the operator must change something */
    REG_BROKEN,     /* reg.why: try again later */
};

struct irc_reg {
    const struct irc_reg_conf *conf;
    irc_emit_fn *emit;
    void *ctx;
    char nick[64];
    unsigned nick_tries;
    unsigned asked, answered; /* REQ lines */
    bool offered[IRC_CAPS], on[IRC_CAPS];
    bool listed, cap_ended, sasl_done, welcome;
    char why[256];
};

void irc_reg_start(struct irc_reg *r, const struct irc_reg_conf *conf, irc_emit_fn *emit, void *ctx);
enum irc_reg_event irc_reg_line(struct irc_reg *r, const struct irc_msg *m);
/* The wanted nick again for the first times (the server may not have noticed yet that our former connection
 * is gone), then with '_' behind it. */
void irc_reg_retry_nick(struct irc_reg *r);

#endif
