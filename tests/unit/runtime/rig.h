/*
 * rig.h: a loop, a scratch folder and a scripted hub for tests of the planes.
 * Runs in: tests.     Owns: what rig_new made.
 * Never: waits without a limit.
 * Tested in: by its users
 */
#ifndef TENAZA_TESTS_RIG_H
#define TENAZA_TESTS_RIG_H

#include "common/evzmq.h"
#include "common/loop.h"
#include "proto/envelope.h"
#include "proto/messages.h"
#include "workers/runtime/peers.h"

struct rig {
    struct loop *loop;
    char dir[64];
    char endpoint[96]; /* ipc://<dir>/hub.sock */
};

void rig_new(struct rig *r);
void rig_free(struct rig *r);
/* Runs the loop until done(ctx) or ms have passed; returns done(ctx). */
bool rig_until(struct rig *r, int64_t ms, bool (*done)(void *ctx), void *ctx);
/* Runs the loop for ms. */
void rig_for(struct rig *r, int64_t ms);

/* ---- a hub that answers HELLO like a real one and leaves everything else to the test ---- */

struct hub;
/* Every accepted message but HELLO. */
typedef void hub_fn(struct hub *h, sv from, const struct envelope *e, sv body);

struct hub {
    struct rig *rig;
    struct evzmq *sock;
    struct peers *peers;
    hub_fn *fn;
    unsigned hellos, others;
    bool silent; /* answers nothing, not even HELLO */
    void *ctx;   /* the test's */
};

void hub_start(struct hub *h, struct rig *r, hub_fn *fn); /* registers nobody */
void hub_stop(struct hub *h);
void hub_reply(struct hub *h, sv to, const struct envelope *asked, uint16_t type, const void *body);
void hub_push(struct hub *h, const char *name, uint16_t type, const void *body);

#endif
