/*
 * buf.c: growable byte buffer with a hard cap.
 * Runs in: every process.     Owns: its bytes, until buf_free.
 * Never: grows past its cap, leaves half an append behind.
 * Tested in: tests/unit/common/test_buf.c
 */
#include "common/buf.h"

#include <stdio.h>

#include "common/err.h"
#include "common/text.h"

#define BUF_FIRST 64u /* bytes of the first allocation; doubled from there on */

/*
 * Makes room for n more bytes. The allocation may be one byte larger than max: that byte is for the
 * terminator of buf_cstr and never counts as content.
 */
static bool reserve(struct buf *b, size_t n)
{
    if (b->full || b->n > b->max || n > b->max - b->n) {
        b->full = true;
        return false;
    }
    size_t need = b->n + n;
    if (need <= b->cap && b->p != NULL) {
        return true;
    }
    size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
    while (cap < need) {
        cap = cap > b->max / 2 ? b->max : cap * 2;
    }
    if (cap > b->max) {
        cap = b->max;
    }
    if (cap == SIZE_MAX) {
        cap--; /* the byte for the terminator must exist; malloc refuses such a size anyway */
    }
    b->p = xrealloc(b->p, cap + 1);
    b->cap = cap;
    return true;
}

void buf_free(struct buf *b)
{
    xfree(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
    b->full = false;
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->full = false;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
    if (!reserve(b, n)) {
        return false;
    }
    if (n > 0) {
        memcpy(b->p + b->n, p, n);
        b->n += n;
    }
    return true;
}

bool buf_sv(struct buf *b, sv s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_str(struct buf *b, const char *cstr)
{
    return buf_add(b, cstr, cstr ? strlen(cstr) : 0);
}

bool buf_ch(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t spare = b->p != NULL ? b->cap - b->n + 1 : 0;
    int n = vsnprintf(spare > 0 ? b->p + b->n : NULL, spare, fmt, ap);
    bool ok = n >= 0 && reserve(b, (size_t)n);
    if (ok && (size_t)n >= spare) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n < 0) {
        b->full = true;
    }
    if (ok) {
        b->n += (size_t)n;
    }
    return ok;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return ok;
}

bool buf_json_str(struct buf *b, sv s)
{
    size_t start = b->n;
    buf_ch(b, '"');
    while (s.n > 0 && !b->full) {
        size_t plain = 0;
        while (plain < s.n && (unsigned char)s.p[plain] >= 0x20 && (unsigned char)s.p[plain] < 0x7f &&
               s.p[plain] != '"' && s.p[plain] != '\\') {
            plain++;
        }
        buf_add(b, s.p, plain);
        s = sv_sub(s, plain, s.n);
        if (s.n > 0) {
            char esc[TEXT_JSON_ESC];
            size_t esc_n;
            size_t used = text_json_esc(s, esc, &esc_n);
            buf_add(b, esc, esc_n);
            s = sv_sub(s, used, s.n);
        }
    }
    if (!buf_ch(b, '"')) {
        b->n = b->n < start ? b->n : start;
        return false;
    }
    return true;
}

char *buf_room(struct buf *b, size_t n)
{
    return reserve(b, n) ? b->p + b->n : NULL;
}

void buf_drop_front(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    if (n > 0) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
    }
}

sv buf_view(const struct buf *b)
{
    return (sv){b->p ? b->p : "", b->n};
}

const char *buf_cstr(struct buf *b)
{
    if (b->p == NULL) {
        return "";
    }
    b->p[b->n] = '\0';
    return b->p;
}

char *buf_take(struct buf *b)
{
    char *p = b->p;
    if (p == NULL) {
        p = xmalloc(1);
        b->n = 0;
    }
    p[b->n] = '\0';
    b->p = NULL;
    b->n = b->cap = 0;
    b->full = false;
    return p;
}
