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
size_t utf8_encode(uint32_t cp, char dst[4]); /* U+FFFD for what is no code point */
/* Largest n <= max such that no whole sequence of s lies across n. s.n when max >= s.n (an unfinished
 * tail of s itself is not looked for); never 0 when max >= 4 and s is not empty, so loops make progress. */
size_t utf8_cut(sv s, size_t max);
size_t utf8_length(sv s);  /* code points (invalid bytes count one each) */
size_t utf16_length(sv s); /* UTF-16 code units */
/* Copies s with each invalid byte replaced by U+FFFD. */
void utf8_clean(struct buf *dst, sv s);

#define TEXT_JSON_ESC 8
/* The first character of s as it stands inside a JSON string (1..6 bytes, no NUL, U+FFFD for an invalid
 * byte); returns how many bytes of s it took. For writers that must stop between two characters. */
size_t text_json_esc(sv s, char dst[TEXT_JSON_ESC], size_t *dst_n);

enum b64_variant { B64_STD, B64_URL /* '-' '_' and no padding */ };
bool b64_encode(struct buf *dst, sv bytes, enum b64_variant v);
/* Accepts both alphabets, padding optional; false on any other byte and on stray bits
 * behind the last byte. dst is unchanged then. */
bool b64_decode(struct buf *dst, sv text);
bool hex_encode(struct buf *dst, sv bytes);

struct url {
    /* scheme points to a constant in lower case, the others into the parsed text. */
    sv scheme, userinfo, host, path, query, fragment; /* host without brackets; path "" or "/..." */
    uint16_t port;                                    /* 0: not given */
};
bool url_parse(sv s, struct url *out); /* absolute http, https, ws, wss, irc, ircs URLs */
bool url_encode(struct buf *dst, sv s); /* percent-encoding of everything but unreserved characters */
bool url_decode(struct buf *dst, sv s); /* false on bad escapes; '+' stays '+' */
/* Value of `key` in a query string, still encoded; SV_NULL when absent. */
sv url_query(sv query, const char *key);

#endif
