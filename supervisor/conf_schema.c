/*
 * conf_schema.c: the rows of conf_schema.def, matching of paths against them, and nearest names.
 * Runs in: supervisor, command line.     Owns: the constant table.
 * Never: reads files, holds values.
 * Tested in: tests/unit/supervisor/test_conf_schema.c
 */
#include "supervisor/conf_schema.h"

#include <string.h>

#include "common/sv.h"

const struct conf_row conf_rows[] = {
#define CONF(path, type, min, max, choices, dflt, flags, kinds, doc)                               \
    {path, CT_##type, min, max, choices, dflt, flags, kinds, doc},
#include "supervisor/conf_schema.def"
#undef CONF
};
const size_t conf_rows_n = ARRAY_LEN(conf_rows);

static bool is_index(sv s)
{
    uint64_t n;
    return sv_u64(s, &n);
}

/* Walks pattern and path side by side. True when the whole path fits; *rest is what the pattern still has. */
static bool match_prefix(const char *pattern, const char *path, sv *rest)
{
    sv pat = sv_of(pattern);
    sv at = sv_of(path);

    while (at.n > 0) {
        if (pat.n == 0) {
            return false;
        }
        sv a = sv_cut(&at, '.');
        sv p = sv_cut(&pat, '.');
        bool ok = sv_eqc(p, "*") || (sv_eqc(p, "#") && is_index(a)) || sv_eq(p, a);
        if (!ok) {
            return false;
        }
    }
    *rest = pat;
    return true;
}

const struct conf_row *conf_row_find(const char *path)
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        sv rest;
        if (match_prefix(conf_rows[i].path, path, &rest) && rest.n == 0) {
            return &conf_rows[i];
        }
    }
    return NULL;
}

unsigned conf_path_kind(const char *path)
{
    unsigned kind = 0;

    for (size_t i = 0; i < conf_rows_n; i++) {
        sv rest;
        if (!match_prefix(conf_rows[i].path, path, &rest)) {
            continue;
        }
        if (rest.n == 0) {
            kind |= CP_VALUE;
            continue;
        }
        sv next = sv_cut(&rest, '.');
        kind |= sv_eqc(next, "*") ? CP_IDS : sv_eqc(next, "#") ? CP_INDEX : CP_GROUP;
    }
    return kind;
}

/* Optimal string alignment distance; names longer than the table count as far away. */
unsigned conf_distance(const char *a, const char *b, unsigned limit)
{
    enum { MAX_NAME = 48 };
    size_t n = strlen(a);
    size_t m = strlen(b);
    unsigned d[MAX_NAME + 1][MAX_NAME + 1];

    if (n > MAX_NAME || m > MAX_NAME) {
        return limit + 1;
    }
    for (size_t i = 0; i <= n; i++) {
        d[i][0] = (unsigned)i;
    }
    for (size_t j = 0; j <= m; j++) {
        d[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            unsigned cost = (a[i - 1] | 0x20) == (b[j - 1] | 0x20) ? 0 : 1;
            unsigned best = d[i - 1][j - 1] + cost;
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best) {
                best = d[i - 2][j - 2] + 1;
            }
            d[i][j] = best;
        }
    }
    return d[n][m] > limit ? limit + 1 : d[n][m];
}

struct nearest {
    char name[64];
    unsigned distance;
    struct buf known; /* all names at that place */
    size_t known_n;
};

static bool list_has_name(sv list, sv name)
{
    while (list.n > 0) {
        if (sv_eq(sv_trim(sv_cut(&list, ',')), name)) {
            return true;
        }
    }
    return false;
}

static void consider(struct nearest *near, sv name, const char *wanted)
{
    char text[64];

    if (sv_eqc(name, "*") || sv_eqc(name, "#") || !sv_copy(text, sizeof text, name) ||
        list_has_name(buf_view(&near->known), name)) {
        return;
    }
    buf_printf(&near->known, "%s%s", near->known_n ? ", " : "", text);
    near->known_n++;
    unsigned limit = strlen(wanted) < 4 ? 1 : strlen(wanted) < 8 ? 2 : 3;
    unsigned d = conf_distance(wanted, text, limit);
    if (d <= limit && d < near->distance) {
        near->distance = d;
        sv_copy(near->name, sizeof near->name, name);
    }
}

/* The setting of the same last name elsewhere, when there is just one place for it. */
static const char *elsewhere(const char *leaf)
{
    const char *found = NULL;

    for (size_t i = 0; i < conf_rows_n; i++) {
        const char *dot = strrchr(conf_rows[i].path, '.');
        const char *last = dot ? dot + 1 : conf_rows[i].path;
        if (strcmp(last, leaf) == 0) {
            if (found != NULL) {
                return NULL;
            }
            found = conf_rows[i].path;
        }
    }
    return found;
}

void conf_suggest(const char *path, struct buf *out)
{
    struct nearest near = {.distance = 99, .known = BUF_INIT(4096)};
    const char *dot = strrchr(path, '.');
    const char *leaf = dot ? dot + 1 : path;
    char parent[512] = "";

    sv_copy(parent, sizeof parent, sv_mem(path, dot ? (size_t)(dot - path) : 0));
    for (size_t i = 0; i < conf_rows_n; i++) {
        sv rest;
        if (match_prefix(conf_rows[i].path, parent, &rest) && rest.n > 0) {
            consider(&near, sv_cut(&rest, '.'), leaf);
        }
    }
    const char *other = elsewhere(leaf);
    if (near.name[0] != '\0') {
        buf_printf(out, ", did you mean %s%s%s?", parent, parent[0] ? "." : "", near.name);
    } else if (other != NULL) {
        buf_printf(out, ", did you mean %s?", other);
    } else if (near.known_n > 0 && near.known_n <= 20) {
        buf_printf(out, ", known %s%s: %s", parent[0] ? "in " : "here", parent,
                   buf_cstr(&near.known));
    }
    buf_free(&near.known);
}

bool conf_choice_ok(const char *choices, const char *value)
{
    sv rest = sv_of(choices);

    while (rest.n > 0) {
        if (sv_eqc(sv_cut(&rest, '|'), value)) {
            return true;
        }
    }
    return false;
}

const char *conf_type_name(enum conf_type t)
{
    static const char *const names[] = {
        [CT_STR] = "a text in quotes",
        [CT_INT] = "a whole number",
        [CT_BOOL] = "true or false",
        [CT_DURATION] = "a duration in quotes, like \"30s\" or \"1h30m\"",
        [CT_SIZE] = "a size in quotes, like \"64MiB\"",
        [CT_LIST] = "a list of texts, like [ \"a\", \"b\" ]",
        [CT_SECRET] = "a text in quotes: \"env:NAME\", \"file:/path\" or \"cred:NAME\"",
    };
    return names[t];
}
