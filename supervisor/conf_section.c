/*
 * conf_section.c: the share of the configuration that one worker gets (common/conf.h), defaults filled in.
 * Runs in: supervisor, command line (config get).     Owns: nothing.
 * Never: gives a worker a value whose row does not name its kind.
 * Tested in: tests/unit/supervisor/test_conf_section.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/conf_tree.h"

#define KEY_PATH 512

/* Lane width per agent process when agents.defaults.maxConcurrent is left at 0. */
#define RUNS_PER_AGENT 16

static void put_value(struct conf *out, const char *path, const struct cfg_value *v)
{
    switch (v->row->type) {
    case CT_STR:
        conf_set_str(out, path, sv_of(v->s));
        break;
    case CT_SECRET:
        conf_set_secret(out, path, sv_of(v->s));
        break;
    case CT_LIST:
        for (size_t i = 0; i < v->list_n; i++) {
            conf_add_list(out, path, sv_of(v->list[i]));
        }
        break;
    case CT_BOOL:
        conf_set_bool(out, path, v->i != 0);
        break;
    case CT_INT:
    case CT_DURATION:
    case CT_SIZE:
    default:
        conf_set_int(out, path, v->i);
        break;
    }
}

/*
 * Writes the value for `pattern`, with every * and # replaced by each name that exists there.
 * prefix: concrete path so far; pattern: what is left.
 */
static void put_pattern(const struct cfg *c, const char *prefix, const char *pattern, struct conf *out)
{
    sv rest = sv_of(pattern);
    char path[KEY_PATH];
    size_t n = strlen(prefix);

    sv_copy(path, sizeof path, sv_of(prefix));
    while (rest.n > 0) {
        sv seg = sv_cut(&rest, '.');
        if (sv_eqc(seg, "*") || sv_eqc(seg, "#")) {
            char name[64];
            for (size_t i = 0; cfg_child(c, path, i, name, sizeof name); i++) {
                char below[KEY_PATH];
                if (snprintf(below, sizeof below, "%s.%s", path, name) < (int)sizeof below) {
                    put_pattern(c, below, rest.p ? rest.p : "", out);
                }
            }
            return;
        }
        int added = snprintf(path + n, sizeof path - n, "%s%.*s", n ? "." : "", SV_ARG(seg));
        if (added < 0 || (size_t)added >= sizeof path - n) {
            return; /* longer than any path the loader accepts */
        }
        n += (size_t)added;
    }
    struct cfg_value scratch;
    const struct cfg_value *v = cfg_get(c, path, &scratch);
    if (v != NULL) {
        put_value(out, path, v);
    }
}

static void put_account(const struct cfg *c, const struct cfg_account *a, struct conf *out)
{
    char prefix[KEY_PATH];

    conf_set_str(out, "channel", sv_of(a->channel));
    conf_set_str(out, "account", sv_of(a->account));
    int n = snprintf(prefix, sizeof prefix, "channels.%s.accounts.*.", a->channel);
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (strncmp(row->path, prefix, (size_t)n) != 0 || !(row->kinds & K(channel))) {
            continue;
        }
        struct cfg_value scratch;
        const struct cfg_value *v = cfg_account_get(c, a, row->path + n, &scratch);
        if (v != NULL) {
            put_value(out, row->path + n, v);
        }
    }
}

static void put_channels_list(const struct cfg *c, struct conf *out)
{
    struct cfg_account a;
    char name[160];

    for (size_t i = 0; cfg_account_at(c, i, &a); i++) {
        if (a.enabled) {
            snprintf(name, sizeof name, "%s/%s", a.channel, a.account);
            conf_add_list(out, "channels.list", sv_of(name));
        }
    }
}

static void put_environment(struct conf *out)
{
    static const struct {
        const char *name, *path;
        void (*put)(struct conf *c, const char *path, sv value);
    } rows[] = {
        {"ANTHROPIC_API_KEY", "models.env.anthropic", conf_set_secret},
        {"OPENAI_API_KEY", "models.env.openai", conf_set_secret},
        {"OLLAMA_HOST", "models.env.ollamaHost", conf_set_str},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *v = getenv(rows[i].name);
        if (v != NULL && v[0] != '\0' && strlen(v) <= 1024) {
            rows[i].put(out, rows[i].path, sv_of(v));
        }
    }
}

/* An agent exists even when its group is empty. */
static void put_agent_names(const struct cfg *c, struct conf *out)
{
    char id[64];

    for (size_t i = 0; cfg_child(c, "agents.entries", i, id, sizeof id); i++) {
        char path[KEY_PATH];
        snprintf(path, sizeof path, "agents.entries.%s.name", id);
        if (cfg_find(c, path) == NULL) {
            conf_set_str(out, path, sv_of(id));
        }
    }
}

static void put_effective_lane(const struct cfg *c, struct conf *out)
{
    if (cfg_int(c, "agents.defaults.maxConcurrent") == 0) {
        conf_set_int(out, "agents.defaults.maxConcurrent", cfg_int(c, "agents.workers") * RUNS_PER_AGENT);
    }
}

/* Settings by row; of accounts only what concerns the process, their own keys stand without their path. */
static void put_rows(const struct cfg *c, enum worker_id kind, bool account, struct conf *out)
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        const char *path = conf_rows[i].path;
        bool wanted = account ? strncmp(path, "supervisor.", 11) == 0 : strncmp(path, "channels.", 9) != 0;
        if (wanted && (conf_rows[i].kinds & (1u << kind))) {
            put_pattern(c, "", path, out);
        }
    }
}

void cfg_section(const struct cfg *c, enum worker_id kind, const struct cfg_account *account,
                 const struct cfg_place *place, struct conf *out)
{
    conf_set_str(out, "run.dir", sv_of(place->run_dir));
    conf_set_str(out, "state.dir", sv_of(place->state_dir));
    conf_set_str(out, "log.level", sv_of(cfg_str(c, "logging.level")));
    conf_set_str(out, "log.style", sv_of(place->log_style));
    conf_set_int(out, "listen.count", kind == WK_edge ? (int64_t)place->listen_count : 0);
    put_rows(c, kind, account != NULL, out);
    if (account != NULL) {
        put_account(c, account, out);
        return;
    }
    if (kind == WK_store || kind == WK_agent) {
        put_effective_lane(c, out);
    }
    if (kind == WK_agent) {
        put_agent_names(c, out);
        put_environment(out);
    }
    if (kind == WK_edge) {
        conf_set_str(out, "gateway.version", SV(TENAZA_VERSION));
        conf_set_secret(out, "edge.auth.token", sv_of(place->token ? place->token : ""));
        put_channels_list(c, out);
    }
}
