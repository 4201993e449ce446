/*
 * connect_int.h: the handshake as its three files see it: checks (connect.c), refusals (connect_refuse.c),
 *                devices and hello-ok (connect_pair.c).
 * Runs in: edge.     Owns: struct handshake.
 * Never: included by anybody else.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_CONNECT_INT_H
#define TENAZA_EDGE_CONNECT_INT_H

#include "workers/edge/connect.h"
#include "workers/edge/connect_params.h"
#include "workers/edge/frame.h"
#include "workers/edge/hello.h"
#include "workers/edge/pairing.h"

#define DEVICE_LOOKUP_MS 10000 /* inside the handshake's 15 s */

struct refusal {
    const char *code;
    char message[512];
    struct buf details; /* JSON object, may be empty */
    bool retryable;
    int64_t retry_after_ms;
    uint16_t close;
    char reason[512]; /* empty: the message */
};

struct handshake {
    struct conn *c;
    char nonce[37];
    char *host, *origin;
    struct frame frame; /* the connect request */
    struct connect_params p;
    uint8_t key[32];
    bool local;
    bool shared_ok; /* token, password or mode none */
    bool asked;     /* connect was seen */
    struct refusal refusal;
    struct loop_timer delay; /* a failed login is answered late (5.4) */
    struct buf early[CONN_EARLY_MAX];
    size_t early_n;
    struct hello_device device;
    struct pair_result pair; /* why the device has to wait */
    struct buf approved_roles, approved_scopes; /* of the stored record, for the refusal */
};

/* ---- connect_refuse.c: every one of these ends the handshake ---- */

/* Callback of handshake.delay. */
void handshake_send_refusal(void *ctx);
/* With what h->refusal already holds (details, retry, close code; default 1008). */
void refuse(struct handshake *h, const char *code, const char *message);
/* details: {"code":...,"reason":...}; reason may be NULL. */
void refuse_as(struct handshake *h, const char *code, const char *message, const char *detail, const char *reason);
/* A failed proof: the answer waits a little longer each time, remote addresses are locked (5.4). */
struct auth_refusal {
    const char *message, *detail, *reason, *next;
    bool retry_with_device;
};
void refuse_auth(struct handshake *h, const struct auth_refusal *r);
void refuse_secret(struct handshake *h);
void refuse_locked(struct handshake *h, int64_t ms);
void refuse_protocol(struct handshake *h);
void refuse_starting(struct handshake *h);
/* The store did not answer; the client may try again. */
void refuse_for_now(struct handshake *h, const char *message);
/* Section 7.4. */
void refuse_pairing(struct handshake *h, sv request_id);

/* ---- connect_pair.c ---- */

/* hello-ok; then what came in early runs. The handshake is gone afterwards. */
void handshake_accept(struct handshake *h, bool keep_scopes);
/* The proof of the device is good: looks it up and goes on from there. */
void handshake_device(struct handshake *h);

#endif
