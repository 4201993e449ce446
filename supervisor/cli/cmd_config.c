/*
 * cmd_config.c: the configuration without a running gateway: check, get, schema.
 * Runs in: command line.     Owns: the loaded tree.
 * Never: prints the value of a secret; writes a file.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "supervisor/cli/cli.h"
#include "supervisor/conf_tree.h"
#include "supervisor/paths.h"

/* The file that `tenaza run` would read; NULL: the defaults apply. */
static const char *default_file(const struct cli *c, char *dst, size_t cap)
{
    return paths_config(c->config, c->state_given ? c->state : NULL, dst, cap) ? dst : NULL;
}

static void print_lines(struct buf *text, FILE *to, const char *label)
{
    for (sv rest = buf_view(text); !sv_empty(rest);) {
        sv line = sv_cut(&rest, '\n');
        fprintf(to, "%s%.*s\n", label, SV_ARG(line));
    }
}

static int check(const struct cli *c, const char *file)
{
    struct cfg cfg;
    cfg_init(&cfg);
    if (file) {
        cfg_load(&cfg, file);
    }
    if (cfg.error_n == 0) {
        cfg_resolve_secrets(&cfg);
        cfg_check(&cfg);
    }
    if (c->json) {
        json_t *list = json_array();
        for (sv rest = buf_view(&cfg.errors); !sv_empty(rest);) {
            sv line = sv_cut(&rest, '\n');
            (void)json_array_append_new(list, json_stringn(line.p, line.n));
        }
        cli_print_json(json_pack("{s:b, s:o, s:I}", "ok", cfg.error_n == 0, "errors", list, "settings", (json_int_t)cfg.n));
    } else {
        print_lines(&cfg.errors, stderr, "");
        print_lines(&cfg.warnings, stderr, "warning: ");
        if (cfg.error_n == 0) {
            cli_say(c, "ok: %zu settings, %zu file%s", cfg.n, cfg.file_n, cfg.file_n == 1 ? "" : "s");
        }
    }
    int exit_code = cfg.error_n == 0 ? CLI_OK : CLI_CONFIG;
    cfg_free(&cfg);
    return exit_code;
}

static void value_text(const struct cfg_value *v, struct buf *out)
{
    switch (v->row->type) {
    case CT_SECRET:
        buf_str(out, "(secret)");
        break;
    case CT_STR:
        buf_str(out, v->s ? v->s : "");
        break;
    case CT_BOOL:
        buf_str(out, v->i ? "true" : "false");
        break;
    case CT_LIST:
        for (size_t i = 0; i < v->list_n; i++) {
            buf_printf(out, "%s%s", i ? ", " : "", v->list[i]);
        }
        break;
    case CT_DURATION:
        buf_printf(out, "%lld ms", (long long)v->i);
        break;
    case CT_INT:
    case CT_SIZE:
    default:
        buf_printf(out, "%lld", (long long)v->i);
        break;
    }
}

static json_t *value_json(const struct cfg_value *v)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    json_t *o = NULL;
    if (v->row->type == CT_INT || v->row->type == CT_DURATION || v->row->type == CT_SIZE) {
        o = json_integer(v->i);
    } else if (v->row->type == CT_BOOL) {
        o = json_boolean(v->i != 0);
    } else if (v->row->type == CT_LIST) {
        o = json_array();
        for (size_t i = 0; i < v->list_n; i++) {
            (void)json_array_append_new(o, json_string(v->list[i]));
        }
    } else {
        value_text(v, &text);
        o = json_string(buf_cstr(&text));
    }
    buf_free(&text);
    return o;
}

static void get_all(const struct cli *c, const struct cfg *cfg)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    json_t *all = json_object();
    for (size_t i = 0; i < cfg->n; i++) {
        if (cfg->v[i].row) {
            buf_reset(&text);
            value_text(&cfg->v[i], &text);
            (void)json_object_set_new(all, cfg->v[i].path, value_json(&cfg->v[i]));
            if (!c->json) {
                printf("%s = %s   (%s)\n", cfg->v[i].path, buf_cstr(&text), cfg->v[i].origin);
            }
        }
    }
    if (c->json) {
        cli_print_json(all);
    } else {
        json_decref(all);
    }
    buf_free(&text);
}

static int get(const struct cli *c, const char *file, const char *path)
{
    struct cfg cfg;
    struct cfg_value scratch;
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    cfg_init(&cfg);
    if (file) {
        cfg_load(&cfg, file);
    }
    if (path) {
        const struct cfg_value *v = cfg_get(&cfg, path, &scratch);
        if (!v || !v->row) {
            struct buf hint = BUF_INIT(512);
            conf_suggest(path, &hint);
            cli_fail(c, CLI_NOT_THERE, "not_found", NULL, "no value: %s%s", path, buf_cstr(&hint));
        }
        value_text(v, &text);
        if (c->json) {
            json_t *o = json_object();
            (void)json_object_set_new(o, path, value_json(v));
            cli_print_json(o);
        } else {
            puts(buf_cstr(&text));
        }
    } else {
        get_all(c, &cfg);
    }
    buf_free(&text);
    cfg_free(&cfg);
    return CLI_OK;
}

static int schema(const struct cli *c, const char *path, bool markdown)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    bool found = false;
    json_t *rows = json_array();
    if (markdown) {
        conf_doc(&b);
        found = true;
    }
    for (size_t i = 0; !markdown && i < conf_rows_n; i++) {
        const struct conf_row *r = &conf_rows[i];
        if (path && strncmp(r->path, path, strlen(path)) != 0) {
            continue;
        }
        found = true;
        json_t *o = json_pack("{s:s, s:s, s:s}", "path", r->path, "wanted", r->choices ? r->choices : conf_type_name(r->type),
                              "doc", r->doc);
        json_put(o, "default", sv_of(r->dflt));
        (void)json_array_append_new(rows, o);
        buf_printf(&b, "%s\n    %s%s%s%s%s\n    %s\n", r->path, r->choices ? r->choices : conf_type_name(r->type),
                   r->dflt ? ", default " : "", r->dflt ? r->dflt : "", r->flags & CF_LIVE ? ", live" : "",
                   r->type == CT_SECRET ? ", secret" : "", r->doc);
    }
    if (!found) {
        cli_fail(c, CLI_NOT_THERE, "not_found", NULL, "no such setting: %s", path);
    }
    if (c->json && !markdown) {
        cli_print_json(rows);
    } else {
        fputs(buf_cstr(&b), stdout);
        json_decref(rows);
    }
    buf_free(&b);
    return CLI_OK;
}

int cmd_config(struct cli *c)
{
    char path[PATH_MAX + 32];
    bool markdown = cli_flag(c, "--markdown", NULL);
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "check", *arg = c->argc > 1 ? c->argv[1] : NULL;
    if (strcmp(verb, "check") == 0) {
        return check(c, arg ? arg : default_file(c, path, sizeof path));
    }
    if (strcmp(verb, "plan") == 0) {
        return reload_plan(c, arg);
    }
    if (strcmp(verb, "get") == 0) {
        return get(c, default_file(c, path, sizeof path), arg);
    }
    if (strcmp(verb, "schema") == 0) {
        return schema(c, arg, markdown);
    }
    cli_fail(c, CLI_USAGE, "usage", "tenaza config check [FILE] | plan [FILE] | get [PATH] | schema [PATH]", "config: what to do with \"%s\"?", verb);
}
