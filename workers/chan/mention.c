/*
 * mention.c: see mention.h. Patterns are refused before they are compiled when their shape is one that
 * backtracking matchers take exponential time for, whatever matcher libc uses.
 * Runs in: channel workers.     Owns: compiled patterns.
 * Never: keeps match positions (REG_NOSUB).
 * Tested in: tests/unit/chan/test_mention.c
 */
#include "workers/chan/mention.h"

#include <regex.h>

#include "common/buf.h"
#include "common/err.h"

#define REPEAT_MAX 64

struct mention_set {
    regex_t re[MENTION_PATTERNS_MAX];
    size_t n;
};

struct mention_set *mention_new(void)
{
    return (struct mention_set *)xcalloc(1, sizeof(struct mention_set));
}

void mention_free(struct mention_set *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        regfree(&m->re[i]);
    }
    xfree(m);
}

/* Length of a bracket expression at p ("[^]a-z[:alpha:]]"), 1 when it has no end. */
static size_t bracket(const char *p)
{
    size_t i = 1;
    if (p[i] == '^') {
        i++;
    }
    if (p[i] == ']') {
        i++;
    }
    while (p[i] && p[i] != ']') {
        if (p[i] == '[' && (p[i + 1] == ':' || p[i + 1] == '.' || p[i + 1] == '=')) {
            const char *end = strchr(p + i + 2, ']');
            if (!end) {
                return 1;
            }
            i = (size_t)(end - p);
        }
        i++;
    }
    return p[i] ? i + 1 : 1;
}

/* A "{m,n}" at p: its length, 0 when it is none; *big when a count is above REPEAT_MAX. */
static size_t braces(const char *p, bool *big)
{
    size_t i = 1;
    unsigned value = 0;
    while ((p[i] >= '0' && p[i] <= '9') || p[i] == ',') {
        value = p[i] == ',' ? 0 : value * 10 + (unsigned)(p[i] - '0');
        if (value > REPEAT_MAX) {
            *big = true;
            value = REPEAT_MAX + 1;
        }
        i++;
    }
    return p[i] == '}' && i > 1 ? i + 1 : 0;
}

/* Reads one quantifier at p; returns its length, 0 when there is none. */
static size_t quantifier(const char *p, bool *big)
{
    if (*p == '*' || *p == '+' || *p == '?') {
        return 1;
    }
    return *p == '{' ? braces(p, big) : 0;
}

#define GROUPS_MAX 16

/* NULL when the shape is harmless, else what is wrong with it. */
static const char *shape_problem(const char *p)
{
    bool repeats[GROUPS_MAX + 1] = {false}; /* per open group: a repetition stands inside */
    size_t depth = 0;
    bool big = false;
    while (*p) {
        size_t atom = 1;
        bool holds = false; /* the atom is a group with a repetition inside */
        if (*p == '\\') {
            if (p[1] >= '1' && p[1] <= '9') {
                return "back references are not allowed";
            }
            atom = p[1] ? 2 : 1;
        } else if (*p == '[') {
            atom = bracket(p);
        } else if (*p == '(') {
            if (depth == GROUPS_MAX) {
                return "too many nested groups";
            }
            repeats[++depth] = false;
            p++;
            continue;
        } else if (*p == ')' && depth > 0) {
            holds = repeats[depth--];
            repeats[depth] = repeats[depth] || holds;
        }
        p += atom;
        size_t q = quantifier(p, &big);
        if (big) {
            return "a repetition count is too large";
        }
        if (q) {
            if (holds || quantifier(p + q, &big)) {
                return "nested repetition is not allowed";
            }
            repeats[depth] = true;
            p += q;
        }
    }
    return NULL;
}

int mention_add(struct mention_set *m, const char *pattern, const char **why)
{
    *why = NULL;
    if (m->n == MENTION_PATTERNS_MAX) {
        *why = "too many patterns";
        return ERR_FULL;
    }
    size_t n = strlen(pattern);
    if (n == 0 || n > MENTION_PATTERN_MAX) {
        *why = n ? "longer than 200 bytes" : "empty";
        return ERR_BAD;
    }
    *why = shape_problem(pattern);
    if (*why) {
        return ERR_BAD;
    }
    if (regcomp(&m->re[m->n], pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) {
        *why = "not a POSIX extended regular expression";
        return ERR_BAD;
    }
    m->n++;
    return OK;
}

size_t mention_count(const struct mention_set *m)
{
    return m->n;
}

bool mention_match(const struct mention_set *m, sv text)
{
    char head[MENTION_TEXT_MAX + 1];
    size_t n = text.n < MENTION_TEXT_MAX ? text.n : MENTION_TEXT_MAX;
    if (m->n == 0 || n == 0) {
        return false;
    }
    memcpy(head, text.p, n);
    head[n] = '\0';
    for (size_t i = 0; i < m->n; i++) {
        if (regexec(&m->re[i], head, 0, NULL, 0) == 0) {
            return true;
        }
    }
    return false;
}

static bool word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           (c & 0x80) != 0;
}

bool mention_word(sv text, sv name)
{
    if (sv_empty(name)) {
        return false;
    }
    for (size_t i = 0; i + name.n <= text.n; i++) {
        if (!sv_eq_nocase(sv_sub(text, i, name.n), name)) {
            continue;
        }
        bool left = i == 0 || !word_char(text.p[i - 1]);
        size_t end = i + name.n;
        if (left && (end == text.n || !word_char(text.p[end]))) {
            return true;
        }
    }
    return false;
}

sv mention_strip(sv text, sv name)
{
    sv t = sv_trim(text);
    bool at = t.n && t.p[0] == '@';
    sv head = sv_sub(t, at ? 1 : 0, t.n);
    if (sv_empty(name) || head.n < name.n || !sv_eq_nocase(sv_sub(head, 0, name.n), name)) {
        return text;
    }
    sv rest = sv_sub(head, name.n, head.n);
    if (rest.n && (rest.p[0] == ':' || rest.p[0] == ',')) {
        return sv_trim(sv_sub(rest, 1, rest.n));
    }
    if (at && (rest.n == 0 || rest.p[0] == ' ')) {
        return sv_trim(rest);
    }
    return text;
}
