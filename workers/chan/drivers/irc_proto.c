/*
 * irc_proto.c: see irc_proto.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: looks at bytes outside the views it is given.
 * Tested in: tests/unit/chan/test_irc_proto.c; fuzzed by tests/fuzz/fuzz_irc.c
 */
#include "workers/chan/drivers/irc_proto.h"

#include "common/err.h"
#include "common/text.h"

/* ---- framing ----------------------------------------------------------------------------------------- */

void irc_frame(struct irc_framer *f, sv bytes, irc_line_fn *fn, void *ctx)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char c = bytes.p[i];
        if (c != '\n' && c != '\r') {
            if (f->n == sizeof f->buf) {
                f->skipping = true;
            } else {
                f->buf[f->n++] = c;
            }
            continue;
        }
        sv line = sv_mem(f->buf, f->n);
        bool good = !f->skipping && line.n > 0;
        f->dropped += f->skipping ? 1 : 0;
        f->skipping = false;
        f->n = 0;
        if (good && !fn(ctx, line)) {
            return;
        }
    }
}

/* ---- one line ---------------------------------------------------------------------------------------- */

static sv skip_spaces(sv s)
{
    while (s.n && s.p[0] == ' ') {
        s = sv_sub(s, 1, s.n);
    }
    return s;
}

static bool command_ok(sv c)
{
    if (c.n == 0 || c.n > 32) {
        return false;
    }
    for (size_t i = 0; i < c.n; i++) {
        char ch = c.p[i];
        bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
        if (!letter && !(ch >= '0' && ch <= '9')) {
            return false;
        }
    }
    return true;
}

int irc_parse(sv line, struct irc_msg *out)
{
    *out = (struct irc_msg){.n = 0};
    if (sv_chr(line, '\0') >= 0) {
        return ERR_PARSE;
    }
    sv rest = line;
    if (rest.n && rest.p[0] == '@') {
        sv tags = sv_cut(&rest, ' ');
        out->tags = sv_sub(tags, 1, tags.n);
        rest = skip_spaces(rest);
    }
    if (rest.n && rest.p[0] == ':') {
        sv prefix = sv_cut(&rest, ' ');
        out->prefix = sv_sub(prefix, 1, prefix.n);
        rest = skip_spaces(rest);
    }
    out->command = sv_cut(&rest, ' ');
    if (!command_ok(out->command)) {
        return ERR_PARSE;
    }
    rest = skip_spaces(rest);
    while (rest.n) {
        if (rest.p[0] == ':' || out->n == IRC_PARAMS_MAX - 1) {
            out->params[out->n++] = rest.p[0] == ':' ? sv_sub(rest, 1, rest.n) : rest;
            break;
        }
        out->params[out->n++] = sv_cut(&rest, ' ');
        rest = skip_spaces(rest);
    }
    return OK;
}

sv irc_param(const struct irc_msg *m, size_t i)
{
    return i < m->n ? m->params[i] : SV_NULL;
}

unsigned irc_numeric(const struct irc_msg *m)
{
    uint64_t v = 0;
    return m->command.n == 3 && sv_u64(m->command, &v) ? (unsigned)v : 0;
}

static char unescape(char c)
{
    switch (c) {
    case ':':
        return ';';
    case 's':
        return ' ';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    default:
        return c;
    }
}

bool irc_tag(const struct irc_msg *m, const char *key, char *dst, size_t cap)
{
    sv rest = m->tags;
    while (!sv_empty(rest)) {
        sv value = sv_cut(&rest, ';');
        sv name = sv_cut(&value, '=');
        if (!sv_eqc(name, key)) {
            continue;
        }
        size_t n = 0;
        for (size_t i = 0; i < value.n; i++) {
            char c = value.p[i];
            if (c == '\\') {
                if (++i == value.n) {
                    break; /* a lone backslash at the end is dropped */
                }
                c = unescape(value.p[i]);
            }
            if (n + 1 >= cap) {
                return false;
            }
            dst[n++] = c;
        }
        dst[n] = '\0';
        return true;
    }
    return false;
}

struct irc_who irc_prefix(sv prefix)
{
    struct irc_who w = {.nick = prefix};
    ptrdiff_t bang = sv_chr(prefix, '!');
    ptrdiff_t at = sv_chr(prefix, '@');
    if (at >= 0 && at > bang) {
        w.host = sv_sub(prefix, (size_t)at + 1, prefix.n);
        w.nick = sv_sub(prefix, 0, (size_t)at);
        if (bang >= 0) {
            w.user = sv_sub(prefix, (size_t)bang + 1, (size_t)(at - bang) - 1);
            w.nick = sv_sub(prefix, 0, (size_t)bang);
        }
    } else if (bang >= 0) {
        w.user = sv_sub(prefix, (size_t)bang + 1, prefix.n);
        w.nick = sv_sub(prefix, 0, (size_t)bang);
    }
    return w;
}

static bool param_ok(sv p, bool last)
{
    for (size_t i = 0; i < p.n; i++) {
        char c = p.p[i];
        if (c == '\r' || c == '\n' || c == '\0' || (!last && c == ' ')) {
            return false;
        }
    }
    return last || (p.n > 0 && p.p[0] != ':');
}

