/*
 * connect_params.h: the parameters of `connect`, validated and taken apart (gateway-ws.md section 4).
 * Runs in: edge.     Owns: the scope list; everything else is a view into the frame.
 * Never: decides who may come in (auth.h, pairing.h).
 * Tested in: tests/unit/edge/test_connect_params.c
 */
#ifndef TENAZA_EDGE_CONNECT_PARAMS_H
#define TENAZA_EDGE_CONNECT_PARAMS_H

#include "common/json.h"
#include "workers/edge/device.h"

#define PROTOCOL_VERSION 4
#define PROTOCOL_PROBE_MIN 3

enum cap_index {
#define CAP(bit, name) CAPI_##bit,
#include "workers/edge/caps.def"
#undef CAP
};
enum cap_bits {
#define CAP(bit, name) CAP_##bit = 1 << CAPI_##bit,
#include "workers/edge/caps.def"
#undef CAP
};

struct connect_params {
    int64_t min_protocol, max_protocol;
    sv client_id, version, platform, mode, display_name, family, instance_id;
    sv role;            /* "operator" when absent */
    struct buf scopes;  /* requested, comma separated */
    uint32_t caps;
    sv token, password, device_token, bootstrap_token;
    bool has_device;
    struct device_proof device;
    bool resume;         /* our extension (replay.h) */
    uint64_t resume_seq; /* last event the client has */
    sv resume_boot;      /* server.bootId of that time; empty: not given */
};

/* False: `why` has the details after "invalid connect params: ". */
bool connect_params_parse(json_t *params, struct connect_params *out, struct buf *why);
void connect_params_free(struct connect_params *p);

/* 3.2: does the range contain a protocol that this kind of client may speak with us? */
bool connect_protocol_ok(const struct connect_params *p);
/* Browser pages and terminal interfaces must have a device (5.2). */
bool connect_is_ui(const struct connect_params *p);
/* Clients that a browser runs: an Origin is expected of them (5.3). */
bool connect_is_browser(const struct connect_params *p);
bool connect_has_secret(const struct connect_params *p);
bool connect_is(const struct connect_params *p, const char *id, const char *mode);

#endif
