/*
 * chan_int.h: what the files of the channel core share with each other; drivers do not include it.
 * Runs in: channel workers.     Owns: struct chan.
 * Never: included from drivers/.
 * Tested in: tests/unit/chan/
 */
#ifndef TENAZA_WORKERS_CHAN_CHAN_INT_H
#define TENAZA_WORKERS_CHAN_CHAN_INT_H

#include "workers/chan/bucket.h"
#include "workers/chan/chan.h"
#include "workers/chan/history.h"
#include "workers/chan/mention.h"

/* One row of channels.def. */
struct chan_row {
    const char *name, *doc;
    enum chan_class cls;
    enum chan_keying keying;
    const struct chan_driver *driver;
};

const struct chan_row *chan_row_find(const char *name); /* NULL: no such channel */

struct inbound;
struct outbound;

struct chan {
    struct worker *worker;
    const struct chan_row *row;
    const struct chan_driver *driver;
    const char *account;
    void *ctx; /* of the driver */
    bool started;

    struct gate_policy policy;
    struct mention_set *mentions;
    struct history history;

    enum chan_health health;
    char why[256];
    char identity[256];
    int64_t since_ms, last_in_ms, last_out_ms;
    uint64_t reconnects;
    struct loop_timer beat;

    struct inbound *in;
    struct outbound *out;
    uint64_t busy_ms; /* what the store asked for when it last said BUSY */
    bool draining;
};

/* core.c */
struct chan *chan_new(struct worker *w, const struct chan_row *row);
int chan_start(struct chan *c) ATTR_NODISCARD; /* 0 or an exit code, after worker_fail */
void chan_drain(struct chan *c);
void chan_reconfigure(struct chan *c); /* the section has changed in what LIVE rows say */
void chan_drain_check(struct chan *c); /* tells the worker when nothing is in progress any more */
void chan_free(struct chan *c);

/* inbound.c */
struct inbound *inbound_new(struct chan *c);
void inbound_free(struct inbound *in);
bool inbound_idle(const struct inbound *in);

/* outbound.c */
struct outbound *outbound_new(struct chan *c);
void outbound_free(struct outbound *out);
/* Health changed or we drain: tells the store how many deliveries we take now. */
void outbound_want(struct outbound *out);
/* We are going to end: deliveries of which no byte is on its way are left to our successor. */
void outbound_drain(struct outbound *out);
bool outbound_idle(const struct outbound *out);

#endif
