/*
 * fake_script.c: the directives of the fake model (listed in fake_llm.c), one row each.
 * Runs in: fake_llm.     Owns: the keys that FAILONCE has seen.
 * Never: knows a wire format.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#include "tests/fakes/fake_script.h"

#include "common/map.h"
#include "common/text.h"

#define TEXT_MAX (32ul * 1024 * 1024)
#define SLOW_GAP_MS 100
#define LONG_PIECE 2000

static struct map failed_once; /* zeroed is empty */

void plan_forget(void)
{
    map_free(&failed_once);
    failed_once = (struct map){NULL, 0, 0, 0};
}

static void add_chunk(struct plan *p, sv bytes)
{
    if ((p->chunks & (p->chunks + 1)) == 0) {
        p->cut = xrealloc(p->cut, (2 * p->chunks + 2) * sizeof *p->cut);
    }
    buf_sv(&p->text, bytes);
    p->cut[p->chunks++] = p->text.n;
}

sv plan_chunk(const struct plan *p, size_t i)
{
    size_t from = i == 0 ? 0 : p->cut[i - 1];
    return (sv){p->text.p + from, p->cut[i] - from};
}

/* A text in at most four pieces that end between characters. */
static void add_pieces(struct plan *p, const char *prefix, sv text)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(TEXT_MAX);
    buf_str(&b, prefix);
    buf_sv(&b, text);
    sv rest = buf_view(&b);
    size_t piece = rest.n / 4 + 4;
    while (!sv_empty(rest)) {
        size_t n = utf8_cut(rest, piece);
        n = n ? n : rest.n;
        add_chunk(p, sv_sub(rest, 0, n));
        rest = sv_sub(rest, n, rest.n);
    }
}

static uint64_t number(sv *rest)
{
    uint64_t n;
    *rest = sv_trim(*rest);
    size_t digits = 0;
    while (digits < rest->n && rest->p[digits] >= '0' && rest->p[digits] <= '9') {
        digits++;
    }
    if (!sv_u64(sv_sub(*rest, 0, digits), &n)) {
        return UINT64_MAX;
    }
    *rest = sv_sub(*rest, digits, rest->n);
    return n;
}

static sv word(sv *rest)
{
    *rest = sv_trim(*rest);
    size_t n = 0;
    while (n < rest->n && rest->p[n] > ' ') {
        n++;
    }
    sv w = sv_sub(*rest, 0, n);
    *rest = sv_sub(*rest, n, rest->n);
    return w;
}

/* ---- one function per directive: false when the arguments do not fit, then it is ordinary text --------- */

static bool do_slow(struct plan *p, sv rest, sv whole)
{
    uint64_t n = number(&rest);
    if (n == 0 || n > 100000) {
        return false;
    }
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(TEXT_MAX);
    p->gap_ms = SLOW_GAP_MS;
    buf_str(&b, "echo: ");
    buf_sv(&b, whole);
    add_chunk(p, buf_view(&b));
    for (uint64_t i = 2; i <= n; i++) {
        buf_reset(&b);
        buf_printf(&b, " chunk %llu", (unsigned long long)i);
        add_chunk(p, buf_view(&b));
    }
    return true;
}

static bool do_long(struct plan *p, sv rest, sv whole)
{
    uint64_t n = number(&rest);
    if (n == 0 || n > TEXT_MAX / 2) {
        return false;
    }
    UNUSED(whole);
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(TEXT_MAX);
    for (unsigned i = 1; b.n < n; i++) {
        buf_printf(&b, i % 16 ? "word%u " : "word%u.\n", i);
    }
    b.n = (size_t)n;
    b.p[n - 1] = '.'; /* no white space at the end, which clients may trim */
    for (sv all = buf_view(&b); !sv_empty(all); all = sv_sub(all, LONG_PIECE, all.n)) {
        add_chunk(p, sv_sub(all, 0, LONG_PIECE));
    }
    return true;
}

static bool do_tool(struct plan *p, sv rest, sv whole)
{
    UNUSED(whole);
    if (!sv_copy(p->tool, sizeof p->tool, word(&rest)) || !p->tool[0]) {
        return false;
    }
    p->kind = PLAN_TOOL;
    rest = sv_trim(rest);
    /* From the first brace to its partner; braces inside strings do not count. */
    size_t depth = 0, n = 0;
    bool text = false;
    for (; sv_starts(rest, SV("{")) && n < rest.n; n++) {
        char c = rest.p[n];
        if (text && c == '\\') {
            n++;
        } else if (c == '"') {
            text = !text;
        } else if (!text && c == '{') {
            depth++;
        } else if (!text && c == '}' && --depth == 0) {
            n++;
            break;
        }
    }
    buf_sv(&p->args, n > 0 ? sv_sub(rest, 0, n) : SV("{}"));
    return true;
}

