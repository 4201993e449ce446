/*
 * delta.c: see delta.h.
 * Runs in: edge.     Owns: nothing.
 * Never: sends half a character: pieces come in whole characters and are sent in whole pieces.
 * Tested in: tests/unit/edge/test_delta.c
 */
#include "workers/edge/delta.h"

static const sv BLANK_LINE = {"\n\n", 2};

void delta_init(struct delta *d)
{
    *d = (struct delta){.text = BUF_INIT(DELTA_TEXT_MAX)};
}

void delta_free(struct delta *d)
{
    buf_free(&d->text);
}

static void begin_item(struct delta *d, sv item)
{
    sv_copy(d->item, sizeof d->item, item);
    d->item_start = d->text.n;
}

enum delta_result delta_add(struct delta *d, uint64_t off, sv item, sv piece)
{
    bool other = item.n > 0 && !sv_eqc(item, d->item);
    if (other && delta_pending(d)) {
        return DELTA_ITEM;
    }
    size_t have = d->text.n;
    if (off > have) {
        /* The separator is ours to add when the sender counts it but does not send it. */
        if (other && have > 0 && off == have + BLANK_LINE.n) {
            buf_sv(&d->text, BLANK_LINE);
        } else {
            return DELTA_GAP;
        }
    } else if (off < have) {
        size_t known = have - (size_t)off;
        if (known >= piece.n) {
            return DELTA_NOTHING;
        }
        piece = sv_sub(piece, known, piece.n);
    } else if (other && have > 0 && sv_starts(piece, BLANK_LINE)) {
        buf_sv(&d->text, BLANK_LINE);
        piece = sv_sub(piece, BLANK_LINE.n, piece.n);
    }
    if (other) {
        begin_item(d, item);
    }
    return buf_sv(&d->text, piece) ? DELTA_ADDED : DELTA_NOTHING;
}

void delta_rewind(struct delta *d, uint64_t off)
{
    if (off >= d->text.n) {
        return;
    }
    d->text.n = (size_t)off;
    d->item_start = 0;
    d->item[0] = '\0';
    d->sent = 0;
    d->replace = true;
}

bool delta_set(struct delta *d, sv text)
{
    sv have = delta_all(d);
    if (sv_eq(have, text) && !d->replace) {
        return false;
    }
    if (sv_starts(text, have)) {
        return buf_sv(&d->text, sv_sub(text, have.n, text.n));
    }
    delta_rewind(d, 0);
    return buf_sv(&d->text, text);
}

bool delta_pending(const struct delta *d)
{
    return d->replace || d->text.n > d->sent;
}

sv delta_new(const struct delta *d)
{
    return sv_sub(buf_view(&d->text), d->replace ? 0 : d->sent, d->text.n);
}

sv delta_item(const struct delta *d)
{
    return sv_sub(buf_view(&d->text), d->item_start, d->text.n);
}

sv delta_all(const struct delta *d)
{
    return buf_view(&d->text);
}

void delta_sent(struct delta *d)
{
    d->sent = d->text.n;
    d->replace = false;
}
