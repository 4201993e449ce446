/*
 * conf_load.c: libconfig files -> the typed tree, checked row by row. The only file that includes libconfig.h.
 * Runs in: supervisor, command line.     Owns: nothing after it returns.
 * Never: looks up a setting by name; what may stand where is in conf_schema.def alone.
 * Tested in: tests/unit/supervisor/test_conf_load.c
 */
#include <glob.h>
#include <libconfig.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/file.h"
#include "supervisor/conf_lex.h"
#include "supervisor/conf_tree.h"

#define MAX_FILE_BYTES ((size_t)4 * 1024 * 1024)
#define MAX_FILES 32
#define MAX_PATH_BYTES 512
#define MAX_ID_BYTES 64
#define MAX_LIST 1024

struct walk {
    struct cfg *cfg;
    const char *file; /* as given, for messages when libconfig does not name one */
};

static void walk_group(struct walk *w, config_setting_t *group, const char *path);

static void origin_of(struct walk *w, const config_setting_t *s, char *dst, size_t cap)
{
    const char *file = config_setting_source_file(s);

    snprintf(dst, cap, "%s:%u", file ? file : w->file, config_setting_source_line(s));
}

/* Ids become parts of dotted paths, worker names and file names. */
static bool id_ok(const char *id)
{
    size_t n = strlen(id);

    return n > 0 && n <= MAX_ID_BYTES &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static bool path_join(struct walk *w, const char *origin, const char *path, const char *name, char *dst)
{
    int n = snprintf(dst, MAX_PATH_BYTES, "%s%s%s", path, path[0] ? "." : "", name);

    if (n >= MAX_PATH_BYTES) {
        cfg_error(w->cfg, origin, path, "names are nested too deeply");
        return false;
    }
    return true;
}

static void unknown(struct walk *w, const char *origin, const char *path)
{
    struct buf hint = BUF_INIT(8192);

    conf_suggest(path, &hint);
    cfg_error(w->cfg, origin, path, "unknown setting%s", buf_cstr(&hint));
    buf_free(&hint);
}

static void take_scalar(struct walk *w, config_setting_t *s, const char *path, const char *origin)
{
    struct cfg_raw raw = {.kind = RAW_INT};

    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
        raw.i = config_setting_get_int(s);
        break;
    case CONFIG_TYPE_INT64:
        raw.i = config_setting_get_int64(s);
        break;
    case CONFIG_TYPE_FLOAT:
        raw.kind = RAW_FLOAT;
        break;
    case CONFIG_TYPE_BOOL:
        raw.kind = RAW_BOOL;
        raw.i = config_setting_get_bool(s);
        break;
    default:
        raw.kind = RAW_STR;
        raw.s = config_setting_get_string(s);
        break;
    }
    cfg_put(w->cfg, path, &raw, origin);
}

static void take_list(struct walk *w, config_setting_t *s, const char *path, const char *origin)
{
    static const char *items[MAX_LIST];
    int n = config_setting_length(s);

    if (n > MAX_LIST) {
        cfg_error(w->cfg, origin, path, "more than %d entries", MAX_LIST);
        return;
    }
    for (int i = 0; i < n; i++) {
        config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        if (config_setting_type(e) != CONFIG_TYPE_STRING) {
            cfg_error(w->cfg, origin, path, "entry %d is no text in quotes", i + 1);
            return;
        }
        items[i] = config_setting_get_string(e);
    }
    struct cfg_raw raw = {.kind = RAW_LIST, .list = items, .list_n = (size_t)n};
    cfg_put(w->cfg, path, &raw, origin);
}

/* ( { id = "a"; ... }, { ... } ): groups with ids, or groups by position. */
static void take_group_list(struct walk *w, config_setting_t *s, const char *path, unsigned kind,
                            const char *origin)
{
    char below[MAX_PATH_BYTES];
    char number[16];

    for (int i = 0; i < config_setting_length(s); i++) {
        config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        const char *id = NULL;
        if (config_setting_type(e) != CONFIG_TYPE_GROUP) {
            cfg_error(w->cfg, origin, path, "entry %d is no group in braces", i + 1);
            return;
        }
        if (kind & CP_INDEX) {
            snprintf(number, sizeof number, "%d", i);
            id = number;
        } else if (!config_setting_lookup_string(e, "id", &id) || !id_ok(id)) {
            cfg_error(w->cfg, origin, path, "entry %d needs an id of letters, digits, - and _", i + 1);
            return;
        }
        if (!path_join(w, origin, path, id, below)) {
            return;
        }
        cfg_mark(w->cfg, below, origin);
        walk_group(w, e, below);
    }
}

static void walk_setting(struct walk *w, config_setting_t *s, const char *path)
{
    char origin[PATH_MAX + 16];
    unsigned kind = conf_path_kind(path);
    int type = config_setting_type(s);

    origin_of(w, s, origin, sizeof origin);
    if (kind == 0) {
        unknown(w, origin, path);
    } else if (type == CONFIG_TYPE_GROUP) {
        if (kind & (CP_GROUP | CP_IDS)) {
            cfg_mark(w->cfg, path, origin);
            walk_group(w, s, path);
        } else {
            cfg_error(w->cfg, origin, path, "%s is wanted here",
                      kind & CP_INDEX ? "a list of groups, like ( { id = \"x\"; } )"
                                      : conf_type_name(conf_row_find(path)->type));
        }
    } else if (type == CONFIG_TYPE_LIST && (kind & (CP_IDS | CP_INDEX))) {
        take_group_list(w, s, path, kind, origin);
    } else if (!(kind & CP_VALUE)) {
        cfg_error(w->cfg, origin, path, "a group is wanted here: { ... }");
    } else if (type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST) {
        take_list(w, s, path, origin);
    } else {
        take_scalar(w, s, path, origin);
    }
}

