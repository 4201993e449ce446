/*
 * irc_proto.h: lines of IRC (RFC 1459/2812 framing, IRCv3 message tags): reading, writing, comparing names.
 * Runs in: channel workers.     Owns: nothing; a framer holds one unfinished line.
 * Never: trusts a length; lets a line end, a NUL or a missing colon of ours change what a line means.
 * Tested in: tests/unit/chan/test_irc_proto.c; fuzzed by tests/fuzz/fuzz_irc.c
 */
#ifndef TENAZA_WORKERS_CHAN_DRIVERS_IRC_PROTO_H
#define TENAZA_WORKERS_CHAN_DRIVERS_IRC_PROTO_H

#include "common/attrs.h"
#include "common/buf.h"
#include "common/sv.h"

#define IRC_LINE_MAX 510  /* bytes of a line without tags and without CRLF (RFC 2812, 2.3) */
#define IRC_TAGS_MAX 8191 /* bytes of incoming tags with '@' and space (IRCv3 message-tags) */
#define IRC_PARAMS_MAX 15

/* ---- framing ----------------------------------------------------------------------------------------- */

/* Collects bytes into lines. Servers may send more than 510 bytes; what does not fit is dropped whole. */
struct irc_framer {
    char buf[IRC_TAGS_MAX + 2 * IRC_LINE_MAX];
    size_t n;
    bool skipping;    /* the current line was too long */
    uint64_t dropped; /* lines thrown away */
};

/* line: without its end, never empty; dies with the call. Returns false to stop (the framer may be gone). */
typedef bool irc_line_fn(void *ctx, sv line);
void irc_frame(struct irc_framer *f, sv bytes, irc_line_fn *fn, void *ctx);

/* ---- one line ---------------------------------------------------------------------------------------- */

struct irc_msg {
    sv tags;    /* without '@' */
    sv prefix;  /* without ':' */
    sv command; /* letters or three digits, as sent */
    sv params[IRC_PARAMS_MAX];
    size_t n;
};

struct irc_who {
    sv nick, user, host; /* user and host empty for a server */
};

/* ERR_PARSE: no command, or a NUL inside. Views into line. */
int irc_parse(sv line, struct irc_msg *out) ATTR_NODISCARD;
/* The nth parameter, SV_NULL when there are fewer. */
sv irc_param(const struct irc_msg *m, size_t i);
/* Number of a numeric reply (1..999), 0 for a word. */
unsigned irc_numeric(const struct irc_msg *m);
/* Unescaped value of a tag into dst (terminated); false when absent or too long. "" for a tag without value. */
bool irc_tag(const struct irc_msg *m, const char *key, char *dst, size_t cap);
struct irc_who irc_prefix(sv prefix);

/* Appends "COMMAND p1 p2 :last\r\n". false and nothing appended: a parameter holds CR, LF or NUL, a middle one
 * is empty, has a space or starts with ':', or the line is longer than IRC_LINE_MAX. */
bool irc_put(struct buf *dst, const char *command, const sv *params, size_t n) ATTR_NODISCARD;

/* ---- names ------------------------------------------------------------------------------------------- */

enum irc_casemap { IRC_RFC1459, IRC_RFC1459_STRICT, IRC_ASCII };

enum irc_casemap irc_casemap_of(sv name); /* value of CASEMAPPING; RFC1459 when unknown */
bool irc_same(sv a, sv b, enum irc_casemap map);
/* Lower case under the map; false when it does not fit. */
bool irc_fold(char *dst, size_t cap, sv name, enum irc_casemap map);
bool irc_is_channel(sv target, sv chantypes);
/* Does the mask (with '*' and '?') match the whole id? Without wildcards: equality under the map. */
bool irc_mask(sv mask, sv id, enum irc_casemap map);

/* ---- text -------------------------------------------------------------------------------------------- */

/* "\1VERB rest\1": true, with verb and rest (rest may be empty). */
bool irc_ctcp(sv text, sv *verb, sv *rest);
/* Appends text without colour and style codes and other control characters, as valid UTF-8 (what is not
 * UTF-8 is read as Latin-1). */
void irc_plain(struct buf *dst, sv text);
/* Appends text that may be sent in one line: control characters become spaces. */
void irc_sanitise(struct buf *dst, sv text);
/* Bytes of text that fit behind "PRIVMSG target :" when the server puts ":prefix " in front. At least 100. */
size_t irc_budget(size_t prefix_len, sv target);

#endif
