/*
 * fmt_plain.c: see fmt_plain.h. Line by line for blocks, then character by character for spans.
 * Runs in: channel workers.     Owns: nothing.
 * Never: looks across lines for the end of a span.
 * Tested in: tests/unit/chan/test_fmt_plain.c
 */
#include "workers/chan/fmt_plain.h"

/* A span that ends further away than this is text; nesting beyond this is text. Both bound the work that a
 * line of nothing but marks can cause. */
#define SPAN_MAX 512
#define ADDRESS_MAX 2048
#define DEPTH_MAX 8

static bool one_of(const char *set, char c)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

/* Index of `mark` in s at or after `from`, at most `within` bytes away, skipping escaped characters; -1. */
static ptrdiff_t find_mark(sv s, size_t from, sv mark, size_t within)
{
    for (size_t i = from; i + mark.n <= s.n && i < from + within; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (memcmp(s.p + i, mark.p, mark.n) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static void spans(struct buf *dst, sv s, unsigned depth);

/* "[text](address)" or "![text](address)" at s[i]; returns its length, 0 when it is none. */
static size_t link_at(struct buf *dst, sv s, size_t i, unsigned depth)
{
    size_t open = s.p[i] == '!' ? i + 1 : i;
    if (open >= s.n || s.p[open] != '[') {
        return 0;
    }
    ptrdiff_t mid = find_mark(s, open + 1, SV("]("), SPAN_MAX);
    if (mid < 0) {
        return 0;
    }
    ptrdiff_t end = find_mark(s, (size_t)mid + 2, SV(")"), ADDRESS_MAX);
    if (end < 0) {
        return 0;
    }
    sv text = sv_sub(s, open + 1, (size_t)mid - open - 1);
    sv address = sv_sub(s, (size_t)mid + 2, (size_t)(end - mid) - 2);
    ptrdiff_t title = sv_chr(address, ' ');
    if (title > 0) {
        address = sv_sub(address, 0, (size_t)title);
    }
    if (sv_empty(text) || sv_eq(text, address)) {
        buf_sv(dst, address);
    } else {
        spans(dst, text, depth + 1);
        buf_str(dst, " (");
        buf_sv(dst, address);
        buf_ch(dst, ')');
    }
    return (size_t)end + 1 - i;
}

/* Emphasis that begins at s[i]; returns its length, 0 when the mark is only a character. */
static size_t emphasis_at(struct buf *dst, sv s, size_t i, unsigned depth)
{
    static const char *const marks[] = {"***", "**", "__", "~~", "*", "_"};
    for (size_t m = 0; m < ARRAY_LEN(marks); m++) {
        sv mark = sv_of(marks[m]);
        if (!sv_starts(sv_sub(s, i, s.n), mark)) {
            continue;
        }
        size_t from = i + mark.n;
        bool inside_word = i > 0 && is_word(s.p[i - 1]);
        if (from >= s.n || s.p[from] == ' ' || (mark.p[0] == '_' && inside_word)) {
            return 0;
        }
        ptrdiff_t end = find_mark(s, from, mark, SPAN_MAX);
        if (end <= (ptrdiff_t)from || s.p[end - 1] == ' ') {
            continue;
        }
        size_t after = (size_t)end + mark.n;
        if (mark.p[0] == '_' && after < s.n && is_word(s.p[after])) {
            return 0; /* snake_case_name */
        }
        spans(dst, sv_sub(s, from, (size_t)end - from), depth + 1);
        return after - i;
    }
    return 0;
}

/* Inline code keeps its backquotes: in a sentence they are what makes a command readable. */
static size_t code_at(struct buf *dst, sv s, size_t i)
{
    size_t ticks = 0;
    while (i + ticks < s.n && s.p[i + ticks] == '`') {
        ticks++;
    }
    ptrdiff_t end = sv_find(sv_sub(s, i + ticks, SPAN_MAX), sv_sub(s, i, ticks));
    if (end < 0) {
        return 0;
    }
    buf_ch(dst, '`');
    buf_sv(dst, sv_trim(sv_sub(s, i + ticks, (size_t)end)));
    buf_ch(dst, '`');
    return (size_t)end + 2 * ticks;
}

static void spans(struct buf *dst, sv s, unsigned depth)
{
    if (depth > DEPTH_MAX) {
        buf_sv(dst, s);
        return;
    }
    size_t i = 0;
    while (i < s.n) {
        char c = s.p[i];
        size_t used = 0;
        if (c == '\\' && i + 1 < s.n && one_of("\\`*_{}[]()#+-.!~>|", s.p[i + 1])) {
            buf_ch(dst, s.p[i + 1]);
            used = 2;
        } else if (c == '`') {
            used = code_at(dst, s, i);
        } else if (c == '[' || c == '!') {
            used = link_at(dst, s, i, depth);
        } else if (c == '*' || c == '_' || c == '~') {
            used = emphasis_at(dst, s, i, depth);
        }
        if (used == 0) {
            buf_ch(dst, c);
            used = 1;
        }
        i += used;
    }
}

static bool is_rule(sv line)
{
    line = sv_trim(line);
    if (line.n < 3 || !one_of("-*_", line.p[0])) {
        return false;
    }
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] != line.p[0] && line.p[i] != ' ') {
            return false;
        }
    }
    return true;
}

static bool is_fence(sv line)
{
    sv t = sv_trim(line);
    return sv_starts(t, SV("```")) || sv_starts(t, SV("~~~"));
}

static void one_line(struct buf *dst, sv line)
{
    if (is_rule(line)) {
        buf_str(dst, "----");
        return;
    }
    size_t i = 0;
    while (i < line.n && line.p[i] == ' ') {
        i++;
    }
    size_t hashes = 0;
    while (i + hashes < line.n && line.p[i + hashes] == '#') {
        hashes++;
    }
    if (hashes >= 1 && hashes <= 6 && i + hashes < line.n && line.p[i + hashes] == ' ') {
        sv title = sv_trim(sv_sub(line, i + hashes, line.n));
        while (title.n && title.p[title.n - 1] == '#') {
            title.n--;
        }
        spans(dst, sv_trim(title), 0);
        return;
    }
    buf_sv(dst, sv_sub(line, 0, i));
    if (i + 1 < line.n && (line.p[i] == '*' || line.p[i] == '+') && line.p[i + 1] == ' ') {
        buf_ch(dst, '-');
        i++;
    }
    spans(dst, sv_sub(line, i, line.n), 0);
}

void fmt_plain(struct buf *dst, sv md)
{
    bool code = false, first = true;
    while (!sv_empty(md)) {
        sv line = sv_cut(&md, '\n');
        if (line.n && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        if (is_fence(line)) {
            code = !code;
            continue;
        }
        if (!first) {
            buf_ch(dst, '\n');
        }
        first = false;
        if (code) {
            buf_sv(dst, line);
        } else {
            one_line(dst, line);
        }
    }
}