static void walk_group(struct walk *w, config_setting_t *group, const char *path)
{
    char below[MAX_PATH_BYTES];
    char origin[PATH_MAX + 16];
    bool ids = (conf_path_kind(path) & CP_IDS) != 0;

    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(s);
        origin_of(w, s, origin, sizeof origin);
        if (ids && !id_ok(name)) {
            cfg_error(w->cfg, origin, path, "the id %s may only have letters, digits, - and _", name);
            continue;
        }
        if (!path_join(w, origin, path, name, below)) {
            continue;
        }
        /* `id` names an entry of a list of groups; it is no setting unless a row says so. */
        if (strcmp(name, "id") == 0 && conf_path_kind(below) == 0 &&
            config_setting_type(config_setting_parent(group)) == CONFIG_TYPE_LIST) {
            continue;
        }
        walk_setting(w, s, below);
    }
}

static bool remember_file(struct cfg *c, const char *file)
{
    struct stat st;

    for (size_t i = 0; i < c->file_n; i++) {
        if (strcmp(c->files[i], file) == 0) {
            return false;
        }
    }
    if (c->file_n == MAX_FILES) {
        cfg_error(c, file, NULL, "more than %d configuration files", MAX_FILES);
        return false;
    }
    if (stat(file, &st) == 0 && (st.st_mode & S_IROTH) != 0) {
        c->worldly |= 1u << c->file_n;
    }
    c->files = xrealloc(c->files, (c->file_n + 1) * sizeof *c->files);
    c->files[c->file_n++] = xstrdup(file);
    return true;
}

/* Complains about numbers that the parser would change silently. False: the file cannot be read. */
static bool check_numbers(struct cfg *c, const char *file)
{
    struct buf text = BUF_INIT(MAX_FILE_BYTES);
    struct conf_lex_error err;
    int rc = file_read(file, &text);

    if (rc != 0) {
        cfg_error(c, file, NULL, "%s", rc == ERR_TOOBIG ? "larger than 4 MiB" : "cannot be read");
    }
    struct conf_lexer lexer = {.text = buf_view(&text)};
    while (rc == 0 && conf_lex_next_error(&lexer, &err)) {
        char origin[PATH_MAX + 16];
        snprintf(origin, sizeof origin, "%s:%u", file, err.line);
        cfg_error(c, origin, err.path, "%s", err.text);
    }
    buf_free(&text);
    return rc == 0;
}

/* Files pulled in by @include are known only after parsing. */
static void check_included(struct cfg *c, config_setting_t *s, const char *main_file)
{
    const char *file = config_setting_source_file(s);

    if (file != NULL && strcmp(file, main_file) != 0 && remember_file(c, file)) {
        (void)check_numbers(c, file);
    }
    if (config_setting_is_aggregate(s)) {
        for (int i = 0; i < config_setting_length(s); i++) {
            check_included(c, config_setting_get_elem(s, (unsigned)i), main_file);
        }
    }
}

static void load_dropins(struct cfg *c, const char *file)
{
    const struct cfg_value *v = cfg_find(c, "include");
    char *copy = xstrdup(file);
    const char *folder = dirname(copy);
    char *origin = v ? xstrdup(v->origin) : NULL;
    size_t n = v ? v->list_n : 0;
    char **patterns = xcalloc(n + 1, sizeof *patterns);

    /* The list may be replaced while its files are read: work on a copy. */
    for (size_t i = 0; i < n; i++) {
        const char *p = v->list[i];
        patterns[i] = p[0] == '/' ? xstrdup(p) : xasprintf("%s/%s", folder, p);
    }
    for (size_t i = 0; i < n; i++) {
        glob_t found;
        int rc = glob(patterns[i], GLOB_ERR, NULL, &found);
        if (rc == 0) {
            for (size_t j = 0; j < found.gl_pathc; j++) {
                cfg_load(c, found.gl_pathv[j]);
            }
            globfree(&found);
        } else if (rc != GLOB_NOMATCH) {
            cfg_error(c, origin, "include", "%s cannot be searched", patterns[i]);
        }
        xfree(patterns[i]);
    }
    xfree(patterns);
    xfree(origin);
    xfree(copy);
}

void cfg_load(struct cfg *c, const char *file)
{
    struct walk w = {.cfg = c, .file = file};
    config_t parsed;
    bool first = c->file_n == 0;

    if (!remember_file(c, file) || !check_numbers(c, file)) {
        return;
    }
    config_init(&parsed);
    char *copy = xstrdup(file);
    config_set_include_dir(&parsed, dirname(copy));
    xfree(copy);
    if (config_read_file(&parsed, file) != CONFIG_TRUE) {
        char origin[PATH_MAX + 16];
        const char *where = config_error_file(&parsed);
        snprintf(origin, sizeof origin, "%s:%d", where ? where : file, config_error_line(&parsed));
        cfg_error(c, origin, NULL, "%s", config_error_text(&parsed));
    } else {
        check_included(c, config_root_setting(&parsed), file);
        walk_group(&w, config_root_setting(&parsed), "");
    }
    config_destroy(&parsed);
    if (first) {
        load_dropins(c, file);
    }
}
