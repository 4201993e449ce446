/*
 * config.c: the configuration as this process sees it: the file, the command line over it, secrets, checks.
 * Runs in: supervisor.     Owns: nothing; the tree belongs to the caller.
 * Never: ends the process; a reload has to survive a bad file.
 * Tested in: tests/scn/h2-reload.test.mjs, a2-bad-input.test.mjs
 */
#include <stdio.h>

#include "common/log.h"
#include "supervisor/sup.h"

static void put_option(struct cfg *c, const char *path, struct cfg_raw raw)
{
    cfg_put(c, path, &raw, "command line");
}

/* Room for a second incarnation of some while they are exchanged. */
static void check_count(struct cfg *c)
{
    struct cfg_worker w;

    if (cfg_worker_at(c, SUP_MAX_CHILDREN / 2, &w)) {
        cfg_error(c, c->file_n ? c->files[0] : NULL, "channels", "more than %d workers", SUP_MAX_CHILDREN / 2);
    }
}

void config_read(struct sup *s, const char *file, struct cfg *c)
{
    const struct sup_opts *o = &s->opts;

    cfg_init(c);
    if (file[0] != '\0') {
        cfg_load(c, file);
    }
    if (o->port >= 0) {
        put_option(c, "edge.port", (struct cfg_raw){.kind = RAW_INT, .i = o->port});
    }
    if (o->bind != NULL) {
        put_option(c, "edge.bind", (struct cfg_raw){.kind = RAW_STR, .s = o->bind});
    }
    if (o->level != NULL) {
        put_option(c, "logging.level", (struct cfg_raw){.kind = RAW_STR, .s = o->level});
    }
    if (c->error_n == 0) {
        cfg_resolve_secrets(c);
        cfg_check(c);
        check_count(c);
    }
}

void config_use(struct sup *s)
{
    s->rules = (struct backoff_rules){
        .first = cfg_int(&s->cfg, "supervisor.restart.first"),
        .max = cfg_int(&s->cfg, "supervisor.restart.max"),
        .reset_after = cfg_int(&s->cfg, "supervisor.restart.resetAfter"),
        .within = cfg_int(&s->cfg, "supervisor.restart.breaker.within"),
        .failures = (unsigned)cfg_int(&s->cfg, "supervisor.restart.breaker.failures"),
    };
    for (size_t i = 0; i < s->child_n; i++) {
        s->children[i]->life.start_ms = cfg_int(&s->cfg, "supervisor.startTimeout");
    }
}

struct cfg_place config_place(const struct sup *s, const char *token, size_t listen_n)
{
    return (struct cfg_place){s->run_dir, s->state_dir, log_style_name(s->log_style), token, (unsigned)listen_n};
}
