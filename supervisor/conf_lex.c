/*
 * conf_lex.c: a lexer of just enough of libconfig's syntax to see its numbers as they were written.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: parses more than numbers, strings and comments.
 * Tested in: tests/unit/supervisor/test_conf_lex.c
 */
#include "supervisor/conf_lex.h"

#include <stdio.h>

/* libconfig 1.5 wraps silently: 3000000000 becomes -1294967296, 0xffffffff becomes -1. */
#define INT32_TOP 2147483647u

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '*';
}

static bool is_name(char c)
{
    return is_name_start(c) || is_digit(c) || c == '-' || c == '_';
}

static char at(sv t, size_t i)
{
    if (i < t.n) {
        return t.p[i];
    }
    return '\0';
}

/* Index behind the string, comment or name that starts at i; i itself when none does. */
static size_t skip_token(sv t, size_t i)
{
    char c = at(t, i);
    char next = at(t, i + 1);

    if (c == '"') {
        for (i++; i < t.n && t.p[i] != '"'; i++) {
            i += t.p[i] == '\\' ? 1 : 0;
        }
        return i + 1;
    }
    if (c == '#' || (c == '/' && next == '/')) {
        while (i < t.n && t.p[i] != '\n') {
            i++;
        }
        return i;
    }
    if (c == '/' && next == '*') {
        for (i += 2; i < t.n && !(t.p[i] == '*' && at(t, i + 1) == '/'); i++) {
        }
        return i + 2;
    }
    while (is_name_start(c) && is_name(at(t, i))) {
        i++;
    }
    return i;
}

static bool hex_fits(sv digits, bool wide)
{
    while (digits.n > 1 && digits.p[0] == '0') {
        digits = sv_sub(digits, 1, digits.n - 1);
    }
    if (wide) {
        return digits.n < 16 || (digits.n == 16 && digits.p[0] <= '7');
    }
    return digits.n < 8 || (digits.n == 8 && digits.p[0] <= '7');
}

/* What is wrong with the number `s` (without sign); NULL: nothing. */
static const char *number_fault(sv s)
{
    bool wide = false;
    uint64_t v;

    while (s.n > 0 && s.p[s.n - 1] == 'L') {
        wide = true;
        s.n--;
    }
    if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
        return hex_fits(sv_sub(s, 2, s.n - 2), wide) ? NULL : "is too large";
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return NULL; /* a float, or no number at all: the parser's business */
        }
    }
    if (s.n > 1 && s.p[0] == '0') {
        return "starts with 0, which is not octal here";
    }
    if (!sv_u64(s, &v) || v > (wide ? (uint64_t)INT64_MAX : INT32_TOP)) {
        return "is too large";
    }
    return NULL;
}

static unsigned line_of(sv t, size_t pos)
{
    unsigned line = 1;

    for (size_t i = 0; i < pos && i < t.n; i++) {
        line += t.p[i] == '\n' ? 1 : 0;
    }
    return line;
}

/* Names and braces tell which setting a number belongs to. */
static void note_structure(struct conf_lexer *l, sv token)
{
    char c = token.p[0];

    if (is_name_start(c)) {
        l->name = token;
    } else if (c == '{') {
        if (l->depth < CONF_LEX_DEPTH) {
            l->groups[l->depth] = l->name;
        }
        l->depth++;
        l->name = SV_NULL;
    } else if (c == '}' && l->depth > 0) {
        l->depth--;
    }
}

static void path_of(const struct conf_lexer *l, char *dst, size_t cap)
{
    size_t n = 0;

    dst[0] = '\0';
    for (unsigned i = 0; i <= l->depth && i < CONF_LEX_DEPTH; i++) {
        sv part = i == l->depth ? l->name : l->groups[i];
        if (part.n > 0 && n + part.n + 2 < cap) {
            n += (size_t)snprintf(dst + n, cap - n, "%s%.*s", n ? "." : "", SV_ARG(part));
        }
    }
}

static size_t number_end(sv text, size_t i)
{
    while (is_name(at(text, i)) || at(text, i) == '.' || at(text, i) == '+') {
        i++;
    }
    return i;
}

bool conf_lex_next_error(struct conf_lexer *l, struct conf_lex_error *err)
{
    while (l->pos < l->text.n) {
        size_t start = l->pos;
        bool number = is_digit(l->text.p[start]);
        size_t end = number ? number_end(l->text, start) : skip_token(l->text, start);
        l->pos = end > start ? end : start + 1;
        if (!number) {
            note_structure(l, sv_sub(l->text, start, l->pos - start));
            continue;
        }
        sv digits = sv_sub(l->text, start, end - start);
        const char *fault = number_fault(digits);
        if (fault != NULL) {
            err->line = line_of(l->text, start);
            path_of(l, err->path, sizeof err->path);
            snprintf(err->text, sizeof err->text,
                     "the number %.*s %s; sizes and durations are texts, like \"16GiB\" or \"30s\"",
                     (int)(digits.n > 40 ? 40 : digits.n), digits.p, fault);
            return true;
        }
    }
    return false;
}
