/*
 * buf.h: growable byte buffer with a hard cap.
 * Runs in: every process.     Owns: its bytes, until buf_free.
 * Never: grows past its cap. An append that would is refused as a whole and sets `full`, so a chain of
 *        appends can be checked once at its end.
 * Tested in: tests/unit/common/test_buf.c
 */
#ifndef TENAZA_COMMON_BUF_H
#define TENAZA_COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/sv.h"

struct buf {
    char *p;
    size_t n;   /* used */
    size_t cap; /* allocated */
    size_t max; /* hard cap in bytes */
    bool full;  /* an append was refused */
};

#define BUF_MAX_DEFAULT 1048576u
#define BUF_INIT(max_bytes) ((struct buf){NULL, 0, 0, (max_bytes), false})

void buf_free(struct buf *b); /* usable with ATTR_CLEANUP */
void buf_reset(struct buf *b); /* empties, keeps the memory */
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_sv(struct buf *b, sv s);
bool buf_str(struct buf *b, const char *cstr);
bool buf_ch(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
bool buf_vprintf(struct buf *b, const char *fmt, va_list ap) ATTR_PRINTF(2, 0);
/* Appends s as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
bool buf_json_str(struct buf *b, sv s);
/* Room for n more bytes (NULL when over the cap); follow with b->n += written. */
char *buf_room(struct buf *b, size_t n);
void buf_drop_front(struct buf *b, size_t n);
sv buf_view(const struct buf *b);
const char *buf_cstr(struct buf *b); /* terminated; "" when empty; valid until the next append */
char *buf_take(struct buf *b);       /* moves out a malloc'ed C string; b is empty afterwards */

/* malloc family: never NULL; running out of memory ends the process. */
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) ATTR_PRINTF(1, 2);
void xfree(void *p);
/* Gives free memory back to the kernel; takes some 100 us, so for quiet moments. */
void xtrim(void);
static inline char *xsvdup(sv s)
{
    return xstrndup(s.p ? s.p : "", s.n);
}
/* ATTR_CLEANUP(xfree_p) char *s = ...; */
void xfree_p(void *pp);

#endif
