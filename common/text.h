/*
 * text.h: UTF-8, base64 and URL helpers, all pure.
 * Runs in: every process.     Owns: nothing.
 * Never: accepts overlong forms, surrogates or bytes past the view.
 * Tested in: tests/unit/common/test_text.c; fuzzed by tests/fuzz/fuzz_text.c
 */
#ifndef TENAZA_COMMON_TEXT_H
#define TENAZA_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

bool utf8_valid(sv s);
/* Decodes one code point at s.p; returns its length in bytes (1..4), 0 when s is empty or invalid there. */
size_t utf8_decode(sv s, uint32_t *cp);
size_t utf8_encode(uint32_t cp, char dst[4]);
/* Largest n <= max such that s[0..n) does not end inside a sequence. */
size_t utf8_cut(sv s, size_t max);
size_t utf8_length(sv s);  /* code points (invalid bytes count one each) */
size_t utf16_length(sv s); /* UTF-16 code units */
/* Copies s with invalid sequences replaced by U+FFFD. */
void utf8_clean(struct buf *dst, sv s);

enum b64_variant { B64_STD, B64_URL /* '-' '_' and no padding */ };
bool b64_encode(struct buf *dst, sv bytes, enum b64_variant v);
/* Accepts both alphabets, padding optional; false on any other byte. */
bool b64_decode(struct buf *dst, sv text);
bool hex_encode(struct buf *dst, sv bytes);

struct url {
    sv scheme, userinfo, host, path, query, fragment; /* host without brackets; path "" or "/..." */
    uint16_t port;                                    /* 0: not given */
};
bool url_parse(sv s, struct url *out); /* absolute http, https, ws, wss, irc, ircs URLs */
bool url_encode(struct buf *dst, sv s); /* percent-encoding of everything but unreserved characters */
bool url_decode(struct buf *dst, sv s); /* false on bad escapes; '+' stays '+' */
/* Value of `key` in a query string, still encoded; SV_NULL when absent. */
sv url_query(sv query, const char *key);

#endif
