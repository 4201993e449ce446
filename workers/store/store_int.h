/*
 * store_int.h: what the files of the store share: its context, the live peers, outgoing messages, handlers.
 * Runs in: store.     Owns: nothing by itself; struct store is made in store.c.
 * Never: volatile state that a thrown-away transaction could leave wrong (see `recount` and `saved`).
 * Tested in: tests/unit/store/
 */
#ifndef TENAZA_WORKERS_STORE_STORE_INT_H
#define TENAZA_WORKERS_STORE_STORE_INT_H

#include <dirent.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/map.h"
#include "proto/envelope.h"
#include "workers/runtime/context.h"
#include "workers/store/db.h"
#include "workers/store/rec.h"
#include "workers/store/store.h"

enum lane { LANE_MAIN, LANE_CRON, LANE_COUNT };

/* Longest silence of an agent before its runs are taken away (architecture.md 6). */
#define LEASE_MS 60000
/* Time for holders of leases to come back after a restart of the store. */
#define BOOT_GRACE_MS 5000
/* A lease that its holder does not name is granted again after this; a claim is delivered again likewise. */
#define REGRANT_MS 2000
/* Budget of a holder to settle an aborted run (agent-runtime.md 3.4). */
#define ABORT_MS 5000
#define RUN_ATTEMPTS 3
#define RUN_SAME_STEP 2 /* workers lost without a step stored in between */

/*
 * A live peer: what it said about itself since it (or we) started. Nothing here is durable: peers repeat it
 * after a restart of the store. All of it is absolute, so a repeated turn does no harm; `used` is counted
 * anew after a transaction was thrown away.
 */
struct client {
    char id[160]; /* routing id "name#inc" */
    char name[128];
    uint64_t inc;
    int64_t seen_ms; /* monotonic */
    bool agent, wanted; /* wanted: WANT was seen from this incarnation */
    uint64_t slots, used;
    bool watch, watch_rows;
    bool out, keyless, resend;
    uint8_t account_hash[KEY_HASH]; /* out: whose deliveries it takes */
    uint64_t window;
};

/* News of the supervisor, handled at the start of the next turn. */
struct news {
    bool up;
    char name[128];
    uint64_t inc;
};

struct out {
    const char *dst;
    uint16_t type; /* MSG_NONE: a slot that was not filled */
    uint8_t flags;
    uint64_t rid;
    struct trace trace; /* of the request that set it off */
    size_t off, len; /* in store.bodies */
};

#define LATENCIES 1024

/* What pressure.c remembers; all of it is forgotten by a restart, which does no harm. */
struct pressure {
    unsigned slow;     /* slow commits, one not long after the other */
    int64_t slow_ms;   /* the last one; monotonic */
    int64_t looked_ms; /* at the disk */
    bool low;          /* there was no room */
};

struct store {
    struct store_conf conf;
    struct pressure pressure;
    struct db db;
    store_send_fn *send;
    void *send_ctx;
    struct arena arena;         /* of the turn */
    struct buf scratch;         /* one encode */
    struct msg_r_state state;   /* counters, written once per transaction */
    struct map clients;         /* name -> struct client */
    struct news *news;
    size_t news_n, news_cap;
    struct out *outs;           /* of the turn, in sending order */
    size_t outs_n, outs_cap;
    struct buf bodies;
    uint64_t lane_used[LANE_COUNT];
    bool recount;               /* lane_used and client.used must be counted again from table lease */
    size_t answer_at;           /* slot of the answer to the request at hand */
    struct msg_done hello;
    int64_t boot_ms;            /* real */
    int64_t boot_mono;
    int64_t next_due;           /* real */
    int64_t next_sweep;         /* monotonic */
    int64_t turn_mono;          /* of the last turn, 0: none yet */
    bool boot_checked;          /* leases without a holder were taken back after the start */
    char degraded[256];
    bool reload;                /* state must be read again: a transaction was thrown away */
    int exit_code;
    uint8_t (*gone)[32];        /* body.c: files to remove after the commit, by hash */
    size_t gone_n, gone_cap;
    DIR *sweep_dir;             /* body.c: how far the sweep of media/ has come */
    uint64_t sweep_seq;         /* expire.c: how far the sweep of the journal has come */
    struct key sweep_job;       /* expire.c: the same for finished clock jobs */
    uint64_t commits;
    uint32_t latency[LATENCIES]; /* us, ring */
    int64_t wrong_codes[5];      /* monotonic times of the last wrong pairing codes, ring */
    size_t wrong_at;
};

/* A handler: pure in the sense that it only touches the transaction, the sender's row and the list of
 * outgoing messages. 0 after reply(), else a code of errors.def (words by refuse()). */
typedef int handler_fn(struct tx *tx, struct client *from, const void *msg);
struct handler {
    handler_fn *fn;
    bool writes; /* gets a nested transaction of its own */
};
const struct handler *handler_of(uint16_t type);
#define HANDLER(NAME, fn, mode, doc) int fn(struct tx *tx, struct client *from, const void *msg) ATTR_NODISCARD;
#include "workers/store/handlers.def"
#undef HANDLER

/* ---- outgoing (push.c) ---- */

/* The answer to the request at hand; encoded at once. */
void reply(struct tx *tx, uint16_t type, const void *body);
void reply_done(struct tx *tx, bool dup);
/* As reply/push, with raw encoded elements spliced in as the list `list_key` (must be absent in body). */
void reply_spliced(struct tx *tx, uint16_t type, const void *body, const char *list_key, const sv *rows, size_t n);
void push(struct tx *tx, const struct client *to, uint16_t type, const void *body);
void push_spliced(struct tx *tx, const struct client *to, uint16_t type, const void *body, const char *list_key,
                  const sv *rows, size_t n);
/* To everybody who watches; rows: only to those who want transcript rows. */
void push_watchers(struct tx *tx, bool rows, uint16_t type, const void *body);
/* The slot of the request's answer, before its handler runs; and what fills it when the handler failed. */
void out_begin(struct store *s, const char *dst, uint64_t rid);
void out_fail(struct tx *tx, int err);
struct out_mark {
    size_t outs, bodies;
};
struct out_mark out_mark(const struct store *s);
void out_undo(struct store *s, struct out_mark m);
void out_send_all(struct store *s);

/* ---- peers (peer.c) ---- */

struct client *client_get(struct store *s, const char *name, uint64_t inc); /* makes it */
struct client *client_find(struct store *s, sv name);                       /* NULL: not known */
/* Applies the news; leases of the dead return to the queue. */
void peer_news(struct tx *tx);
/* Holders that are silent for LEASE_MS, or did not come back after our start. */
void peer_silence(struct tx *tx);

/* ---- when writing fails (turn.c) ---- */

/* Says so, once; rc: an LMDB code. */
void store_fails(struct store *s, int rc);

/* Adds ms to every deadline: our own stall must not look like dead peers. */
void peer_forgive(struct store *s, int64_t ms);

#endif
