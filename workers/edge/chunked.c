/*
 * chunked.c: see chunked.h.
 * Runs in: edge.     Owns: nothing.
 * Never: looks ahead: one byte at a time decides.
 * Tested in: tests/unit/edge/test_chunked.c
 */
#include "workers/edge/chunked.h"

enum { AT_SIZE, AT_EXTENSION, AT_SIZE_LF, AT_DATA, AT_DATA_CR, AT_DATA_LF, AT_TRAILER, AT_TRAILER_LF };

#define SIZE_DIGITS_MAX 8 /* 4 GiB; no route takes more */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
        return (c | 0x20) - 'a' + 10;
    }
    return -1;
}

static bool take_size(struct chunked *c, char ch)
{
    int d = digit_of(ch);
    if (d >= 0 && c->digits < SIZE_DIGITS_MAX) {
        c->left = c->left * 16 + (unsigned)d;
        c->digits++;
        return true;
    }
    if (c->digits == 0 || d >= 0) {
        return false;
    }
    c->state = ch == '\r' ? AT_SIZE_LF : AT_EXTENSION;
    return ch == '\r' || ch == ';' || ch == ' ' || ch == '\t';
}

static bool take_extra(struct chunked *c, char ch, int on_cr)
{
    if (ch == '\r') {
        c->state = on_cr;
        return true;
    }
    c->line++;
    return ch != '\n' && ++c->extra <= CHUNKED_EXTRA_MAX;
}

/* One byte that is not content. */
static bool take_byte(struct chunked *c, char ch)
{
    switch (c->state) {
    case AT_SIZE:
        return take_size(c, ch);
    case AT_EXTENSION:
        return take_extra(c, ch, AT_SIZE_LF);
    case AT_SIZE_LF:
        c->state = c->left > 0 ? AT_DATA : AT_TRAILER;
        c->line = 0;
        return ch == '\n';
    case AT_DATA_CR:
        c->state = AT_DATA_LF;
        return ch == '\r';
    case AT_DATA_LF:
        *c = (struct chunked){.state = AT_SIZE, .extra = c->extra};
        return ch == '\n';
    case AT_TRAILER:
        return take_extra(c, ch, AT_TRAILER_LF);
    default: /* AT_TRAILER_LF: an empty line ends the body */
        c->done = c->line == 0;
        c->line = 0;
        c->state = AT_TRAILER;
        return ch == '\n';
    }
}

enum chunked_result chunked_add(struct chunked *c, sv in, struct buf *body)
{
    while (in.n > 0 && !c->done) {
        if (c->state == AT_DATA) {
            size_t n = in.n < c->left ? in.n : (size_t)c->left;
            if (!buf_sv(body, sv_sub(in, 0, n))) {
                return CHUNKED_FULL;
            }
            c->left -= n;
            c->state = c->left == 0 ? AT_DATA_CR : AT_DATA;
            in = sv_sub(in, n, in.n);
            continue;
        }
        if (!take_byte(c, in.p[0])) {
            return CHUNKED_BAD;
        }
        in = sv_sub(in, 1, in.n);
    }
    return c->done ? CHUNKED_DONE : CHUNKED_MORE;
}
