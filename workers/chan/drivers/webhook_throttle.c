/*
 * webhook_throttle.c: failed authentication per client address; see webhook_int.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: reads a clock.
 * Tested in: tests/unit/chan/test_throttle.c
 */
#include "workers/chan/drivers/webhook_int.h"

bool throttle_blocked(const struct throttle *t, sv peer, int64_t now_ms)
{
    for (size_t i = 0; i < THROTTLE_PEERS; i++) {
        if (t->row[i].failures >= THROTTLE_FAILURES && sv_eqc(peer, t->row[i].peer)) {
            return now_ms - t->row[i].since_ms < THROTTLE_WINDOW_MS;
        }
    }
    return false;
}

/* The row of this address, else a free one, else the one whose window began first. */
static size_t row_for(const struct throttle *t, sv peer)
{
    size_t pick = 0;
    for (size_t i = 0; i < THROTTLE_PEERS; i++) {
        if (t->row[i].failures > 0 && sv_eqc(peer, t->row[i].peer)) {
            return i;
        }
        bool better = t->row[i].failures == 0 || t->row[i].since_ms < t->row[pick].since_ms;
        if (t->row[pick].failures > 0 && better) {
            pick = i;
        }
    }
    return pick;
}

void throttle_failed(struct throttle *t, sv peer, int64_t now_ms)
{
    size_t i = row_for(t, peer);
    bool known = t->row[i].failures > 0 && sv_eqc(peer, t->row[i].peer);
    if (!known || now_ms - t->row[i].since_ms >= THROTTLE_WINDOW_MS) {
        if (!sv_copy(t->row[i].peer, sizeof t->row[i].peer, peer)) {
            return; /* longer than any address: not one of ours */
        }
        t->row[i].since_ms = now_ms;
        t->row[i].failures = 0;
    }
    t->row[i].failures++;
}
