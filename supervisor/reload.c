/*
 * reload.c: takes up a changed configuration while everything runs: checks, plans, does only what changed.
 * Runs in: supervisor.     Owns: nothing after it returns.
 * Never: changes anything when something is wrong with the new one; touches a worker whose section is the same.
 * Tested in: tests/scn/h2-reload.test.mjs
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/conf_plan.h"
#include "supervisor/paths.h"
#include "supervisor/sup.h"

/* What a reload holds until it is known whether it will be taken up. */
struct candidate {
    struct cfg cfg;
    struct listen_set listen;
    char *token;
    struct plan plan;
};

/* ---- answers -------------------------------------------------------------------------------------------- */

static void put_lines(struct buf *json, const char *key, struct buf *lines)
{
    bool first = true;

    buf_printf(json, ",\"%s\":[", key);
    for (sv rest = buf_view(lines); rest.n > 0;) {
        sv line = sv_cut(&rest, '\n');
        buf_str(json, first ? "" : ",");
        buf_json_str(json, line);
        first = false;
    }
    buf_ch(json, ']');
}

static void say_refused(struct candidate *n, struct buf *json)
{
    buf_str(json, "{\"ok\":false,\"code\":\"bad_config\",\"error\":");
    buf_json_str(json, sv_trim(buf_view(&n->cfg.errors)));
    buf_ch(json, '}');
}

static void say_plan(uint64_t rev, struct candidate *n, struct buf *json)
{
    buf_printf(json, "{\"ok\":true,\"rev\":%" PRIu64 ",\"steps\":[", rev);
    for (size_t i = 0; i < n->plan.n; i++) {
        const struct plan_step *step = &n->plan.steps[i];
        buf_printf(json, "%s{\"action\":\"%s\",\"worker\":", i ? "," : "", plan_action_name(step->action));
        buf_json_str(json, sv_of(step->worker.name));
        buf_str(json, ",\"why\":");
        buf_json_str(json, sv_of(step->why));
        buf_ch(json, '}');
    }
    buf_ch(json, ']');
    put_lines(json, "later", &n->plan.later);
    put_lines(json, "warnings", &n->cfg.warnings);
    buf_ch(json, '}');
}

/* ---- the candidate ---------------------------------------------------------------------------------------- */

static void make_plan(struct sup *s, struct candidate *n)
{
    struct cfg_place place = config_place(s, s->token, s->listen.n);
    struct plan_side was;
    struct plan_side wanted;

    plan_side_make(&was, &s->cfg, &place);
    place = config_place(s, n->token, n->listen.n);
    plan_side_make(&wanted, &n->cfg, &place);
    plan_make(&was, &wanted, &n->plan);
    plan_note_later(&s->cfg, &n->cfg, &n->plan);
    plan_side_free(&was);
    plan_side_free(&wanted);
}

static bool find_token(struct sup *s, struct candidate *n)
{
    bool made = false;

    if (strcmp(cfg_str(&n->cfg, "edge.auth.mode"), "none") == 0) {
        n->token = xstrdup("");
        return true;
    }
    if (cfg_gateway_token(&n->cfg, s->state_dir, true, &n->token, &made) == 0) {
        return true;
    }
    cfg_error(&n->cfg, s->state_dir, "gateway.token", "cannot be read or made");
    return false;
}

/* False: the reasons stand in n->cfg.errors, and nothing is held but that. */
static bool prepare(struct sup *s, const struct reload *r, struct candidate *n)
{
    char file[PATH_MAX] = "";
    struct listen_error err = {0};

    sv_copy(file, sizeof file, sv_of(r->file ? r->file : s->config_file));
    if (file[0] == '\0') {
        /* There was none at the start; perhaps there is one now. */
        (void)!paths_config(s->opts.config, s->opts.state, file, sizeof file);
    }
    config_read(s, file, &n->cfg);
    if (n->cfg.error_n > 0 || !find_token(s, n)) {
        return false;
    }
    if (listen_prepare(s, &n->cfg, &n->listen, &err) != 0) {
        const struct cfg_value *v = cfg_find(&n->cfg, "edge.port");
        cfg_error(&n->cfg, v ? v->origin : file, NULL, "%s", err.text);
        return false;
    }
    make_plan(s, n);
    return true;
}

static void drop(struct sup *s, struct candidate *n)
{
    for (size_t i = 0; i < n->listen.n; i++) {
        bool in_use = false;
        for (size_t k = 0; k < s->listen.n; k++) {
            in_use = in_use || s->listen.v[k].fd == n->listen.v[i].fd;
        }
        if (!in_use) {
            fd_close(&n->listen.v[i].fd);
        }
    }
    if (n->token != NULL) {
        explicit_bzero(n->token, strlen(n->token));
    }
    xfree(n->token);
    plan_free(&n->plan);
    cfg_free(&n->cfg);
}

/* ---- doing it -------------------------------------------------------------------------------------------- */

