/*
 * loop.h: the one libev loop of a worker, deferred calls and one-shot timers.
 * Runs in: every worker (not the supervisor, which has its own loop).     Owns: the loop, its lag figure.
 * Never: blocks; frees an object that a caller up the stack still uses (use loop_defer for that).
 * Tested in: tests/unit/common/test_loop.c
 */
#ifndef TENAZA_COMMON_LOOP_H
#define TENAZA_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* runs the deferred calls that still wait */
struct ev_loop *loop_ev(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l);
/* Runs fn(ctx) once after the current callbacks, before the next sleep. */
void loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx);
/* Forgets every waiting call of this pair; an owner that goes away calls it. */
void loop_defer_cancel(struct loop *l, void (*fn)(void *ctx), void *ctx);
/* Longest turn (from wake-up to the next sleep) since the last call, in ms: how long an event may have waited. */
uint32_t loop_lag_ms(struct loop *l);

/* One-shot timer embedded in its owner. start re-arms; stop is idempotent. */
struct loop_timer {
    ev_timer ev;
    struct loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(void *ctx), void *ctx);
void loop_timer_start(struct loop_timer *t, int64_t after_ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);

#endif
