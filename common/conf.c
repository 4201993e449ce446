/*
 * conf.c: the configuration section of a worker: list, lookups and canonical bytes.
 * Runs in: every process.     Owns: the decoded section.
 * Never: reads the configuration file, prints values, accepts bytes that it would not have written.
 * Tested in: tests/unit/common/test_conf.c
 *
 * Bytes of a section. All numbers little endian; text is a u32 length and that many bytes, UTF-8 not
 * required, NUL not allowed.
 *
 *   "TZC1"                    magic and version
 *   u32 n                     items, in the order of the file; no path twice
 *   n times:  u8 kind         0 string, 1 integer, 2 flag, 3 list of strings, 4 secret (enum conf_kind)
 *             text path       not empty
 *             by kind:        0, 4: text     1: i64        2: u8, 0 or 1
 *                             3: u32 m, then m times text
 *
 * Nothing follows. Limits: 64 KiB per text, 100,000 items and list elements together.
 */
#include "common/conf.h"

#include "common/err.h"
#include "common/guard.h"
#include "common/map.h"

#define CONF_TEXT_MAX 65536u /* bytes of one text */
#define CONF_ITEMS_MAX 100000u /* items and list elements together */

static void wipe(char *s)
{
    if (s != NULL) {
        explicit_bzero(s, strlen(s));
        xfree(s);
    }
}

static void item_clear(struct conf_item *it)
{
    if (it->kind == CONF_SECRET) {
        guard_free(it->s);
    } else {
        wipe(it->s);
    }
    for (size_t i = 0; i < it->list_n; i++) {
        wipe(it->list[i]);
    }
    xfree(it->list);
    it->s = NULL;
    it->list = NULL;
    it->list_n = 0;
    it->i = 0;
}

void conf_free(struct conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        item_clear(&c->items[i]);
        xfree(c->items[i].path);
    }
    xfree(c->items);
    c->items = NULL;
    c->n = 0;
}

/* True when n is 0 or a power of two: where an array that doubles is full. */
static bool at_step(size_t n)
{
    return (n & (n - 1)) == 0;
}

static struct conf_item *item_add(struct conf *c, sv path, enum conf_kind kind)
{
    if (at_step(c->n)) {
        c->items = xrealloc(c->items, (c->n == 0 ? 1 : c->n * 2) * sizeof(*c->items));
    }
    struct conf_item *it = &c->items[c->n++];
    *it = (struct conf_item){.path = xsvdup(path), .kind = kind};
    return it;
}

static void element_add(struct conf_item *it, sv value)
{
    if (at_step(it->list_n)) {
        it->list = xrealloc(it->list, (it->list_n == 0 ? 1 : it->list_n * 2) * sizeof(*it->list));
    }
    it->list[it->list_n++] = xsvdup(value);
}

const struct conf_item *conf_find(const struct conf *c, const char *path)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->items[i].path, path) == 0) {
            return &c->items[i];
        }
    }
    return NULL;
}

/* The item at path, emptied unless it is of that kind and `keep`; made at the end when absent. */
static struct conf_item *slot(struct conf *c, const char *path, enum conf_kind kind, bool keep)
{
    const struct conf_item *found = conf_find(c, path);
    if (found == NULL) {
        return item_add(c, sv_of(path), kind);
    }
    struct conf_item *it = &c->items[found - c->items];
    if (!keep || it->kind != kind) {
        item_clear(it);
    }
    it->kind = kind;
    return it;
}

void conf_set_str(struct conf *c, const char *path, sv value)
{
    char *copy = xsvdup(value); /* first: value may be the string that is replaced */
    slot(c, path, CONF_STR, false)->s = copy;
}

void conf_set_secret(struct conf *c, const char *path, sv value)
{
    char *copy = guard_new(value);
    slot(c, path, CONF_SECRET, false)->s = copy;
}

void conf_set_int(struct conf *c, const char *path, int64_t value)
{
    slot(c, path, CONF_INT, false)->i = value;
}

void conf_set_bool(struct conf *c, const char *path, bool value)
{
    slot(c, path, CONF_BOOL, false)->i = value;
}

void conf_add_list(struct conf *c, const char *path, sv value)
{
    element_add(slot(c, path, CONF_LIST, true), value);
}

static bool same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

bool conf_same_at(const struct conf *a, const struct conf *b, const char *path)
{
    const struct conf_item *x = conf_find(a, path);
    const struct conf_item *y = conf_find(b, path);
    if (x == NULL || y == NULL) {
        return x == y;
    }
    bool same = x->kind == y->kind && x->i == y->i && same_text(x->s, y->s) && x->list_n == y->list_n;
    for (size_t i = 0; same && i < x->list_n; i++) {
        same = strcmp(x->list[i], y->list[i]) == 0;
    }
    return same;
}

