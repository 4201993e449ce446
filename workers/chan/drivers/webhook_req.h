/*
 * webhook_req.h: what a webhook request must look like: signature, time window, fields of the body.
 * Runs in: channel workers.     Owns: nothing.
 * Never: compares a secret in variable time; reads a clock.
 * Tested in: tests/unit/chan/test_webhook_req.c
 */
#ifndef TENAZA_WORKERS_CHAN_DRIVERS_WEBHOOK_REQ_H
#define TENAZA_WORKERS_CHAN_DRIVERS_WEBHOOK_REQ_H

#include "common/arena.h"
#include "common/attrs.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/sv.h"
#include "proto/messages.h"

/* A signed request is good for this long in both directions (channels.md 2.20). */
#define WEBHOOK_WINDOW_S 300
#define WEBHOOK_TEXT_MAX ((size_t)512 * 1024) /* bytes, as INGEST.text */

struct webhook_auth {
    sv secret; /* empty: signatures are not accepted */
    sv bearer; /* empty: bearer tokens are not accepted */
};

/* Appends "sha256=<hex of HMAC-SHA-256(secret, ts + "." + body)>". ts: seconds, as in X-Timestamp. */
void webhook_sign(struct buf *dst, sv secret, sv ts, sv body);
/* OK, or ERR_DENIED with *why (static text, for the log only). Header values; SV_NULL when absent. */
int webhook_check(const struct webhook_auth *a, sv authorization, sv signature, sv timestamp, sv body,
                  int64_t now_ms, const char **why) ATTR_NODISCARD;

struct webhook_msg {
    sv id;              /* empty: the caller makes one */
    sv from, chat, thread, text;
    int64_t ts_ms;      /* 0: not given */
    struct msg_media *media;
    size_t media_n;
};

/* Reads the JSON body; strings live in the arena. ERR_PARSE: not a JSON object; ERR_BAD: *field is wrong or
 * missing; ERR_TOOBIG: *field is too long. why: at least 160 bytes, one sentence for people. */
int webhook_parse(sv body, struct arena *a, struct webhook_msg *out, const char **field, char *why,
                  size_t why_cap) ATTR_NODISCARD;

/* The id of a message that has none: hash of the body and the minute. dst: at least 40 bytes. */
void webhook_make_id(sv body, int64_t now_ms, char *dst, size_t cap);

#endif
