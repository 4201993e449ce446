/*
 * irc.c: IRC as a channel: one connection, registered, kept alive, and opened again when it is lost.
 * Runs in: channel workers.     Owns: the connection and its timers.
 * Never: blocks; gives up on a server that is only away.
 * Tested in: tests/unit/chan/test_irc_reg.c, test_irc_proto.c; scenario c1
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "workers/chan/drivers/irc_int.h"

#define CONNECT_MS 20000
#define REGISTER_MS 45000
#define SILENCE_MS 90000    /* then we ask with a PING of our own (channels.md 2.11) */
#define DEAF_MS 120000      /* then the connection is dead */
#define TICK_MS 10000
#define RECLAIM_MS 60000
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 60000
#define STABLE_MS 60000     /* online for this long: the next loss starts at the first backoff again */

static void connect_now(struct irc *i);

/* ---- sending ----------------------------------------------------------------------------------------- */

void irc_send(struct irc *i, const char *command, const sv *params, size_t n)
{
    struct buf line ATTR_CLEANUP(buf_free) = BUF_INIT(IRC_LINE_MAX + 2);
    if (!i->stream) {
        return;
    }
    if (!irc_put(&line, command, params, n)) {
        log_warn("a %s line was not sent: it does not fit or holds a line end", command);
        return;
    }
    if (stream_write(i->stream, buf_view(&line)) != OK) {
        log_warn("a %s line was not sent: the connection takes nothing", command);
    }
}

void irc_send1(struct irc *i, const char *command, sv a)
{
    irc_send(i, command, &a, 1);
}

void irc_send2(struct irc *i, const char *command, sv a, sv b)
{
    sv p[2] = {a, b};
    irc_send(i, command, p, 2);
}

static void emit(void *ctx, const char *command, const sv *params, size_t n)
{
    irc_send((struct irc *)ctx, command, params, n);
}

/* ---- connection -------------------------------------------------------------------------------------- */

static void close_all(struct irc *i)
{
    irc_out_lost(i);
    stream_free(i->stream);
    i->stream = NULL;
    i->phase = IRC_DOWN;
    i->prefix[0] = '\0';
    loop_timer_stop(&i->tick);
    loop_timer_stop(&i->reg_limit);
    loop_timer_stop(&i->nick_retry);
    loop_timer_stop(&i->reclaim);
    irc_forget_people(i);
    for (size_t k = 0; k < i->rooms_n; k++) {
        i->rooms[k].joined = false;
    }
}

/* 1 s doubling up to 60 s, 20 % jitter either way. */
static int64_t backoff(struct irc *i)
{
    if (i->phase == IRC_ONLINE && clock_mono_ms() - i->online_ms > STABLE_MS) {
        i->attempts = 0;
    }
    unsigned shift = i->attempts < 6 ? i->attempts : 6;
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << shift;
    ms = ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms;
    uint16_t r = 0;
    id_random(&r, sizeof r);
    i->attempts++;
    return ms * 8 / 10 + ms * 4 / 10 * r / 65536;
}

void irc_drop(struct irc *i, const char *why)
{
    int64_t wait = backoff(i);
    char text[256];
    if (!sv_copy(text, sizeof text, sv_sub(sv_of(why), 0, sizeof text - 1))) {
        text[0] = '\0';
    }
    if (i->stopping) {
        return;
    }
    if (i->phase == IRC_ONLINE) {
        chan_count_reconnect(i->c);
    }
    close_all(i);
    chan_state(i->c, CHAN_RECONNECTING, "%s:%u: %s; trying again", i->host, (unsigned)i->port, text);
    loop_timer_start(&i->reconnect, wait);
}

static void on_up(void *ctx)
{
    struct irc *i = (struct irc *)ctx;
    i->phase = IRC_REGISTERING;
    i->connections++;
    i->casemap = IRC_RFC1459;
    if (!sv_copy(i->chantypes, sizeof i->chantypes, SV("#&"))) {
        i->chantypes[0] = '\0';
    }
    i->framer->n = 0;
    i->framer->skipping = false;
    i->last_rx_ms = clock_mono_ms();
    stream_pause(i->stream, i->paused);
    loop_timer_start(&i->reg_limit, REGISTER_MS);
    irc_reg_start(&i->reg, &i->conf, emit, i);
}

static void on_data(void *ctx, sv bytes)
{
    struct irc *i = (struct irc *)ctx;
    i->last_rx_ms = clock_mono_ms();
    irc_frame(i->framer, bytes, irc_on_line, i);
}

