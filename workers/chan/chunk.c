/*
 * chunk.c: see chunk.h. One part at a time is cut off the front of the rest.
 * Runs in: channel workers.     Owns: nothing.
 * Never: looks at the clock, the connection or anything else that may differ at the next attempt.
 * Tested in: tests/unit/chan/test_chunk.c
 */
#include "workers/chan/chunk.h"

#include "common/text.h"

/* An opening fence line longer than this is reopened as a bare "```". */
#define OPENER_MAX 16

struct splitter {
    const struct chunk_opts *o;
    struct arena *arena;
    sv *parts;
    size_t n, cap;
    sv rest;
    sv opener;       /* not empty: rest begins inside this code fence */
    bool line_start; /* rest begins at the start of a line */
};

size_t chunk_measure(sv text, enum chunk_unit unit)
{
    switch (unit) {
    case CHUNK_BYTES:
        return text.n;
    case CHUNK_UTF16:
        return utf16_length(text);
    case CHUNK_CODEPOINTS:
        return utf8_length(text);
    }
    return text.n;
}

/* Largest number of bytes of s, ending at a code point, that measures at most `budget`. */
static size_t fit(sv s, size_t budget, enum chunk_unit unit)
{
    if (unit == CHUNK_BYTES) {
        return s.n <= budget ? s.n : utf8_cut(s, budget);
    }
    size_t at = 0, used = 0;
    while (at < s.n) {
        uint32_t cp = 0;
        size_t len = utf8_decode(sv_sub(s, at, s.n), &cp);
        size_t cost = (unit == CHUNK_UTF16 && len == 4) ? 2 : 1;
        if (used + cost > budget) {
            break;
        }
        used += cost;
        at += len ? len : 1;
    }
    return at;
}

