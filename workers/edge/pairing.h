/*
 * pairing.h: whether a device may come in, and what its record becomes (gateway-ws.md section 7).
 * Runs in: edge.     Owns: nothing.
 * Never: talks to the store (connect.c does); pure decisions.
 * Tested in: tests/unit/edge/test_pairing.c
 */
#ifndef TENAZA_EDGE_PAIRING_H
#define TENAZA_EDGE_PAIRING_H

#include <stdbool.h>

#include "proto/messages.h"
#include "workers/edge/connect_params.h"

enum pair_verdict {
    PAIR_OK,      /* the record covers the request */
    PAIR_APPROVE, /* silently: DEVICE_ASK with `silent` */
    PAIR_REFUSE,  /* until an operator approves it: DEVICE_ASK */
};

struct pair_request {
    const struct connect_params *p;
    bool local;            /* loopback peer, local host name, nothing forwarded */
    bool auto_local;       /* edge.pairing.autoApproveLocal */
    bool has_origin;
    bool by_device_token;  /* proof was a device token, not the shared secret */
};

struct pair_result {
    enum pair_verdict verdict;
    const char *reason;  /* not-paired, metadata-upgrade, role-upgrade, scope-upgrade; NULL with PAIR_OK */
    const char *message; /* "pairing required: ..." */
    const char *hint;
};

/* known: the stored record, NULL when the device is unknown. */
struct pair_result pair_decide(const struct msg_device *known, const struct pair_request *q);

/* The device's token for this role; NULL: it never had one. */
const struct msg_device_token *pair_token(const struct msg_device *known, sv role);
/* Is the presented text this token (base64url), and is it valid? Constant time. */
bool pair_token_matches(const struct msg_device_token *t, sv presented);

#endif
