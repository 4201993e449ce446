/*
 * text.c: UTF-8 (strict, RFC 3629) and the escapes of JSON strings.
 * Runs in: every process.     Owns: nothing.
 * Never: accepts overlong forms, surrogates, code points above U+10FFFF, or reads past the view.
 * Tested in: tests/unit/common/test_text.c; fuzzed by tests/fuzz/fuzz_text.c
 */
#include "common/text.h"

static const char replacement[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0u) == 0x80u;
}

size_t utf8_decode(sv s, uint32_t *cp)
{
    if (s.n == 0) {
        return 0;
    }
    const unsigned char b0 = (unsigned char)s.p[0];
    if (b0 < 0x80) {
        *cp = b0;
        return 1;
    }
    /* The lead byte says how long the sequence is and the smallest code point that needs it. */
    size_t n;
    uint32_t v;
    uint32_t least;
    if (b0 >= 0xc2 && b0 <= 0xdf) {
        n = 2;
        v = b0 & 0x1fu;
        least = 0x80;
    } else if (b0 >= 0xe0 && b0 <= 0xef) {
        n = 3;
        v = b0 & 0x0fu;
        least = 0x800;
    } else if (b0 >= 0xf0 && b0 <= 0xf4) {
        n = 4;
        v = b0 & 0x07u;
        least = 0x10000;
    } else {
        return 0;
    }
    if (s.n < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if (!is_tail(s.p[i])) {
            return 0;
        }
        v = (v << 6) | ((unsigned char)s.p[i] & 0x3fu);
    }
    if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) {
        return 0;
    }
    *cp = v;
    return n;
}

size_t utf8_encode(uint32_t cp, char dst[4])
{
    if (cp < 0x80) {
        dst[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        dst[0] = (char)(0xc0u | (cp >> 6));
        dst[1] = (char)(0x80u | (cp & 0x3fu));
        return 2;
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff)) {
        cp = 0xfffd;
    }
    if (cp < 0x10000) {
        dst[0] = (char)(0xe0u | (cp >> 12));
        dst[1] = (char)(0x80u | ((cp >> 6) & 0x3fu));
        dst[2] = (char)(0x80u | (cp & 0x3fu));
        return 3;
    }
    dst[0] = (char)(0xf0u | (cp >> 18));
    dst[1] = (char)(0x80u | ((cp >> 12) & 0x3fu));
    dst[2] = (char)(0x80u | ((cp >> 6) & 0x3fu));
    dst[3] = (char)(0x80u | (cp & 0x3fu));
    return 4;
}

/* Bytes of ASCII at the front, eight at a time: nearly all that every hop validates is ASCII. */
static size_t ascii_run(sv s)
{
    size_t i = 0;
    uint64_t word;
    while (i + sizeof(word) <= s.n) {
        memcpy(&word, s.p + i, sizeof(word));
        if ((word & 0x8080808080808080u) != 0) {
            break;
        }
        i += sizeof(word);
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80) {
        i++;
    }
    return i;
}

bool utf8_valid(sv s)
{
    for (size_t at = ascii_run(s); at < s.n;) {
        uint32_t cp;
        sv rest = {s.p + at, s.n - at};
        size_t n = utf8_decode(rest, &cp);
        if (n == 0) {
            return false;
        }
        rest = (sv){rest.p + n, rest.n - n};
        at += n + ascii_run(rest);
    }
    return true;
}

size_t utf8_cut(sv s, size_t max)
{
    if (max >= s.n) {
        return s.n;
    }
    /* Is there a whole sequence that begins up to three bytes before max and ends behind it? */
    for (size_t back = 1; back <= 3 && back <= max; back++) {
        uint32_t cp;
        if (utf8_decode(sv_sub(s, max - back, s.n), &cp) > back) {
            return max - back;
        }
        if (!is_tail(s.p[max - back])) {
            break;
        }
    }
    return max;
}

/* Counts units: one per code point, or two for those outside the basic plane when `wide`. */
static size_t count_units(sv s, bool wide)
{
    size_t units = 0;
    while (s.n > 0) {
        uint32_t cp = 0;
        size_t n = utf8_decode(s, &cp);
        units += wide && cp >= 0x10000 ? 2 : 1;
        s = sv_sub(s, n == 0 ? 1 : n, s.n);
    }
    return units;
}

size_t utf8_length(sv s)
{
    return count_units(s, false);
}

size_t utf16_length(sv s)
{
    return count_units(s, true);
}

void utf8_clean(struct buf *dst, sv s)
{
    size_t start = dst->n;
    while (s.n > 0 && !dst->full) {
        uint32_t cp;
        size_t good = 0;
        size_t n;
        while ((n = utf8_decode(sv_sub(s, good, s.n), &cp)) > 0) {
            good += n;
        }
        buf_add(dst, s.p, good);
        if (good < s.n) {
            buf_add(dst, replacement, sizeof(replacement));
            good++;
        }
        s = sv_sub(s, good, s.n);
    }
    if (dst->full) {
        dst->n = start;
    }
}

static size_t esc_short(char dst[TEXT_JSON_ESC], char c)
{
    dst[0] = '\\';
    dst[1] = c;
    return 2;
}

static size_t esc_u(char dst[TEXT_JSON_ESC], unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char front[4] = {'\\', 'u', '0', '0'};
    memcpy(dst, front, sizeof(front));
    dst[4] = hex[c >> 4];
    dst[5] = hex[c & 15u];
    return 6;
}

size_t text_json_esc(sv s, char dst[TEXT_JSON_ESC], size_t *dst_n)
{
    uint32_t cp;
    size_t n = utf8_decode(s, &cp);
    if (n == 0) {
        memcpy(dst, replacement, sizeof(replacement));
        *dst_n = sizeof(replacement);
        return s.n == 0 ? 0 : 1;
    }
    switch (cp) {
    case '"':
    case '\\':
        *dst_n = esc_short(dst, s.p[0]);
        break;
    case '\n':
        *dst_n = esc_short(dst, 'n');
        break;
    case '\r':
        *dst_n = esc_short(dst, 'r');
        break;
    case '\t':
        *dst_n = esc_short(dst, 't');
        break;
    default:
        if (cp < 0x20 || cp == 0x7f) {
            *dst_n = esc_u(dst, (unsigned char)cp);
        } else {
            memcpy(dst, s.p, n);
            *dst_n = n;
        }
        break;
    }
    return n;
}