static void item_remove(struct conf *c, size_t at)
{
    item_clear(&c->items[at]);
    xfree(c->items[at].path);
    memmove(&c->items[at], &c->items[at + 1], (c->n - at - 1) * sizeof(*c->items));
    c->n--;
}

void conf_update(struct conf *dst, const struct conf *src)
{
    for (size_t i = dst->n; i-- > 0;) {
        if (conf_find(src, dst->items[i].path) == NULL) {
            item_remove(dst, i);
        }
    }
    for (size_t i = 0; i < src->n; i++) {
        const struct conf_item *from = &src->items[i];
        if (conf_same_at(dst, src, from->path)) {
            continue;
        }
        if (from->kind == CONF_SECRET) {
            conf_set_secret(dst, from->path, sv_of(from->s));
            continue;
        }
        struct conf_item *to = slot(dst, from->path, from->kind, false);
        to->i = from->i;
        to->s = from->s ? xstrdup(from->s) : NULL;
        for (size_t k = 0; k < from->list_n; k++) {
            element_add(to, sv_of(from->list[k]));
        }
    }
}

/* ---- bytes ----------------------------------------------------------------------------------------- */

static void put_num(struct buf *b, uint64_t v, size_t width)
{
    char le[8];
    for (size_t i = 0; i < width; i++) {
        le[i] = (char)(unsigned char)(v >> (8 * i));
    }
    buf_add(b, le, width);
}

static void put_text(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    if (n > CONF_TEXT_MAX) {
        b->full = true;
        return;
    }
    put_num(b, n, 4);
    buf_add(b, s, n);
}

static size_t count_all(const struct conf *c)
{
    size_t n = c->n;
    for (size_t i = 0; i < c->n; i++) {
        n += c->items[i].list_n;
    }
    return n;
}

bool conf_encode(const struct conf *c, struct buf *out)
{
    size_t start = out->n;
    if (count_all(c) > CONF_ITEMS_MAX) {
        out->full = true;
        return false;
    }
    buf_str(out, "TZC1");
    put_num(out, c->n, 4);
    for (size_t i = 0; i < c->n; i++) {
        const struct conf_item *it = &c->items[i];
        put_num(out, (uint64_t)it->kind, 1);
        put_text(out, it->path);
        switch (it->kind) {
        case CONF_STR:
        case CONF_SECRET:
            put_text(out, it->s);
            break;
        case CONF_INT:
            put_num(out, (uint64_t)it->i, 8);
            break;
        case CONF_BOOL:
            put_num(out, it->i != 0, 1);
            break;
        case CONF_LIST:
            put_num(out, it->list_n, 4);
            for (size_t k = 0; k < it->list_n; k++) {
                put_text(out, it->list[k]);
            }
            break;
        }
    }
    if (out->full) {
        if (out->n > start) {
            explicit_bzero(out->p + start, out->n - start);
            out->n = start;
        }
        return false;
    }
    return true;
}

static bool get_num(sv *in, size_t width, uint64_t *v)
{
    if (in->n < width) {
        return false;
    }
    *v = 0;
    for (size_t i = 0; i < width; i++) {
        *v |= (uint64_t)(unsigned char)in->p[i] << (8 * i);
    }
    *in = sv_sub(*in, width, in->n);
    return true;
}

static bool get_text(sv *in, sv *text)
{
    uint64_t n;
    if (!get_num(in, 4, &n) || n > CONF_TEXT_MAX || n > in->n) {
        return false;
    }
    *text = sv_sub(*in, 0, (size_t)n);
    *in = sv_sub(*in, (size_t)n, in->n);
    return sv_chr(*text, '\0') < 0;
}

static bool get_list(sv *in, struct conf_item *it, size_t *total)
{
    uint64_t m;
    if (!get_num(in, 4, &m) || m > CONF_ITEMS_MAX - *total) {
        return false;
    }
    *total += (size_t)m;
    for (uint64_t i = 0; i < m; i++) {
        sv text;
        if (!get_text(in, &text)) {
            return false;
        }
        element_add(it, text);
    }
    return true;
}

