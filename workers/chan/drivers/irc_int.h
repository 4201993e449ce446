/*
 * irc_int.h: state of the IRC driver, shared by its files: irc.c (connection), irc_in.c (lines that arrive),
 *            irc_out.c (parts that leave).
 * Runs in: channel workers.     Owns: struct irc.
 * Never: included outside drivers/irc*.c.
 * Tested in: scenario c1
 */
#ifndef TENAZA_WORKERS_CHAN_DRIVERS_IRC_INT_H
#define TENAZA_WORKERS_CHAN_DRIVERS_IRC_INT_H

#include "common/map.h"
#include "workers/chan/chan.h"
#include "workers/chan/drivers/irc_proto.h"
#include "workers/chan/drivers/irc_reg.h"
#include "workers/chan/stream.h"

#define IRC_ROOMS_MAX 100

enum irc_phase { IRC_DOWN, IRC_CONNECTING, IRC_REGISTERING, IRC_ONLINE };

struct irc_room {
    const char *name; /* as configured */
    bool joined;
};

/* Who had a nick when we last heard of it. Without a shared channel we are not told when that changes. */
struct irc_person {
    int64_t at_ms; /* monotonic */
    char prefix[];
};

struct irc {
    struct chan *c;
    struct irc_reg_conf conf;
    char *host;
    uint16_t port;
    bool tls, verify, nickserv_said;
    const char *cert_file, *key_file, *nickserv_password;
    struct irc_room rooms[IRC_ROOMS_MAX];
    size_t rooms_n;

    enum irc_phase phase;
    struct stream *stream;
    struct irc_framer *framer;
    struct irc_reg reg;
    char nick[64];        /* what we are called on this connection */
    char prefix[192];     /* our own "nick!user@host" as others see it; empty until known */
    enum irc_casemap casemap;
    char chantypes[16];
    bool paused, stopping;

    int64_t started_ms;   /* real time of the process start: part of made event ids */
    uint64_t connections, events;
    int64_t last_rx_ms, online_ms;
    unsigned attempts;    /* failed or lost connections in a row */
    struct loop_timer tick;      /* keepalive while online */
    struct loop_timer reconnect;
    struct loop_timer reg_limit; /* registration must end within this */
    struct loop_timer nick_retry;
    struct loop_timer reclaim;   /* wanted nick, rooms we are not in */

    struct map seen;      /* folded nick -> struct irc_person, on this connection */
    struct list outs;     /* struct irc_out: parts under way */
    uint64_t next_token;
};

/* irc.c */
void irc_send(struct irc *i, const char *command, const sv *params, size_t n);
void irc_send1(struct irc *i, const char *command, sv a);
void irc_send2(struct irc *i, const char *command, sv a, sv b);
/* Ends the connection; reconnects later. Nothing of the connection may be used afterwards in this turn. */
void irc_drop(struct irc *i, const char *why);
void irc_online(struct irc *i);
void irc_report(struct irc *i); /* state and status line while online */

/* irc_in.c */
bool irc_on_line(void *ctx, sv line); /* irc_line_fn */
void irc_remember(struct irc *i, sv prefix);
void irc_forget_people(struct irc *i);

/* irc_out.c */
void irc_send_part(struct chan *c, struct chan_part *p);
void irc_limits(struct chan *c, sv chat_id, struct chunk_opts *out);
void irc_out_pong(struct irc *i, sv token);
void irc_out_refused(struct irc *i, sv target, sv text);  /* an error numeric about target */
void irc_out_userhost(struct irc *i, const struct irc_msg *m); /* 302 */
void irc_out_echo(struct irc *i, sv target, sv text, const char *msgid);
void irc_out_lost(struct irc *i); /* the connection is gone: settles everything under way */

#endif
