/*
 * device.h: proof that a client holds the key of its device (gateway-ws.md section 6).
 * Runs in: edge.     Owns: nothing.
 * Never: looks into the store; pairing is pairing.h.
 * Tested in: tests/unit/edge/test_device.c (with the vector of 6.4)
 */
#ifndef TENAZA_EDGE_DEVICE_H
#define TENAZA_EDGE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

/* Views into the connect parameters. */
struct device_proof {
    sv id, public_key, signature, nonce; /* as sent */
    int64_t signed_at_ms;
    sv client_id, client_mode, role;
    sv scopes;          /* requested, joined with ',' in the order sent */
    sv token;           /* auth.token, else auth.deviceToken, else auth.bootstrapToken, else empty */
    sv platform, family;
};

/* 6.2: version 2 or 3. */
void device_payload(int version, const struct device_proof *p, struct buf *dst);

/* Raw key from base64url, base64 or PEM text; false when it is none. */
bool device_key(sv text, uint8_t raw[32]);

struct device_refusal {
    const char *message, *code, *reason;
};

/* The checks of 6.3 in order; NULL when all pass. raw: the public key, when it could be read. */
const struct device_refusal *device_check(const struct device_proof *p, sv challenge_nonce,
                                          int64_t now_ms, uint8_t raw[32]);

#endif
