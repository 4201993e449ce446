/*
 * conf_schema.h: what the configuration may contain, as rows, and how a dotted path finds its row.
 * Runs in: supervisor, command line.     Owns: the constant table.
 * Never: reads files, holds values.
 * Tested in: tests/unit/supervisor/test_conf_schema.c
 */
#ifndef TENAZA_SUPERVISOR_CONF_SCHEMA_H
#define TENAZA_SUPERVISOR_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "supervisor/kinds.h"

enum conf_type { CT_STR, CT_INT, CT_BOOL, CT_DURATION, CT_SIZE, CT_LIST, CT_SECRET };

enum {
    CF_LIVE = 1,    /* a running worker takes the new value */
    CF_RESTART = 2, /* the workers that receive it are started anew */
};

#define K_SUP 0u /* only the supervisor itself uses it */
#define K(kind) (1u << WK_##kind)
#define K_ALL ((1u << WK_COUNT) - 1u)

/*
 * path: dotted, with `*` for an id that people choose and `#` for a position in a list of groups.
 * min, max: of the number, of the milliseconds, of the bytes, or of the length of the text / the list.
 * choices: "a|b|c" or NULL. dflt: as it would be written (no quotes), NULL: none.
 * kinds: workers whose section carries the value.
 */
struct conf_row {
    const char *path;
    enum conf_type type;
    int64_t min, max;
    const char *choices;
    const char *dflt;
    unsigned flags;
    unsigned kinds;
    const char *doc;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_rows_n;

/* What may stand at a concrete path. */
enum {
    CP_VALUE = 1, /* a row */
    CP_GROUP = 2, /* named settings below it */
    CP_IDS = 4,   /* names below it are ids; also written as a list of groups with `id` */
    CP_INDEX = 8, /* a list of groups without ids */
};
unsigned conf_path_kind(const char *path);
const struct conf_row *conf_row_find(const char *path); /* NULL: no such setting */
/* Appends ", did you mean edge.port?" or ", known here: a, b" or nothing. */
void conf_suggest(const char *path, struct buf *out);
/* Edit distance with transpositions, at most `limit` + 1; shared with the command line. */
unsigned conf_distance(const char *a, const char *b, unsigned limit);
bool conf_choice_ok(const char *choices, const char *value);
const char *conf_type_name(enum conf_type t); /* "a duration, like \"30s\"" */
/* The manual docs/config.md. */
void conf_doc(struct buf *out);

#endif
