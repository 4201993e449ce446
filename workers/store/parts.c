/*
 * parts.c: the parts of a delivery: which one is next, and which are of unknown outcome.
 * Runs in: store.     Owns: nothing (rows: outbox.c).
 * Never: sends a part of unknown outcome again by itself; lets one stop the parts behind it, or the chat.
 * Tested in: tests/unit/store/test_decide.c
 *
 * A part of unknown outcome is noted in the row and steps aside: the parts behind it go on, then the next deliveries
 * of the chat, in order. When all has been sent the row ends as `unknown`, and waits for a word of the operator
 * (decide.c). "Again" then sends just the parts noted, behind everything that waits in the chat at that time.
 */
#include "workers/store/outbox.h"

#define UNSURE_MAX 64

static size_t find(const struct msg_out_row *row, uint64_t part)
{
    size_t i = 0;
    while (i < row->unsure_n && row->unsure[i].part != part) {
        i++;
    }
    return i;
}

static void forget(struct msg_out_row *row, uint64_t part)
{
    size_t at = find(row, part);
    if (at < row->unsure_n) {
        row->unsure_n--;
        for (size_t i = at; i < row->unsure_n; i++) {
            row->unsure[i] = row->unsure[i + 1];
        }
    }
}

static void note(struct tx *tx, struct msg_out_row *row)
{
    struct msg_out_part *parts = arena_alloc(tx->a, (row->unsure_n + 1) * sizeof(*parts));
    for (size_t i = 0; i < row->unsure_n; i++) {
        parts[i] = row->unsure[i];
    }
    parts[row->unsure_n++] = (struct msg_out_part){.part = row->part, .at_ms = tx->now};
    row->unsure = parts;
}

/* The part behind the one at hand; false: there is none. */
static bool step(struct msg_out_row *row)
{
    if (!row->again) {
        row->part++;
        return row->part < row->parts;
    }
    for (size_t i = 0; i < row->unsure_n; i++) {
        if (row->unsure[i].part > row->part) {
            row->part = row->unsure[i].part;
            return true;
        }
    }
    row->part = row->parts;
    return false;
}

static void finish(struct tx *tx, struct msg_out_row *row)
{
    row->again = false;
    row->state = row->unsure_n > 0 ? SV("unknown") : SV("delivered");
    out_end(tx, row);
}

void part_arrived(struct tx *tx, struct msg_out_row *row)
{
    uint64_t part = row->part;
    bool more = step(row); /* before `forget`: it looks at the part at hand */
    forget(row, part);
    if (!more) {
        finish(tx, row);
    } else if (row->again) {
        out_requeue(tx, row, tx->now); /* one part a claim */
    } else {
        row->state = SV("claimed"); /* the same worker goes on with the next part */
        out_put_row(tx, row);
    }
}

void part_unsure(struct tx *tx, struct msg_out_row *row, sv why)
{
    row->error = why;
    out_log(tx, row, "unknown", why);
    if (find(row, row->part) == row->unsure_n) {
        if (row->unsure_n == UNSURE_MAX) {
            row->state = SV("dead");
            row->error = SV("64 parts of unknown outcome: given up");
            out_end(tx, row);
            return;
        }
        note(tx, row);
    }
    if (step(row)) {
        row->attempt = 0;
        out_requeue(tx, row, tx->now);
    } else {
        finish(tx, row);
    }
}

uint64_t part_stop(const struct msg_out_row *row)
{
    return row->again ? row->part + 1 : 0;
}