static bool do_status(struct plan *p, sv rest, sv whole)
{
    UNUSED(whole);
    uint64_t code = number(&rest);
    if (code < 200 || code > 599) {
        return false;
    }
    p->kind = PLAN_STATUS;
    p->status = (int)code;
    return true;
}

static bool do_failonce(struct plan *p, sv rest, sv whole)
{
    static char seen;
    uint64_t code = number(&rest);
    sv key = word(&rest);
    if (code < 200 || code > 599 || sv_empty(key)) {
        return false;
    }
    if (map_get(&failed_once, key)) {
        add_pieces(p, "echo: ", whole);
        return true;
    }
    map_put(&failed_once, key, &seen);
    p->kind = PLAN_STATUS;
    p->status = (int)code;
    return true;
}

static bool do_break(struct plan *p, sv rest, sv whole)
{
    UNUSED(whole);
    uint64_t n = number(&rest);
    if (n > 10000) {
        return false;
    }
    p->break_after = (long)n;
    for (uint64_t i = 1; i <= n + 2; i++) {
        char part[32];
        struct buf b = BUF_INIT(sizeof part);
        buf_printf(&b, "part %llu ", (unsigned long long)i);
        add_chunk(p, buf_view(&b));
        buf_free(&b);
    }
    return true;
}

static bool do_hang(struct plan *p, sv rest, sv whole)
{
    UNUSED(rest);
    UNUSED(whole);
    p->kind = PLAN_HANG;
    return true;
}

static bool do_garbage(struct plan *p, sv rest, sv whole)
{
    UNUSED(rest);
    UNUSED(whole);
    p->kind = PLAN_GARBAGE;
    return true;
}

static bool do_notext(struct plan *p, sv rest, sv whole)
{
    UNUSED(p);
    UNUSED(rest);
    UNUSED(whole);
    return true; /* a text of no chunks */
}

static const struct {
    const char *name;
    bool (*fn)(struct plan *p, sv rest, sv whole);
} DIRECTIVES[] = {
    {"SLOW", do_slow},     {"LONG", do_long},   {"TOOL", do_tool},       {"STATUS", do_status}, {"FAILONCE", do_failonce},
    {"BREAK", do_break},   {"HANG", do_hang},   {"GARBAGE", do_garbage}, {"NOTEXT", do_notext},
};

/* The rest behind the whole word `name`, SV_NULL when it does not occur. */
static sv behind(sv text, const char *name)
{
    sv found = SV_NULL, key = sv_of(name);
    for (sv rest = text;;) {
        ptrdiff_t at = sv_find(rest, key);
        if (at < 0) {
            return found;
        }
        sv next = sv_sub(rest, (size_t)at + key.n, rest.n);
        bool left = at == 0 ? rest.p == text.p : !((unsigned char)rest.p[at - 1] > ' ' && rest.p[at - 1] != ':');
        if (left && (sv_empty(next) || (unsigned char)next.p[0] <= ' ')) {
            found = next;
        }
        rest = next;
    }
}

/* Tenaza puts a time stamp in front of what a person wrote, "[Fri 2026-11-20 17:40 UTC] ", and joins messages
 * that follow each other. The script is what stands behind the last stamp. */
static sv behind_stamp(sv text)
{
    static const char form[] = "[Aaa 0000-00-00 00:00 ";
    for (size_t at = text.n; at-- > 0;) {
        size_t k = 0;
        while (k < sizeof form - 1 && at + k < text.n) {
            char c = text.p[at + k];
            bool digit = c >= '0' && c <= '9', letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (form[k] == '0' ? !digit : form[k] == 'A' || form[k] == 'a' ? !letter : c != form[k]) {
                break;
            }
            k++;
        }
        sv rest = sv_sub(text, at, text.n);
        ptrdiff_t end = k == sizeof form - 1 ? sv_find(rest, SV("] ")) : -1;
        if (end > 0 && end < 40) {
            return sv_sub(rest, (size_t)end + 2, rest.n);
        }
    }
    return text;
}

void plan_make(struct plan *p, sv text, sv tool_result)
{
    *p = (struct plan){.break_after = -1, .text = BUF_INIT(TEXT_MAX), .args = BUF_INIT(TEXT_MAX)};
    if (tool_result.p) {
        add_pieces(p, "tool said: ", tool_result);
        return;
    }
    text = behind_stamp(text);
    sv rest = behind(text, "DELAY");
    if (rest.p) {
        uint64_t ms = number(&rest);
        p->delay_ms = ms <= 600000 ? (int64_t)ms : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(DIRECTIVES); i++) {
        rest = behind(text, DIRECTIVES[i].name);
        if (rest.p && DIRECTIVES[i].fn(p, rest, text)) {
            return;
        }
    }
    add_pieces(p, "echo: ", text);
}

void plan_free(struct plan *p)
{
    buf_free(&p->text);
    buf_free(&p->args);
    xfree(p->cut);
}
