/*
 * url.c: absolute URLs (RFC 3986, the schemes we speak) and percent-encoding.
 * Runs in: every process.     Owns: nothing.
 * Never: guesses: what is not well formed is refused, since a lenient reader and a strict one would
 *        disagree about the host.
 * Tested in: tests/unit/common/test_text.c; fuzzed by tests/fuzz/fuzz_text.c
 */
#include "common/text.h"

static const char *const schemes[] = {"http", "https", "ws", "wss", "irc", "ircs"};

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The view of the scheme is lower case whatever was written: callers compare it. */
static bool take_scheme(sv *s, sv *scheme)
{
    ptrdiff_t at = sv_find(*s, SV("://"));
    if (at < 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (sv_eq_nocase(sv_sub(*s, 0, (size_t)at), sv_of(schemes[i]))) {
            *scheme = sv_of(schemes[i]);
            *s = sv_sub(*s, (size_t)at + 3, s->n);
            return true;
        }
    }
    return false;
}

static bool host_valid(sv host, bool bracketed)
{
    bool colon = false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool ok = bracketed ? hex_value(c) >= 0 || c == ':' || c == '.'
                            : is_alnum(c) || c == '.' || c == '-' || c == '_';
        if (!ok) {
            return false;
        }
        colon = colon || c == ':';
    }
    return host.n > 0 && host.n <= 253 && colon == bracketed;
}

static bool take_host(sv *auth, sv *host)
{
    if (auth->n > 0 && auth->p[0] == '[') {
        ptrdiff_t end = sv_chr(*auth, ']');
        if (end < 0) {
            return false;
        }
        *host = sv_sub(*auth, 1, (size_t)end - 1);
        *auth = sv_sub(*auth, (size_t)end + 1, auth->n);
        return host_valid(*host, true);
    }
    ptrdiff_t end = sv_chr(*auth, ':');
    *host = sv_sub(*auth, 0, end < 0 ? auth->n : (size_t)end);
    *auth = sv_sub(*auth, host->n, auth->n);
    return host_valid(*host, false);
}

static bool authority_parse(sv auth, struct url *out)
{
    ptrdiff_t at = sv_chr(auth, '@');
    if (at >= 0) {
        out->userinfo = sv_sub(auth, 0, (size_t)at);
        auth = sv_sub(auth, (size_t)at + 1, auth.n); /* a second '@' is no host character */
    }
    if (!take_host(&auth, &out->host)) {
        return false;
    }
    if (auth.n == 0) {
        return true;
    }
    uint64_t port;
    if (auth.p[0] != ':' || !sv_u64(sv_sub(auth, 1, auth.n), &port) || port == 0 || port > 65535) {
        return false;
    }
    out->port = (uint16_t)port;
    return true;
}

bool url_parse(sv s, struct url *out)
{
    *out = (struct url){0};
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c == 0x7f || c == '\\') {
            return false;
        }
    }
    struct url u = {0};
    if (!utf8_valid(s) || !take_scheme(&s, &u.scheme)) {
        return false;
    }
    sv rest = s;
    sv front = sv_cut(&rest, '#');
    u.fragment = rest;
    rest = front;
    front = sv_cut(&rest, '?');
    u.query = rest;
    ptrdiff_t slash = sv_chr(front, '/');
    size_t auth_n = slash < 0 ? front.n : (size_t)slash;
    u.path = sv_sub(front, auth_n, front.n);
    if (!authority_parse(sv_sub(front, 0, auth_n), &u)) {
        return false;
    }
    *out = u;
    return true;
}

bool url_encode(struct buf *dst, sv s)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t start = dst->n;
    for (size_t i = 0; i < s.n && !dst->full; i++) {
        char c = s.p[i];
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            buf_ch(dst, c);
        } else {
            char esc[3] = {'%', hex[(unsigned char)c >> 4], hex[(unsigned char)c & 15u]};
            buf_add(dst, esc, sizeof(esc));
        }
    }
    if (dst->full) {
        dst->n = start;
        return false;
    }
    return true;
}

bool url_decode(struct buf *dst, sv s)
{
    size_t start = dst->n;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int lo = s.n - i > 2 ? hex_value(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) {
                dst->n = start;
                return false;
            }
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        if (!buf_ch(dst, c)) {
            dst->n = start;
            return false;
        }
    }
    return true;
}

sv url_query(sv query, const char *key)
{
    while (query.n > 0) {
        sv value = sv_cut(&query, '&');
        sv name = sv_cut(&value, '=');
        if (sv_eqc(name, key)) {
            return value.n > 0 ? value : SV("");
        }
    }
    return SV_NULL;
}