static void on_down(void *ctx, const char *why, bool trust)
{
    struct irc *i = (struct irc *)ctx;
    if (trust && !i->stopping) {
        i->stopping = true;
        chan_state(i->c, CHAN_NEEDS_OPERATOR, "%s", why);
        worker_fail(chan_worker(i->c), EXIT_CONFIG, "%s:%u: %s", i->host, (unsigned)i->port, why);
        return;
    }
    irc_drop(i, why);
}

static void connect_now(struct irc *i)
{
    static const struct stream_ops ops = {on_up, on_data, on_down};
    struct stream_opts o = {
        .host = i->host,
        .port = i->port,
        .tls = i->tls,
        .verify = i->verify,
        .cert_file = i->cert_file,
        .key_file = i->key_file,
        .connect_ms = CONNECT_MS,
    };
    i->phase = IRC_CONNECTING;
    i->stream = stream_open(chan_loop(i->c), &o, &ops, i);
}

static void on_reconnect(void *ctx)
{
    connect_now((struct irc *)ctx);
}

static void on_reg_limit(void *ctx)
{
    struct irc *i = (struct irc *)ctx;
    if (i->reg.welcome) {
        irc_online(i); /* a server without an end of its message of the day */
        return;
    }
    irc_drop(i, "registration took too long");
}

static void on_nick_retry(void *ctx)
{
    struct irc *i = (struct irc *)ctx;
    if (i->phase == IRC_REGISTERING) {
        irc_reg_retry_nick(&i->reg);
    }
}

/* ---- online ------------------------------------------------------------------------------------------ */

void irc_report(struct irc *i)
{
    size_t joined = 0;
    for (size_t k = 0; k < i->rooms_n; k++) {
        joined += i->rooms[k].joined ? 1 : 0;
    }
    chan_identity(i->c, sv_of(i->nick));
    chan_state(i->c, CHAN_UP, "connected as %s to %s:%u, %zu of %zu channels", i->nick, i->host,
               (unsigned)i->port, joined, i->rooms_n);
}

static void on_tick(void *ctx)
{
    struct irc *i = (struct irc *)ctx;
    int64_t quiet = clock_mono_ms() - i->last_rx_ms;
    if (i->paused) {
        i->last_rx_ms = clock_mono_ms(); /* we are the ones who do not read */
    } else if (quiet > DEAF_MS) {
        irc_drop(i, "the server stopped answering");
        return;
    } else if (quiet > SILENCE_MS) {
        irc_send1(i, "PING", SV("tenaza"));
    }
    loop_timer_start(&i->tick, TICK_MS);
}

static void join_rooms(struct irc *i)
{
    for (size_t k = 0; k < i->rooms_n; k++) {
        if (!i->rooms[k].joined) {
            irc_send1(i, "JOIN", sv_of(i->rooms[k].name));
        }
    }
}

/* Every minute: is the wanted nick free now, can we enter where we are not? */
static void on_reclaim(void *ctx)
{
    struct irc *i = (struct irc *)ctx;
    if (!irc_same(sv_of(i->nick), sv_of(i->conf.nick), i->casemap)) {
        irc_send1(i, "NICK", sv_of(i->conf.nick));
    }
    join_rooms(i);
    loop_timer_start(&i->reclaim, RECLAIM_MS);
}

void irc_online(struct irc *i)
{
    i->phase = IRC_ONLINE;
    i->online_ms = clock_mono_ms();
    loop_timer_stop(&i->reg_limit);
    if (i->nickserv_password && !i->reg.sasl_done) {
        struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(400);
        buf_printf(&b, "IDENTIFY %s %s", i->conf.nick, i->nickserv_password);
        irc_send2(i, "PRIVMSG", SV("NickServ"), buf_view(&b));
    }
    irc_send1(i, "USERHOST", sv_of(i->nick)); /* how long is our prefix? */
    join_rooms(i);
    irc_report(i);
    loop_timer_start(&i->tick, TICK_MS);
    loop_timer_start(&i->reclaim, RECLAIM_MS);
}

/* ---- driver ------------------------------------------------------------------------------------------ */

static const char *or_else(const char *value, const char *fallback)
{
    return value[0] ? value : fallback;
}

static void load_rooms(struct irc *i, const struct conf *conf)
{
    size_t n = conf_count(conf, "channels");
    for (size_t k = 0; k < n && i->rooms_n < IRC_ROOMS_MAX; k++) {
        const char *name = conf_at(conf, "channels", k);
        if (name && irc_is_channel(sv_of(name), SV("#&+!")) && sv_chr(sv_of(name), ' ') < 0) {
            i->rooms[i->rooms_n++] = (struct irc_room){name, false};
        } else {
            log_warn("channels: \"%s\" is not the name of an IRC channel", name ? name : "");
        }
    }
}

