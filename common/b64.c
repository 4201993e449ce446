/*
 * b64.c: base64 (RFC 4648, both alphabets) and hexadecimal.
 * Runs in: every process.     Owns: nothing.
 * Never: leaves half a result in the buffer when it fails.
 * Tested in: tests/unit/common/test_text.c; fuzzed by tests/fuzz/fuzz_text.c
 */
#include "common/text.h"

static const char alphabet_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool b64_encode(struct buf *dst, sv bytes, enum b64_variant v)
{
    const char *abc = v == B64_URL ? alphabet_url : alphabet_std;
    if (bytes.n > SIZE_MAX / 4 * 3 - 3) {
        dst->full = true;
        return false;
    }
    char *out = buf_room(dst, (bytes.n + 2) / 3 * 4);
    if (out == NULL) {
        return false;
    }
    const unsigned char *in = (const unsigned char *)bytes.p;
    char *at = out;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t have = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t w = (uint32_t)in[i] << 16;
        w |= have > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        w |= have > 2 ? (uint32_t)in[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            if (k <= have) {
                *at++ = abc[(w >> (18 - 6 * k)) & 63u];
            } else if (v == B64_STD) {
                *at++ = '=';
            }
        }
    }
    dst->n += (size_t)(at - out);
    return true;
}

static int b64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

bool b64_decode(struct buf *dst, sv text)
{
    size_t pad = 0;
    while (pad < 2 && text.n > 0 && text.p[text.n - 1] == '=') {
        text.n--;
        pad++;
    }
    /* Padding, when there is any, completes a group of four; one character alone holds no byte. */
    if ((pad > 0 && (text.n + pad) % 4 != 0) || text.n % 4 == 1) {
        return false;
    }
    char *out = buf_room(dst, text.n / 4 * 3 + (text.n % 4 > 0 ? text.n % 4 - 1 : 0));
    if (out == NULL) {
        return false;
    }
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int v = b64_value(text.p[i]);
        if (v < 0) {
            return false;
        }
        acc = ((acc << 6) | (uint32_t)v) & 0xffffu;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (char)((acc >> bits) & 0xffu);
        }
    }
    if ((acc & ((1u << bits) - 1)) != 0) { /* bits that belong to no byte: not the canonical text */
        return false;
    }
    dst->n += n;
    return true;
}

bool hex_encode(struct buf *dst, sv bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.n > SIZE_MAX / 2) {
        dst->full = true;
        return false;
    }
    char *out = buf_room(dst, bytes.n * 2);
    if (out == NULL) {
        return false;
    }
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        out[2 * i] = digits[c >> 4];
        out[2 * i + 1] = digits[c & 15u];
    }
    dst->n += bytes.n * 2;
    return true;
}
