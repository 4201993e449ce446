/*
 * conf.h: a worker's share of the configuration, as the supervisor hands it over in a sealed memfd.
 * Runs in: every process.     Owns: the decoded section.
 * Never: reads the configuration file (only supervisor/conf_load.c does), validates (done already),
 *        prints values.
 * Tested in: tests/unit/common/test_conf.c
 *
 * A section is a flat list of (dotted path, value) in the order of the file. Durations arrive as
 * milliseconds and sizes as bytes (integers); secrets arrive resolved and of a kind of their own: only conf_secret finds them.
 * Bytes: see conf.c.
 */
#ifndef TENAZA_COMMON_CONF_H
#define TENAZA_COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

enum conf_kind { CONF_STR, CONF_INT, CONF_BOOL, CONF_LIST /* of strings */, CONF_SECRET };

struct conf_item {
    char *path;
    enum conf_kind kind;
    int64_t i;     /* CONF_INT, CONF_BOOL */
    char *s;       /* CONF_STR; CONF_SECRET: in guarded memory */
    char **list;   /* CONF_LIST */
    size_t list_n;
};

struct conf {
    struct conf_item *items;
    size_t n;
};

void conf_free(struct conf *c); /* wipes string values first */
void conf_set_str(struct conf *c, const char *path, sv value);
void conf_set_secret(struct conf *c, const char *path, sv value);
void conf_set_int(struct conf *c, const char *path, int64_t value);
void conf_set_bool(struct conf *c, const char *path, bool value);
void conf_add_list(struct conf *c, const char *path, sv value); /* appends one element */

/* Makes dst equal to src. Items that are equal already stay where they are in memory: pointers to their texts keep
 * their meaning; pointers to texts of changed or removed items are dead afterwards. */
void conf_update(struct conf *dst, const struct conf *src);
/* Both have the same value there, or both none. */
bool conf_same_at(const struct conf *a, const struct conf *b, const char *path);

/* Canonical bytes: equal sections give equal bytes (the reload plan compares them). */
bool conf_encode(const struct conf *c, struct buf *out);
int conf_decode(sv bytes, struct conf *out) ATTR_NODISCARD; /* ERR_PARSE */

const struct conf_item *conf_find(const struct conf *c, const char *path);
const char *conf_str(const struct conf *c, const char *path, const char *dflt);
/* Lives in guarded memory (common/guard.h) as long as the section; use it in place rather than copy it. Finds strings
 * too: what a test sets is no secret. */
const char *conf_secret(const struct conf *c, const char *path, const char *dflt);
int64_t conf_int(const struct conf *c, const char *path, int64_t dflt);
bool conf_bool(const struct conf *c, const char *path, bool dflt);
size_t conf_count(const struct conf *c, const char *path); /* elements of a list, 0 when absent */
const char *conf_at(const struct conf *c, const char *path, size_t i);
bool conf_list_has(const struct conf *c, const char *path, sv value);
/* Distinct names right below `path` ("models.providers" -> "openai", "ollama"), in order; false at the end. */
bool conf_child(const struct conf *c, const char *path, size_t i, char *name, size_t cap);

#endif