static int load(struct irc *i, const struct conf *conf)
{
    i->host = xstrdup(conf_str(conf, "host", ""));
    i->tls = conf_bool(conf, "tls", true);
    i->verify = conf_bool(conf, "tlsVerify", true);
    int64_t port = conf_int(conf, "port", 0);
    i->port = (uint16_t)(port > 0 && port < 65536 ? port : i->tls ? 6697 : 6667);
    i->conf.nick = conf_str(conf, "nick", "");
    i->conf.username = or_else(conf_str(conf, "username", ""), i->conf.nick);
    i->conf.realname = or_else(conf_str(conf, "realname", ""), i->conf.nick);
    i->conf.password = conf_secret(conf, "password", "");
    i->conf.sasl_user = conf_str(conf, "sasl.user", "");
    i->conf.sasl_password = conf_secret(conf, "sasl.password", "");
    const char *mechanism = conf_str(conf, "sasl.mechanism", "");
    i->conf.sasl_external = strcmp(mechanism, "EXTERNAL") == 0;
    i->conf.sasl = i->conf.sasl_external || i->conf.sasl_user[0];
    const char *cert = conf_str(conf, "sasl.cert", ""), *key = conf_str(conf, "sasl.key", "");
    i->cert_file = cert[0] ? cert : NULL;
    i->key_file = key[0] ? key : NULL;
    const char *ns = conf_secret(conf, "nickserv.password", "");
    i->nickserv_password = ns[0] ? ns : NULL;
    load_rooms(i, conf);
    if (!i->host[0] || !i->conf.nick[0]) {
        return ERR_BAD;
    }
    return OK;
}

static int start(struct chan *c)
{
    struct irc *i = (struct irc *)xcalloc(1, sizeof *i);
    struct loop *l = chan_loop(c);
    i->c = c;
    i->framer = (struct irc_framer *)xcalloc(1, sizeof *i->framer);
    i->started_ms = clock_real_ms();
    i->seen = MAP_INIT;
    list_init(&i->outs);
    loop_timer_init(&i->tick, l, on_tick, i);
    loop_timer_init(&i->reconnect, l, on_reconnect, i);
    loop_timer_init(&i->reg_limit, l, on_reg_limit, i);
    loop_timer_init(&i->nick_retry, l, on_nick_retry, i);
    loop_timer_init(&i->reclaim, l, on_reclaim, i);
    chan_set_ctx(c, i);
    if (load(i, chan_conf(c)) != OK) {
        worker_fail(chan_worker(c), EXIT_CONFIG, "channels.irc: host and nick are required");
        return EXIT_CONFIG;
    }
    if (i->conf.sasl && !i->conf.sasl_external && !i->tls) {
        log_warn("the SASL password goes over an unencrypted connection (tls = false)");
    }
    chan_rate(c, 60, 4); /* one line a second, four at once: below every common flood limit */
    chan_state(c, CHAN_STARTING, "connecting to %s:%u", i->host, (unsigned)i->port);
    connect_now(i);
    return 0;
}

static void stop(struct chan *c)
{
    struct irc *i = (struct irc *)chan_ctx(c);
    i->stopping = true;
    if (i->phase == IRC_ONLINE) {
        irc_send1(i, "QUIT", SV("restarting"));
    }
    loop_timer_stop(&i->reconnect);
    close_all(i);
    map_free(&i->seen);
    xfree(i->framer);
    xfree(i->host);
    xfree(i);
}

static void pause_reading(struct chan *c, bool on)
{
    struct irc *i = (struct irc *)chan_ctx(c);
    i->paused = on;
    if (i->stream) {
        stream_pause(i->stream, on);
    }
}

static void probe(struct chan *c)
{
    irc_send1((struct irc *)chan_ctx(c), "PING", SV("probe"));
}

static bool match_sender(const void *ctx, sv entry, sv id)
{
    const struct irc *i = (const struct irc *)chan_ctx((const struct chan *)ctx);
    return irc_mask(entry, id, i->casemap);
}

const struct chan_driver chan_irc = {
    .name = "irc",
    .markup = MARKUP_PLAIN,
    .window = 8,
    .say_refusals = true,
    .can_mention = true,
    .max_age_ms = 900000, /* channels.md 1.4: 15 minutes */
    .start = start,
    .stop = stop,
    .limits = irc_limits,
    .send_part = irc_send_part,
    .pause = pause_reading,
    .probe = probe,
    .match_sender = match_sender,
    .match_group = match_sender,
};
