/*
 * backoff.c: exponential wait with jitter, and the count of crashes within a window.
 * Runs in: supervisor.     Owns: nothing.
 * Never: reads a clock or a random source.
 * Tested in: tests/unit/supervisor/test_backoff.c
 */
#include "supervisor/backoff.h"

#include <string.h>

void backoff_forget(struct backoff *b)
{
    memset(b, 0, sizeof *b);
}

/* Notes the crash; true: as many as the rule allows have now happened within its window. */
static bool crash_exhausts(struct backoff *b, const struct backoff_rules *r, int64_t now)
{
    unsigned recent = 0;

    /* 0 marks an empty place, so a clock that starts at 0 is shifted by one. */
    b->crashes[b->next] = now + 1;
    b->next = (b->next + 1) % BACKOFF_MAX_FAILURES;
    for (unsigned i = 0; i < BACKOFF_MAX_FAILURES; i++) {
        if (b->crashes[i] != 0 && now + 1 - b->crashes[i] < r->within) {
            recent++;
        }
    }
    b->exhausted = b->exhausted || recent >= r->failures;
    return b->exhausted;
}

int64_t backoff_death(struct backoff *b, const struct backoff_rules *r, const struct backoff_death *d)
{
    if (d->ready_ms != 0 && d->now_ms - d->ready_ms >= r->reset_after) {
        backoff_forget(b);
    }
    if (d->counts && crash_exhausts(b, r, d->now_ms)) {
        return -1;
    }
    int64_t wait = r->first;
    for (unsigned i = 0; i < b->in_a_row && wait < r->max; i++) {
        wait *= 2;
    }
    if (wait > r->max) {
        wait = r->max;
    }
    wait += wait * d->jitter_permille / 1000;
    b->in_a_row++;
    int64_t earliest = d->started_ms + BACKOFF_MIN_DISTANCE - d->now_ms;
    if (b->in_a_row >= 2 && wait < earliest) {
        wait = earliest;
    }
    return wait > 0 ? wait : 0;
}
