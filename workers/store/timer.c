/*
 * timer.c: one table for everything that happens by itself later.
 * Runs in: store.     Owns: table timer.
 * Never: carries state: a timer is a hint that is checked against the row it is about.
 * Tested in: tests/unit/store/test_queue.c
 */
#include "workers/store/approval.h"
#include "workers/store/cron.h"
#include "workers/store/device.h"

/* Hints handled in one turn; the rest comes in the next one. */
#define DUE_MAX 256

void timer_add(struct tx *tx, int64_t at_ms, enum timer_kind kind, sv id)
{
    struct key k = {.n = 0};
    key_u64(&k, (uint64_t)at_ms);
    key_u8(&k, (uint8_t)kind);
    key_add(&k, id);
    tx_put(tx, T_TIMER, key_sv(&k), SV(""));
}

static void fire(struct tx *tx, enum timer_kind kind, sv id)
{
    switch (kind) {
    case TIMER_DRAIN:
        queue_timer(tx, id);
        break;
    case TIMER_LATER:
        sched_timer(tx, id);
        break;
    case TIMER_ABORT:
        abort_timer(tx, id);
        break;
    case TIMER_OUT:
        out_pump(tx, id);
        break;
    case TIMER_PAIR:
        pairing_expire(tx, id);
        break;
    case TIMER_CHAT:
        chat_timer(tx, id);
        break;
    case TIMER_DEVREQ:
        device_expire(tx, id);
        break;
    case TIMER_CRONLOG:
        cron_expire(tx, id);
        break;
    case TIMER_APPROVAL:
        approval_timer(tx, id);
        break;
    case TIMER_ROWS:
        session_rows_timer(tx, id);
        break;
    case TIMER_OUTD:
        out_expire(tx, id);
        break;
    case TIMER_KEEP:
        sess_expire(tx, id);
        break;
    }
}

void timer_run_due(struct tx *tx)
{
    sv key;
    sv val;
    for (int i = 0; i < DUE_MAX && tx_seek(tx, T_TIMER, SV(""), 0, &key, &val); i++) {
        if (key.n < 9 || key_get_u64(key, 0) > (uint64_t)tx->now) {
            break;
        }
        (void)tx_del(tx, T_TIMER, key);
        fire(tx, (enum timer_kind)key.p[8], sv_sub(key, 9, key.n));
    }
}

int64_t timer_next(struct tx *tx)
{
    sv key;
    sv val;
    return tx_seek(tx, T_TIMER, SV(""), 0, &key, &val) ? (int64_t)key_get_u64(key, 0) : 0;
}