/* One item. seen: the paths so far; total: items and elements so far. */
static bool get_item(sv *in, struct conf *c, struct map *seen, size_t *total)
{
    static char mark; /* any non-NULL value */
    uint64_t kind;
    uint64_t num;
    sv path;
    sv text;
    if (!get_num(in, 1, &kind) || kind > CONF_SECRET || !get_text(in, &path) || path.n == 0 ||
        map_put(seen, path, &mark) != NULL) {
        return false;
    }
    struct conf_item *it = item_add(c, path, (enum conf_kind)kind);
    switch (it->kind) {
    case CONF_STR:
        if (!get_text(in, &text)) {
            return false;
        }
        it->s = xsvdup(text);
        return true;
    case CONF_SECRET:
        if (!get_text(in, &text)) {
            return false;
        }
        it->s = guard_new(text);
        return true;
    case CONF_INT:
        if (!get_num(in, 8, &num)) {
            return false;
        }
        memcpy(&it->i, &num, sizeof(it->i)); /* two's complement, as it was written */
        return true;
    case CONF_BOOL:
        if (!get_num(in, 1, &num) || num > 1) {
            return false;
        }
        it->i = (int64_t)num;
        return true;
    case CONF_LIST:
        return get_list(in, it, total);
    }
    return false;
}

int conf_decode(sv bytes, struct conf *out)
{
    struct conf c = {0};
    struct map seen = MAP_INIT;
    uint64_t n = 0;
    bool ok = sv_starts(bytes, SV("TZC1"));
    sv in = sv_sub(bytes, 4, bytes.n);
    ok = ok && get_num(&in, 4, &n) && n <= CONF_ITEMS_MAX;
    size_t total = (size_t)n;
    for (uint64_t i = 0; ok && i < n; i++) {
        ok = get_item(&in, &c, &seen, &total);
    }
    map_free(&seen);
    if (!ok || in.n != 0) {
        conf_free(&c);
        *out = (struct conf){0};
        return ERR_PARSE;
    }
    *out = c;
    return OK;
}

/* ---- lookups --------------------------------------------------------------------------------------- */

static const struct conf_item *find_kind(const struct conf *c, const char *path, enum conf_kind kind)
{
    const struct conf_item *it = conf_find(c, path);
    return it != NULL && it->kind == kind ? it : NULL;
}

const char *conf_str(const struct conf *c, const char *path, const char *dflt)
{
    const struct conf_item *it = find_kind(c, path, CONF_STR);
    return it ? it->s : dflt;
}

const char *conf_secret(const struct conf *c, const char *path, const char *dflt)
{
    const struct conf_item *it = find_kind(c, path, CONF_SECRET);
    return it ? it->s : conf_str(c, path, dflt);
}

int64_t conf_int(const struct conf *c, const char *path, int64_t dflt)
{
    const struct conf_item *it = find_kind(c, path, CONF_INT);
    return it ? it->i : dflt;
}

bool conf_bool(const struct conf *c, const char *path, bool dflt)
{
    const struct conf_item *it = find_kind(c, path, CONF_BOOL);
    return it ? it->i != 0 : dflt;
}

size_t conf_count(const struct conf *c, const char *path)
{
    const struct conf_item *it = find_kind(c, path, CONF_LIST);
    return it ? it->list_n : 0;
}

const char *conf_at(const struct conf *c, const char *path, size_t i)
{
    const struct conf_item *it = find_kind(c, path, CONF_LIST);
    return it != NULL && i < it->list_n ? it->list[i] : NULL;
}

bool conf_list_has(const struct conf *c, const char *path, sv value)
{
    const struct conf_item *it = find_kind(c, path, CONF_LIST);
    for (size_t i = 0; it != NULL && i < it->list_n; i++) {
        if (sv_eqc(value, it->list[i])) {
            return true;
        }
    }
    return false;
}

/* The name right below `path` in an item's path; SV_NULL when the item lies elsewhere. */
static sv name_below(const struct conf_item *it, sv path)
{
    sv full = sv_of(it->path);
    if (path.n > 0) {
        if (!sv_starts(full, path) || full.n <= path.n + 1 || full.p[path.n] != '.') {
            return SV_NULL;
        }
        full = sv_sub(full, path.n + 1, full.n);
    }
    return sv_cut(&full, '.');
}

bool conf_child(const struct conf *c, const char *path, size_t i, char *name, size_t cap)
{
    size_t found = 0;
    for (size_t k = 0; k < c->n; k++) {
        sv here = name_below(&c->items[k], sv_of(path));
        bool first = here.p != NULL;
        for (size_t j = 0; first && j < k; j++) {
            first = !sv_eq(name_below(&c->items[j], sv_of(path)), here);
        }
        if (first && found++ == i) {
            return sv_copy(name, cap, here);
        }
    }
    if (cap > 0) {
        name[0] = '\0';
    }
    return false;
}
