/*
 * harness.h: the store inside a test: a database in a temporary folder, requests in, answers and pushes out.
 * Runs in: unit tests.     Owns: struct hx and everything below it.
 * Never: opens a socket.
 * Tested in: by its users
 */
#ifndef TENAZA_TESTS_STORE_HARNESS_H
#define TENAZA_TESTS_STORE_HARNESS_H

/* cmocka wants these in front of it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/arena.h"
#include "workers/store/store.h"

struct hx_msg {
    char dst[160];
    uint16_t type;
    uint8_t flags;
    uint64_t rid;
    sv raw;
};

struct hx {
    char dir[64];
    struct store_conf conf;
    struct store *s;
    struct arena a; /* everything received, until hx_free */
    struct hx_msg *got;
    size_t got_n, got_cap;
    size_t seen; /* hx_push has looked at messages before this one */
    int64_t mono, real;
    uint64_t rid;
};

/* Clocks are frozen; hx_sleep moves them. conf: tune before hx_open. */
void hx_init(struct hx *h);
void hx_open(struct hx *h);
void hx_close(struct hx *h);   /* as a kill between two turns */
void hx_reopen(struct hx *h);
void hx_free(struct hx *h);    /* runs the check, removes the folder */
void hx_sleep(struct hx *h, int64_t ms);
void hx_idle(struct hx *h);    /* a turn without requests */
/* Fails the test when the invariants of the database are violated. */
void hx_check(struct hx *h);

/* One request in a turn of its own; the answer, decoded (NULL: none). who: "agent-1" (incarnation 1) or
 * "agent-1#2". */
const void *hx_call(struct hx *h, const char *who, uint16_t type, const void *body, uint16_t *answer);
/* The same, and the answer must be of this type. */
const void *hx_ask(struct hx *h, const char *who, uint16_t type, const void *body, uint16_t want);
/* The same, and it must be STATUS with this code. */
const struct msg_status *hx_refused(struct hx *h, const char *who, uint16_t type, const void *body, int code);
void hx_done(struct hx *h, const char *who, uint16_t type, const void *body, bool dup);
/* The next push of this type since the last look that went to `who` (name), or NULL. */
const void *hx_push(struct hx *h, const char *who, uint16_t type);
/* Forgets the pushes so far. */
void hx_skip(struct hx *h);

/* ---- short forms ---- */

void hx_agent(struct hx *h, const char *who, uint64_t slots);
void hx_watch(struct hx *h, const char *who, bool rows);
/* A client's chat.send. */
const struct msg_ingested *hx_send(struct hx *h, const char *key, const char *run, const char *text);
/* A direct message over irc/default. */
struct msg_ingest hx_dm(const char *event, const char *sender, const char *text);
const struct msg_grant *hx_grant(struct hx *h, const char *who);
void hx_finish(struct hx *h, const char *who, const struct msg_grant *g, const char *status, const char *reply);
void hx_fin(struct hx *h, const char *who, sv run, uint64_t fence, const char *status, const char *reply);
const struct msg_run *hx_run(struct hx *h, const char *run);
const struct msg_history_page *hx_history(struct hx *h, const char *key);
void hx_channel(struct hx *h, const char *who, uint64_t window, bool keyless);
void hx_receipt(struct hx *h, const char *who, sv id, uint64_t part, uint64_t parts, const char *outcome);

#define assert_sv(view, text)                                                                      \
    do {                                                                                           \
        sv hx_v_ = (view);                                                                         \
        if (!sv_eqc(hx_v_, text)) {                                                                \
            fail_msg("\"%.*s\" is not \"%s\"", SV_ARG(hx_v_), text);                               \
        }                                                                                          \
    } while (0)

#endif