bool irc_put(struct buf *dst, const char *command, const sv *params, size_t n)
{
    size_t len = strlen(command);
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n;
        if (!param_ok(params[i], last)) {
            return false;
        }
        len += params[i].n + (last ? 2 : 1);
    }
    if (len > IRC_LINE_MAX || dst->n + len + 2 > dst->max) {
        return false;
    }
    buf_str(dst, command);
    for (size_t i = 0; i < n; i++) {
        buf_str(dst, i + 1 == n ? " :" : " ");
        buf_sv(dst, params[i]);
    }
    return buf_str(dst, "\r\n");
}

/* ---- names ------------------------------------------------------------------------------------------- */

enum irc_casemap irc_casemap_of(sv name)
{
    if (sv_eq_nocase(name, SV("ascii"))) {
        return IRC_ASCII;
    }
    return sv_eq_nocase(name, SV("strict-rfc1459")) || sv_eq_nocase(name, SV("rfc1459-strict"))
               ? IRC_RFC1459_STRICT
               : IRC_RFC1459;
}

static char lower(char c, enum irc_casemap map)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c + 32);
    }
    if (map != IRC_ASCII && c >= '[' && c <= ']') {
        return (char)(c + 32); /* [ ] \ are the upper case of { } | */
    }
    if (map == IRC_RFC1459 && c == '^') {
        return '~';
    }
    return c;
}

bool irc_same(sv a, sv b, enum irc_casemap map)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i], map) != lower(b.p[i], map)) {
            return false;
        }
    }
    return true;
}

bool irc_fold(char *dst, size_t cap, sv name, enum irc_casemap map)
{
    if (name.n >= cap) {
        dst[0] = '\0';
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        dst[i] = lower(name.p[i], map);
    }
    dst[name.n] = '\0';
    return true;
}

bool irc_is_channel(sv target, sv chantypes)
{
    return target.n > 1 && sv_chr(chantypes, target.p[0]) >= 0;
}

bool irc_mask(sv mask, sv id, enum irc_casemap map)
{
    size_t m = 0, i = 0, star = SIZE_MAX, back = 0;
    while (i < id.n) {
        if (m < mask.n && mask.p[m] == '*') {
            star = m++;
            back = i;
        } else if (m < mask.n && (mask.p[m] == '?' || lower(mask.p[m], map) == lower(id.p[i], map))) {
            m++;
            i++;
        } else if (star != SIZE_MAX) {
            m = star + 1;
            i = ++back;
        } else {
            return false;
        }
    }
    while (m < mask.n && mask.p[m] == '*') {
        m++;
    }
    return m == mask.n;
}

/* ---- text -------------------------------------------------------------------------------------------- */

bool irc_ctcp(sv text, sv *verb, sv *rest)
{
    if (text.n < 2 || text.p[0] != '\1') {
        return false;
    }
    sv inner = sv_sub(text, 1, text.n);
    if (inner.p[inner.n - 1] == '\1') {
        inner.n--;
    }
    *rest = inner;
    *verb = sv_cut(rest, ' ');
    return verb->n > 0;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool hex(char c)
{
    return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of a colour code's arguments behind the control character at s[0]. */
static size_t colour_args(sv s, size_t digits, bool (*is_digit)(char))
{
    size_t i = 0;
    while (i < digits && i < s.n && is_digit(s.p[i])) {
        i++;
    }
    if (i == 0 || i + 1 >= s.n || s.p[i] != ',' || !is_digit(s.p[i + 1])) {
        return i;
    }
    size_t j = i + 1;
    while (j < i + 1 + digits && j < s.n && is_digit(s.p[j])) {
        j++;
    }
    return j;
}

void irc_plain(struct buf *dst, sv text)
{
    bool utf8 = utf8_valid(text);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\3') {
            i += colour_args(sv_sub(text, i + 1, text.n), 2, digit);
        } else if (c == '\4') {
            i += colour_args(sv_sub(text, i + 1, text.n), 6, hex);
        } else if (c == '\t') {
            buf_ch(dst, ' ');
        } else if ((unsigned char)c >= 0x20 && c != 0x7f) {
            if (utf8 || (unsigned char)c < 0x80) {
                buf_ch(dst, c);
            } else {
                char two[4];
                buf_add(dst, two, utf8_encode((unsigned char)c, two));
            }
        }
    }
}

void irc_sanitise(struct buf *dst, sv text)
{
    struct buf clean ATTR_CLEANUP(buf_free) = BUF_INIT(text.n * 3 + 1);
    utf8_clean(&clean, text);
    for (size_t i = 0; i < clean.n; i++) {
        bool control = (unsigned char)clean.p[i] < 0x20 || clean.p[i] == 0x7f;
        buf_add(dst, control ? " " : &clean.p[i], 1);
    }
}

size_t irc_budget(size_t prefix_len, sv target)
{
    /* ":prefix PRIVMSG target :" stands in front when the server relays it. */
    size_t used = 1 + prefix_len + 1 + sizeof("PRIVMSG") - 1 + 1 + target.n + 2;
    return used + 100 > IRC_LINE_MAX ? 100 : IRC_LINE_MAX - used;
}
