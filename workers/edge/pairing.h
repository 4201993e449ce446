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
    PAIR_APPROVE, /* silently: write the record that pair_record makes */
    PAIR_REFUSE,
};

struct pair_request {
    const struct connect_params *p;
    bool local;            /* loopback peer, local host name, nothing forwarded */
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

/*
 * The record after approval: union of roles and scopes. Lists go into `scopes` and `role`, whose views the
 * record keeps; a new token goes into `token` when there is none or the scopes grew.
 */
struct pair_lists {
    struct buf scopes, role;
    char token[32];
};
void pair_record(const struct msg_device *known, const struct pair_request *q, const uint8_t key[32],
                 int64_t now_ms, struct pair_lists *lists, struct msg_device *out);
void pair_lists_free(struct pair_lists *l);

/* Does the presented text equal the record's token (base64url)? Constant time. */
bool pair_token_matches(const struct msg_device *known, sv presented);

#endif