static void push(struct splitter *s, sv part)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 8;
        sv *bigger = (sv *)arena_alloc(s->arena, cap * sizeof *bigger);
        for (size_t i = 0; i < s->n; i++) {
            bigger[i] = s->parts[i];
        }
        s->parts = bigger;
        s->cap = cap;
    }
    s->parts[s->n++] = part;
}

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static sv trim_end(sv s)
{
    while (s.n && blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* A line that opens or closes a code fence: at most three spaces, then three or more '`' or '~'. */
static bool fence_line(sv line)
{
    size_t i = 0;
    while (i < line.n && i < 3 && line.p[i] == ' ') {
        i++;
    }
    if (i + 3 > line.n || (line.p[i] != '`' && line.p[i] != '~')) {
        return false;
    }
    return line.p[i + 1] == line.p[i] && line.p[i + 2] == line.p[i];
}

/* The fence that is open after rest[0..end); *at: where it was opened, SIZE_MAX when before rest. */
static sv fence_after(const struct splitter *s, size_t end, size_t *at)
{
    sv open = s->opener;
    *at = SIZE_MAX;
    size_t pos = 0;
    bool whole = s->line_start;
    while (pos < end) {
        sv tail = sv_sub(s->rest, pos, s->rest.n);
        ptrdiff_t nl = sv_chr(tail, '\n');
        sv line = sv_sub(tail, 0, nl < 0 ? tail.n : (size_t)nl);
        if (whole && fence_line(line)) {
            if (sv_empty(open)) {
                open = trim_end(line);
                *at = pos;
            } else {
                open = SV_NULL;
            }
        }
        whole = true;
        pos += line.n + 1;
    }
    return open;
}

/* Length of a sentence mark that ends at `i` (exclusive), 0 when there is none. */
static bool sentence_end(sv s, size_t i)
{
    if (i >= s.n || !blank(s.p[i])) {
        return false;
    }
    if (s.p[i - 1] == '.' || s.p[i - 1] == '!' || s.p[i - 1] == '?') {
        return true;
    }
    sv before = sv_sub(s, 0, i);
    return sv_ends(before, SV("\xe2\x80\xa6")) || sv_ends(before, SV("\xe3\x80\x82"));
}

enum cut_kind { CUT_PARAGRAPH, CUT_LINE, CUT_SENTENCE, CUT_SPACE, CUT_KINDS };

static bool cut_here(sv s, size_t i, enum cut_kind kind)
{
    bool nl = i < s.n && s.p[i] == '\n';
    switch (kind) {
    case CUT_PARAGRAPH:
        return nl && i + 1 < s.n && s.p[i + 1] == '\n';
    case CUT_LINE:
        return nl;
    case CUT_SENTENCE:
        return sentence_end(s, i);
    case CUT_SPACE:
        return i < s.n && blank(s.p[i]);
    case CUT_KINDS:
        break;
    }
    return false;
}

/* Best place to end a part of at most `max` bytes: the strongest break in the last two thirds, else the
 * last white space anywhere, else `max` itself. */
static size_t best_cut(sv s, size_t max)
{
    for (int kind = CUT_PARAGRAPH; kind < CUT_KINDS; kind++) {
        for (size_t i = max; i > max / 3 && i > 0; i--) {
            if (cut_here(s, i, (enum cut_kind)kind)) {
                return i;
            }
        }
    }
    for (size_t i = max / 3; i > 0; i--) {
        if (cut_here(s, i, CUT_SPACE)) {
            return i;
        }
    }
    return max;
}

static sv wrap(struct splitter *s, sv body, sv open_at_end)
{
    if (sv_empty(s->opener) && sv_empty(open_at_end)) {
        return trim_end(body);
    }
    sv head = s->opener.n > OPENER_MAX ? SV("```") : s->opener;
    const char *tail = "";
    if (!sv_empty(open_at_end)) {
        tail = sv_ends(sv_sub(sv_trim(open_at_end), 0, 3), SV("~~~")) ? "\n~~~" : "\n```";
    }
    return arena_printf(s->arena, "%.*s%s%.*s%s", SV_ARG(head), head.n ? "\n" : "", SV_ARG(trim_end(body)),
                        tail);
}

/* Starts the next part behind `cut`: white space at the border belongs to neither side, but inside a code
 * fence only the line end does. */
static void advance(struct splitter *s, size_t cut, sv open)
{
    bool nl = cut < s->rest.n && s->rest.p[cut] == '\n';
    s->line_start = nl || (cut > 0 && s->rest.p[cut - 1] == '\n');
    s->rest = sv_sub(s->rest, cut, s->rest.n);
    s->opener = open;
    if (!sv_empty(open)) {
        if (nl) {
            s->rest = sv_sub(s->rest, 1, s->rest.n);
        }
        return;
    }
    while (s->rest.n && blank(s->rest.p[0])) {
        s->line_start = s->line_start || s->rest.p[0] == '\n';
        s->rest = sv_sub(s->rest, 1, s->rest.n);
    }
}

static void cut_one(struct splitter *s)
{
    const struct chunk_opts *o = s->o;
    size_t head = s->opener.n > OPENER_MAX ? 3 : s->opener.n;
    size_t over = s->opener.n ? head + 1 : 0;
    if (o->limit == 0 || chunk_measure(s->rest, o->unit) + over <= o->limit) {
        push(s, wrap(s, s->rest, SV_NULL));
        s->rest = SV_NULL;
        return;
    }
    size_t max = fit(s->rest, o->limit - over - (o->fences ? 4 : 0), o->unit);
    if (max == 0) {
        max = 1;
    }
    size_t cut = best_cut(s->rest, max);
    sv open = SV_NULL;
    if (o->fences) {
        size_t at = SIZE_MAX;
        open = fence_after(s, cut, &at);
        if (!sv_empty(open) && at != SIZE_MAX && at > max / 3) {
            cut = at; /* the whole fence goes into the next part */
            open = SV_NULL;
        }
    }
    sv part = wrap(s, sv_sub(s->rest, 0, cut), open);
    if (!sv_empty(part)) {
        push(s, part);
    }
    advance(s, cut, open);
}

static void split_block(struct splitter *s, sv block)
{
    s->rest = trim_end(block);
    s->opener = SV_NULL;
    s->line_start = true;
    while (s->rest.n && s->rest.p[0] == '\n') {
        s->rest = sv_sub(s->rest, 1, s->rest.n);
    }
    while (!sv_empty(s->rest) && s->n < CHUNK_PARTS_MAX) {
        cut_one(s);
    }
}

/* The next block of `text` under the options: a line, a paragraph, or everything. */
static sv next_block(const struct chunk_opts *o, sv *text)
{
    if (o->by_line) {
        return sv_cut(text, '\n');
    }
    if (!o->paragraphs) {
        sv all = *text;
        *text = SV_NULL;
        return all;
    }
    struct splitter probe = {.rest = *text, .line_start = true};
    for (size_t i = 0; i < text->n; i++) {
        size_t at = 0;
        if (cut_here(*text, i, CUT_PARAGRAPH) && (!o->fences || sv_empty(fence_after(&probe, i, &at)))) {
            sv block = sv_sub(*text, 0, i);
            *text = sv_sub(*text, i + 2, text->n);
            return block;
        }
    }
    sv all = *text;
    *text = SV_NULL;
    return all;
}

size_t chunk_split(sv text, const struct chunk_opts *o, struct arena *a, sv **parts)
{
    struct chunk_opts eff = *o;
    if (eff.limit && eff.limit < CHUNK_LIMIT_MIN) {
        eff.limit = CHUNK_LIMIT_MIN;
    }
    struct splitter s = {.o = &eff, .arena = a};
    while (!sv_empty(text) && s.n < CHUNK_PARTS_MAX) {
        split_block(&s, next_block(&eff, &text));
    }
    if (s.n == CHUNK_PARTS_MAX && !(sv_empty(trim_end(text)) && sv_empty(s.rest))) {
        s.parts[s.n - 1] = SV("[the rest of this answer was too long to send here]");
    }
    *parts = s.parts;
    return s.n;
}
