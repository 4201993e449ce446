/*
 * store.h: the store without its sockets: requests in, one transaction, answers and pushes out.
 * Runs in: store (main.c feeds it), unit tests (a harness feeds it).     Owns: struct store.
 * Never: sends before the commit; reads a socket; believes a sender that the caller has not checked.
 * Tested in: tests/unit/store/
 */
#ifndef TENAZA_WORKERS_STORE_STORE_H
#define TENAZA_WORKERS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/conf.h"
#include "common/sv.h"
#include "proto/messages.h"

struct store;

enum dm_scope { DM_MAIN, DM_PEER, DM_CHANNEL_PEER, DM_ACCOUNT_CHANNEL_PEER };
enum queue_drop { DROP_SUMMARIZE, DROP_OLD, DROP_NEW };

/* Defaults: agent-runtime.md 0. */
struct store_conf {
    const char *dir;       /* folder of the database */
    size_t map_bytes;      /* store.mapSize */
    size_t map_start;      /* see db.h; 0: its default */
    bool fast;             /* store.durability = "fast" */
    enum dm_scope dm_scope;
    bool group_main;       /* session.groupScope = "main" */
    bool followup;         /* messages.queue.mode = "followup"; else collect */
    int64_t debounce_ms;   /* messages.queue.debounceMs */
    uint64_t cap;          /* messages.queue.cap: inputs that wait in one session */
    enum queue_drop drop;  /* messages.queue.drop */
    uint64_t max_queued;   /* store.maxQueued: messages that wait for an answer, in all */
    uint64_t width_main;   /* agents.defaults.maxConcurrent */
    uint64_t width_cron;   /* cron.maxConcurrentRuns */
    uint64_t timeout_ms;   /* agents.defaults.timeoutSeconds, as ms; 0: none */
};

/* From the worker's config section. dir must outlive the store. */
struct store_conf store_conf_read(const struct conf *c, const char *dir);

/* Takes everything but the place and the durability of the database, which are those of the process. */
void store_reconfigure(struct store *s, const struct store_conf *conf);

/* One message that leaves; views die with the call. dst: routing id "name#inc". */
struct store_out {
    const char *dst;
    uint16_t type;
    uint8_t flags; /* enum envelope_flag */
    uint64_t rid;
    sv trace;
    sv body;
};
typedef void store_send_fn(void *ctx, const struct store_out *m);

/* One request; the caller keeps the views alive during store_turn and has checked who the sender is. */
struct store_req {
    const char *name;
    uint64_t inc;
    uint16_t type;
    uint64_t rid;
    sv body;
    sv trace; /* 16 bytes, or absent */
};

/* 0, or an exit code of err.h with one sentence in text. A store that can be read but not written is a store: see
 * store_degraded. */
int store_new(const struct store_conf *conf, store_send_fn *send, void *ctx, struct store **out, char *text,
              size_t cap) ATTR_NODISCARD;
void store_free(struct store *s);
/* What HELLO is answered with (the boot number of this process); default {0}. */
void store_set_hello(struct store *s, const struct msg_done *done);

/* News of the supervisor; they take effect in the next turn. */
void store_peer_up(struct store *s, const char *name, uint64_t inc);
void store_peer_gone(struct store *s, const char *name, uint64_t inc);

/*
 * One turn: news, requests, clock work, grants and deliveries in one transaction, then everything is sent.
 * n may be 0. Never fails outward: what could not be written is answered BUSY, see store_degraded.
 */
void store_turn(struct store *s, const struct store_req *reqs, size_t n);
/* Real time (ms) at which a turn without requests has something to do; 0: nothing is planned. */
int64_t store_next_due(const struct store *s);
/* True when there are news of the supervisor that no turn has handled. */
bool store_has_news(const struct store *s);
/* "" or why writes are refused. */
const char *store_degraded(const struct store *s);
/* 0, or the exit code with which the process must end (the disk has lost what it had confirmed). */
int store_exit_code(const struct store *s);
/* Nothing to do for a while: what is only kept for speed goes. Between turns. */
void store_quiet(struct store *s);
/* Transactions committed since start. */
uint64_t store_commits(const struct store *s);
/* Tests: the next commit fails with this errno. */
void store_test_fail_commit(struct store *s, int err);

#endif
