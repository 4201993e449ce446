/*
 * chan.h: what a channel driver offers, and what it may call. One process serves one account of one channel.
 * Runs in: channel workers.     Owns: struct chan, created in core.c.
 * Never: holds the only copy of a message; acknowledges input before its commit; sends twice after an
 *        unknown outcome (channels.md 1.1).
 * Tested in: tests/unit/chan/, and by every scenario with a channel
 */
#ifndef TENAZA_WORKERS_CHAN_CHAN_H
#define TENAZA_WORKERS_CHAN_CHAN_H

#include "common/conf.h"
#include "common/err.h"
#include "proto/messages.h"
#include "workers/chan/chunk.h"
#include "workers/chan/gate.h"
#include "workers/runtime/worker.h"

enum chan_class { CLASS_A, CLASS_B, CLASS_C };
enum chan_keying { KEYLESS, KEYED };

/* How answers of the agent are rendered before they are split. */
enum chan_markup { MARKUP_MARKDOWN, MARKUP_PLAIN };

/* Health of the account (channels.md 1.12); names in core.c. Deliveries are taken while UP or DEGRADED. */
enum chan_health { CHAN_STARTING, CHAN_UP, CHAN_DEGRADED, CHAN_RECONNECTING, CHAN_STOPPED, CHAN_NEEDS_OPERATOR };

struct chan;

/* One platform event, normalised. All views are copied by chan_inbound. */
struct chan_event {
    sv event_id;          /* required: dedupe key inside this account */
    const char *chat_type; /* direct, group, channel or thread */
    sv chat_id, thread_id, message_id;
    sv sender_id;         /* stable, never a display name */
    sv sender_name;       /* label, untrusted */
    sv text;              /* for the agent */
    sv typed;             /* what the sender typed without a leading mention; only this is read for commands */
    sv raw;               /* the event as received */
    bool mentioned;       /* the platform or the driver proved a mention of us */
    bool is_self, is_bot;
    bool own_key;         /* the sender chose event_id: other content under it is refused (ERR_CONFLICT) */
    bool no_deliver;      /* the answer is fetched another way, nothing goes into the outbox */
    int64_t ts_ms;        /* platform time, 0 when unknown */
    const struct msg_media *media;
    size_t media_n;
};

/*
 * What became of an event. err 0: answer is there (committed); else a code of errors.def and answer is NULL.
 * Class A drivers acknowledge here. Called once, never from inside chan_inbound.
 */
typedef void chan_done_fn(void *ctx, int err, const struct msg_ingested *answer);

/* One part of a delivery on its way out. Lives until its chan_receipt. */
struct chan_part {
    sv delivery_id; /* empty: a note of our own that is not in the outbox */
    sv key;         /* "<delivery id>:<part>", the idempotency key */
    sv chat_id, thread_id, reply_to, run_id;
    sv text;        /* rendered and within the limits */
    size_t part, parts;
    uint64_t attempt;
};

enum chan_outcome { SENT_DELIVERED, SENT_REJECTED, SENT_RETRYABLE, SENT_UNKNOWN };

struct chan_driver {
    const char *name;
    enum chan_markup markup;
    unsigned window;       /* deliveries in flight at once, at most 64 */
    bool say_refusals;     /* the core tells the chat when the store does not take a message (queue full) */
    bool can_mention;      /* mentions are recognised without a configured pattern */
    int64_t max_age_ms;    /* live events older than this start no turn; 0: no fence */

    /* Reads chan_conf, keeps its state with chan_set_ctx. An exit code of err.h ends the worker after
     * worker_fail; 0 goes on. The driver connects on its own and reports with chan_state. */
    int (*start)(struct chan *c) ATTR_NODISCARD;
    void (*stop)(struct chan *c); /* frees everything; no call into the driver follows */
    /* Limits of one part for this chat. They may depend on the configuration and the chat, never on the
     * connection: a delivery taken up again must split in the same way. */
    void (*limits)(struct chan *c, sv chat_id, struct chunk_opts *out);
    /* Sends; chan_receipt follows exactly once, now or later. */
    void (*send_part)(struct chan *c, struct chan_part *p);
    /* Class B and C: stop or resume reading, because too much waits for the store. NULL: class A. */
    void (*pause)(struct chan *c, bool on);
    /* A request on /channels/<channel>/<account>; answer with bus_reply(HTTP_OUT). NULL: 404. */
    void (*http)(struct chan *c, const struct bus_peer *from, const struct msg_http_in *req);
    /* One cheap authenticated call; the result shows in chan_state. NULL: none. */
    void (*probe)(struct chan *c);
    /* Equality of ids and masks in allowFrom and groups; NULL: equal bytes. ctx is the struct chan. */
    gate_match_fn *match_sender, *match_group;
};

/* ---- what a driver may call -------------------------------------------------------------------------- */

struct worker *chan_worker(struct chan *c);
struct loop *chan_loop(struct chan *c);
const struct conf *chan_conf(struct chan *c);
const char *chan_account(struct chan *c);
void *chan_ctx(const struct chan *c); /* the driver's own state */
void chan_set_ctx(struct chan *c, void *ctx);

/*
 * Hands an event in. OK: taken, done will be called. ERR_DENIED: dropped or kept as context by the gate, done
 * is not called. ERR_BUSY: too much waits for the store, done is not called (class A answers "try later";
 * others have been told to pause before this happens, and lose the event).
 */
int chan_inbound(struct chan *c, const struct chan_event *e, chan_done_fn *done, void *ctx) ATTR_NODISCARD;
/* In a done callback with ERR_BUSY: the time after which the store may have room again, in ms. */
uint64_t chan_busy_ms(const struct chan *c);
/* Forgets every done callback with this ctx; the events themselves go on. */
void chan_forget(struct chan *c, void *ctx);

/* error: for people, may be NULL. retry_after_ms counts for SENT_RETRYABLE; 0: the store's own backoff. */
void chan_receipt(struct chan *c, struct chan_part *p, enum chan_outcome outcome, sv platform_id,
                  const char *error, int64_t retry_after_ms);
/* Tokens per minute of the whole account and how many at once; 0: no limit. */
void chan_rate(struct chan *c, int64_t per_minute, int64_t burst);
/* Sends a note that is not in the outbox and may get lost (a refusal). Plain text. */
void chan_say(struct chan *c, sv chat_id, sv thread_id, sv text);

/* Publishes a change of health; what is for people. Repeating the same state and text does nothing. */
void chan_state(struct chan *c, enum chan_health health, const char *fmt, ...) ATTR_PRINTF(3, 4);
enum chan_health chan_health_now(const struct chan *c);
/* Our own name on the platform. */
void chan_identity(struct chan *c, sv who);
void chan_count_reconnect(struct chan *c);

#endif
