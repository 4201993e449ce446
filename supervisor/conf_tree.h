/*
 * conf_tree.h: the configuration as typed values by dotted path, with where each came from.
 * Runs in: supervisor, command line.     Owns: its values and messages, until cfg_free.
 * Never: includes libconfig.h (conf_load.c does), logs.
 * Tested in: tests/unit/supervisor/test_conf_load.c, test_conf_check.c, test_conf_section.c
 */
#ifndef TENAZA_SUPERVISOR_CONF_TREE_H
#define TENAZA_SUPERVISOR_CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/buf.h"
#include "common/conf.h"
#include "supervisor/conf_schema.h"

struct cfg_value {
    char *path;
    const struct conf_row *row; /* NULL: only a mark that the group exists */
    int64_t i;   /* CT_INT, CT_BOOL, CT_DURATION (ms), CT_SIZE (bytes) */
    char *s;     /* CT_STR, CT_SECRET */
    char **list; /* CT_LIST */
    size_t list_n;
    char *origin; /* "tenaza.conf:12", "command line" */
};

struct cfg {
    struct cfg_value *v;
    size_t n, cap;
    struct buf errors;   /* one line each, "file:line: path: what is wrong" */
    struct buf warnings;
    unsigned error_n;
    char **files; /* read, in order */
    size_t file_n;
    unsigned worldly; /* bit i: files[i] can be read by everybody */
};

void cfg_init(struct cfg *c);
void cfg_free(struct cfg *c); /* wipes secrets first */
void cfg_error(struct cfg *c, const char *origin, const char *path, const char *fmt, ...) ATTR_PRINTF(4, 5);
void cfg_warn(struct cfg *c, const char *origin, const char *path, const char *fmt, ...) ATTR_PRINTF(4, 5);

/* What a file or the command line says, before it is typed. */
struct cfg_raw {
    enum { RAW_INT, RAW_FLOAT, RAW_BOOL, RAW_STR, RAW_LIST } kind;
    int64_t i;
    const char *s;
    const char *const *list;
    size_t list_n;
};
/* Types and checks a value and puts it into the tree (a later one replaces an earlier one); complains into
 * c->errors. The path must have a row. */
void cfg_put(struct cfg *c, const char *path, const struct cfg_raw *given, const char *origin);
/* Remembers that a group with an id stands there, even an empty one. */
void cfg_mark(struct cfg *c, const char *path, const char *origin);

/* The value at a path, from the tree or built from the default of its row (then in *scratch, which lives as
 * long as the caller wants; texts point to constants). NULL: neither. */
const struct cfg_value *cfg_find(const struct cfg *c, const char *path);
const struct cfg_value *cfg_get(const struct cfg *c, const char *path, struct cfg_value *scratch);
int64_t cfg_int(const struct cfg *c, const char *path); /* numbers, durations, sizes, booleans; 0: unset */
const char *cfg_str(const struct cfg *c, const char *path); /* NULL: unset */
/* The i-th entry of a list; of one that is not set, the default alone. NULL at the end. */
const char *cfg_list_at(const struct cfg *c, const char *path, size_t i);
bool cfg_has_below(const struct cfg *c, const char *path);
/* The i-th distinct name right below `path`; false at the end. */
bool cfg_child(const struct cfg *c, const char *path, size_t i, char *name, size_t cap);

/* Files (conf_load.c). Problems go into c->errors; a file that does not exist is one. */
void cfg_load(struct cfg *c, const char *file);

/* Secrets (conf_secret.c): replaces references by what they name. */
void cfg_resolve_secrets(struct cfg *c);
/* The token of clients: the configured one, else the content of <state>/gateway.token, which is made when
 * it is not there (*made). dst is freed by the caller. ERR_IO, ERR_PARSE (file too short). */
int cfg_gateway_token(const struct cfg *c, const char *state_dir, bool create, char **dst, bool *made) ATTR_NODISCARD;

/* Rules over several settings (conf_check.c). */
void cfg_check(struct cfg *c);
bool cfg_bind_is_loopback(const char *bind);

/* Accounts of channels (conf_account.c). */
struct cfg_account {
    char channel[64];
    char account[64];
    bool enabled;
};
bool cfg_account_at(const struct cfg *c, size_t i, struct cfg_account *out);
/* A key of an account: its own value, else the channel's, else the default. */
const struct cfg_value *cfg_account_get(const struct cfg *c, const struct cfg_account *a, const char *key,
                                        struct cfg_value *scratch);

/* Workers (conf_workers.c). */
struct cfg_worker {
    char name[136]; /* "store", "agent-2", "irc/work" */
    enum worker_id kind;
    struct cfg_account account; /* kind channel */
};
/* The i-th worker that this configuration asks for, in the order of starting; false at the end. */
bool cfg_worker_at(const struct cfg *c, size_t i, struct cfg_worker *out);

/* What the sections carry besides the settings. */
struct cfg_place {
    const char *run_dir, *state_dir;
    const char *log_style; /* plain, journal */
    const char *token;     /* of clients */
    unsigned listen_count;
};
/* Section of one worker (conf_section.c); account is NULL except for channels. */
void cfg_section(const struct cfg *c, enum worker_id kind, const struct cfg_account *account,
                 const struct cfg_place *place, struct conf *out);

#endif