static void step_start(struct sup *s, const struct plan_step *step)
{
    struct child *c = child_by_name(s, step->worker.name);

    if (c == NULL) {
        c = child_add(s, &step->worker); /* else the one before it is still leaving: it comes back */
    }
    c->leaving = false;
    c->touched = s->rev;
    life_event(&c->life, LE_START);
}

static void step_stop(struct sup *s, struct child *c)
{
    c->leaving = true;
    c->touched = s->rev;
    life_event(&c->life, LE_STOP);
}

static void step_push(struct child *c)
{
    struct ctl_packet p = {.type = CTL_CONFIG};
    int fd = c->ctl >= 0 ? spawn_section(c) : -1;

    if (fd >= 0) {
        c->pushed++;
        ctlchan_send_fd(c, &p, fd);
    }
}

/* A worker that is down keeps its state, unless it waits for exactly this: another configuration. */
static void step_restart(struct sup *s, struct child *c)
{
    c->touched = s->rev;
    if (c->held) {
        return;
    }
    c->restart_due = true;
}

static void do_step(struct sup *s, const struct plan_step *step)
{
    struct child *c = child_by_name(s, step->worker.name);

    log_info("reload: %s %s%s%s", plan_action_name(step->action), step->worker.name, step->why[0] ? ": " : "", step->why);
    if (step->action == PLAN_START) {
        step_start(s, step);
    } else if (c == NULL) {
        return;
    } else if (step->action == PLAN_STOP) {
        step_stop(s, c);
    } else if (step->action == PLAN_PUSH) {
        c->touched = s->rev;
        step_push(c);
    } else {
        step_restart(s, c);
    }
}

static void take_log_level(struct sup *s, const struct cfg *was)
{
    enum log_level level;
    const char *now = cfg_str(&s->cfg, "logging.level");

    /* Only a change counts: else a level set by hand at run time would be lost with every reload. */
    if (strcmp(cfg_str(was, "logging.level"), now) != 0 && log_level_parse(now, &level)) {
        sv_copy(s->log_level, sizeof s->log_level, sv_of(now));
        log_set_level(level);
    }
}

static void apply(struct sup *s, struct candidate *n)
{
    struct cfg was = s->cfg;
    char *old_token = s->token;

    notify_reloading();
    s->cfg = n->cfg;
    n->cfg = was;
    s->token = n->token;
    n->token = old_token;
    s->rev++;
    listen_take(s, &n->listen);
    n->listen.n = 0;
    config_use(s);
    take_log_level(s, &was);
    for (size_t i = 0; i < n->plan.n; i++) {
        do_step(s, &n->plan.steps[i]);
    }
    reload_turn(s);
    s->changed = true;
    notify_ready(s);
}

static void note_later(struct candidate *n)
{
    for (sv rest = buf_view(&n->plan.later); rest.n > 0;) {
        sv one = sv_cut(&rest, '\n');
        log_warn("reload: %.*s cannot change while the gateway runs; it counts from the next start on", SV_ARG(one));
    }
}

void reload_run(struct sup *s, const struct reload *r, struct buf *json)
{
    struct candidate n = {0};

    if (!prepare(s, r, &n)) {
        log_error("%s: nothing changed: %.*s", r->dry ? "plan" : "reload", SV_ARG(sv_trim(buf_view(&n.cfg.errors))));
        say_refused(&n, json);
    } else {
        say_plan(r->dry ? s->rev : s->rev + 1, &n, json);
        if (!r->dry) {
            log_info("reload: %zu step%s", n.plan.n, n.plan.n == 1 ? "" : "s");
            note_later(&n);
            apply(s, &n);
        }
    }
    drop(s, &n);
}

/* ---- what follows, turn by turn --------------------------------------------------------------------------- */

/* One of this kind is between two incarnations: the others wait, so that somebody always works. */
static bool kind_is_rolling(const struct sup *s, const struct child *next)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        bool mine = c != next && c->kind == next->kind && !c->leaving && !c->held && !c->restart_due;
        if (mine && c->touched == s->rev && c->life.state != LS_READY) {
            return true;
        }
    }
    return false;
}

static void roll(struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->restart_due && (c->kind->instances != WI_COUNT || !kind_is_rolling(s, c))) {
            c->restart_due = false;
            child_renew(c);
        }
    }
}

static void farewells(struct sup *s)
{
    for (size_t i = s->child_n; i-- > 0;) {
        struct child *c = s->children[i];
        if (c->leaving && c->life.state == LS_IDLE) {
            log_debug("%s: gone", c->name);
            child_remove(c);
        }
    }
}

void reload_turn(struct sup *s)
{
    overlap_turn(s);
    roll(s);
    farewells(s);
}

bool reload_settled(const struct child *c)
{
    if (c->leaving) {
        return c->life.state == LS_IDLE;
    }
    bool stays_down = c->held && c->life.state == LS_IDLE;
    return !c->restart_due && c->pushed == 0 && c->replaces == NULL && (c->life.state == LS_READY || stays_down);
}
