/*
 * conn.h: a client connection as everything but the libwebsockets files sees it.
 * Runs in: edge.     Owns: its queue, its calls under way, its subscriptions.
 * Never: frees itself while somebody uses it: only the transport's "closed" does.
 * Tested in: the scenarios
 */
#ifndef TENAZA_EDGE_CONN_H
#define TENAZA_EDGE_CONN_H

#include "workers/edge/edge.h"
#include "workers/edge/outq.h"

/* Limits of gateway-ws.md section 1, bytes of one message. */
#define CONN_MAX_BEFORE_HELLO 65536u
#define CONN_MAX_AFTER_HELLO 26214400u
/* 3.1: from the upgrade to hello-ok. */
#define CONN_HANDSHAKE_MS 15000
/* Section 1: sockets of one address that have not logged in. */
#define CONN_WAITING_MAX 32
/* Frames that may wait while the handshake looks something up. */
#define CONN_EARLY_MAX 15
/* Requests of one connection that are being worked on (our own limit). */
#define CONN_CALLS_MAX 256

enum conn_state {
    CONN_CHALLENGED, /* waits for connect */
    CONN_CHECKING,   /* connect is being decided */
    CONN_READY,
    CONN_CLOSING,    /* what is queued goes out, then the close frame */
};

struct peer {
    char addr[46]; /* numeric */
    bool loopback;
};

struct handshake; /* connect.c */
struct replay;    /* replay.c */

struct conn {
    struct list all; /* edge.conns */
    struct edge *e;
    void *wsi;       /* handle of the transport; NULL when it is gone */
    struct peer peer;
    enum conn_state state;
    struct outq out;
    struct buf in;   /* pieces of a fragmented message */
    bool want_write, want_ping;
    bool swallowing; /* the rest of a message that is too large is read and dropped before the close */

    uint16_t close_code;
    char close_reason[124];
    struct loop_timer kill; /* handshake deadline, then the wait for the close answer */

    char conn_id[37];
    struct handshake *hs; /* until hello-ok */

    /* Set by hello-ok. */
    char *scopes;         /* granted, comma separated */
    uint32_t scope_bits;
    uint32_t caps;
    char *client_id, *mode, *platform, *version, *display_name, *instance_id, *device_id;
    int64_t since_ms;
    struct list of_pings;       /* edge.pings */
    struct list of_tracked;     /* edge.tracked, when shown in presence */
    int64_t ping_due_ms, silent_since_ms; /* silent: since a ping that was not answered yet; 0: it was */
    bool tracked;         /* shown in presence */
    bool node;            /* role node; else operator */
    bool by_device_token; /* proved itself with a device token, not with the shared secret */

    uint64_t seq;         /* last event number */
    struct replay *replay; /* NULL: did not ask to be able to resume */
    struct list calls;    /* struct rpc_call.of_conn */
    size_t calls_n;
    unsigned wrong_role_n; /* refusals because of the role, in a row */
    bool sessions_sub;    /* sessions.subscribe */
    struct map message_subs; /* session key -> (void *)1: sessions.messages.subscribe */
};

/* The transport has a new WebSocket; host, origin: headers of the upgrade (copied), empty when absent. */
struct conn *conn_new(struct edge *e, void *wsi, const struct peer *peer, sv host, sv origin);
/* The transport is gone: everything of this connection ends here. */
void conn_free(struct conn *c);

/* One complete message came in. */
void conn_message(struct conn *c, sv text);
/* Largest message of the present state. */
size_t conn_limit(const struct conn *c);
/*
 * The message that comes in exceeds it: close 1009. last: all of it has been read. The rest is read first:
 * closing with bytes unread resets the connection, and the client would not learn why.
 */
void conn_too_large(struct conn *c, bool last);

/* Queues one message (outq.h: out_begin); frees it when the connection is closing. Closes with 1008
 * "slow consumer" when the queue is over its limit. */
void conn_send(struct conn *c, struct buf *msg);
/* Ends the connection after what is queued; the first call wins. reason: cut to 120 bytes. */
void conn_close(struct conn *c, uint16_t code, sv reason);

/* hello-ok has been queued: limits and counters change over. */
void conn_ready(struct conn *c);

bool conn_has(const struct conn *c, uint32_t scope_bit);

#endif
