/*
 * gen_body.c: random bodies for any message, made and compared by its field table.
 * Runs in: tests.     Owns: nothing; strings live in the arena.
 * Never: random across runs: the same seed gives the same bodies.
 * Tested in: by its users
 */
#include "tests/unit/proto/gen_body.h"

#include "common/text.h"
#include "proto/wire_int.h"

uint64_t gen_next(struct gen *g)
{
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return g->state;
}

static uint64_t below(struct gen *g, uint64_t n)
{
    return gen_next(g) % n;
}

/* Mostly short, sometimes exactly the limit, often one byte. */
static size_t length(struct gen *g, uint64_t max)
{
    switch (below(g, 8)) {
    case 0:
        return max <= 4096 ? (size_t)max : 300;
    case 1:
        return 1;
    default:
        return (size_t)(1 + below(g, max < 40 ? max : 40));
    }
}

static sv text(struct gen *g, uint64_t max)
{
    size_t want = length(g, max), n = 0;
    char *p = arena_alloc(g->arena, want + 4);
    static const uint32_t first[] = {0, 1, 0x20, 0x80, 0x800, 0x10000};
    static const uint32_t last[] = {0, 0x1f, 0x7f, 0x7ff, 0xd7ff, 0x10ffff};
    while (n < want) {
        size_t k = below(g, 3) ? 2 : (size_t)below(g, 6);
        if (k == 0 && g->plain) {
            continue;
        }
        uint32_t cp = first[k] + (uint32_t)below(g, last[k] - first[k] + 1);
        n += utf8_encode(cp, p + n);
    }
    return (sv){p, utf8_cut((sv){p, n}, want)};
}

static sv bytes(struct gen *g, uint64_t max)
{
    size_t n = length(g, max);
    char *p = arena_alloc(g->arena, n);
    for (size_t i = 0; i < n; i++) {
        p[i] = (char)gen_next(g);
    }
    return (sv){p, n};
}

static void list(struct gen *g, const struct field *f, void *body)
{
    size_t n = below(g, 4) == 0 ? 0 : (size_t)below(g, f->max < 4 ? f->max + 1 : 4);
    if (n == 0) {
        return;
    }
    char *rows = arena_alloc(g->arena, n * f->sub->size);
    for (size_t i = 0; i < n; i++) {
        gen_body(g, f->sub, rows + i * f->sub->size);
    }
    *FIELD_PTR(void *, body, f) = rows;
    FIELD_COUNT(body, f) = n;
}

static void value(struct gen *g, const struct field *f, void *body)
{
    uint64_t r = gen_next(g) >> below(g, 64);
    switch (f->kind) {
    case FK_STR:
        *FIELD_PTR(sv, body, f) = text(g, f->max);
        break;
    case FK_BIN:
        *FIELD_PTR(sv, body, f) = bytes(g, f->max);
        break;
    case FK_JSON:
        *FIELD_PTR(sv, body, f) = arena_printf(g->arena, "{\"a\":%u,\"b\":[true,null]}", (unsigned)r);
        break;
    case FK_U64:
        *FIELD_PTR(uint64_t, body, f) = f->max ? below(g, f->max + 1) : g->plain ? r >> 1 : r;
        break;
    case FK_I64:
        *FIELD_PTR(int64_t, body, f) = (int64_t)r;
        break;
    case FK_BOOL:
        *FIELD_PTR(bool, body, f) = r & 1;
        break;
    case FK_LIST:
        list(g, f, body);
        break;
    default:
        break;
    }
}

void gen_body(struct gen *g, const struct msg_desc *d, void *body)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->fields[i].need == REQ || below(g, 3) != 0) {
            value(g, &d->fields[i], body);
        }
    }
}

static bool lists_equal(const struct field *f, const void *a, const void *b)
{
    size_t n = FIELD_CCOUNT(a, f);
    if (n != FIELD_CCOUNT(b, f)) {
        return false;
    }
    const char *ra = *FIELD_CPTR(char *, a, f), *rb = *FIELD_CPTR(char *, b, f);
    for (size_t i = 0; i < n; i++) {
        if (!body_equal(f->sub, ra + i * f->sub->size, rb + i * f->sub->size)) {
            return false;
        }
    }
    return true;
}

static bool values_equal(const struct field *f, const void *a, const void *b)
{
    switch (f->kind) {
    case FK_STR:
    case FK_BIN:
    case FK_JSON:
        return sv_eq(*FIELD_CPTR(sv, a, f), *FIELD_CPTR(sv, b, f));
    case FK_U64:
        return *FIELD_CPTR(uint64_t, a, f) == *FIELD_CPTR(uint64_t, b, f);
    case FK_I64:
        return *FIELD_CPTR(int64_t, a, f) == *FIELD_CPTR(int64_t, b, f);
    case FK_BOOL:
        return *FIELD_CPTR(bool, a, f) == *FIELD_CPTR(bool, b, f);
    case FK_LIST:
        return lists_equal(f, a, b);
    default:
        return false;
    }
}

bool body_equal(const struct msg_desc *d, const void *a, const void *b)
{
    for (size_t i = 0; i < d->n; i++) {
        if (!values_equal(&d->fields[i], a, b)) {
            return false;
        }
    }
    return true;
}
