/*
 * conf_plan.c: what a reload has to do.
 * Runs in: supervisor.     Owns: nothing after it returns.
 * Never: does a step, looks at what runs, names a value.
 * Tested in: tests/unit/supervisor/test_conf_plan.c
 */
#include "supervisor/conf_plan.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

/* What stands in sections without being a setting (conf_section.c), and is taken by a running worker. */
static const char *const live_extras[] = {"log.level", "channels.list"};

const char *plan_action_name(enum plan_action a)
{
    static const char *const names[] = {"start", "stop", "restart", "push"};

    return names[a];
}

void plan_side_make(struct plan_side *s, const struct cfg *c, const struct cfg_place *place)
{
    struct cfg_worker id;

    *s = (struct plan_side){0};
    for (size_t i = 0; cfg_worker_at(c, i, &id); i++) {
        s->w = xrealloc(s->w, (s->n + 1) * sizeof *s->w);
        struct plan_worker *w = &s->w[s->n++];
        *w = (struct plan_worker){.id = id};
        cfg_section(c, id.kind, id.kind == WK_channel ? &id.account : NULL, place, &w->section);
    }
}

void plan_side_free(struct plan_side *s)
{
    for (size_t i = 0; i < s->n; i++) {
        conf_free(&s->w[i].section);
    }
    xfree(s->w);
    *s = (struct plan_side){0};
}

static const struct plan_worker *side_find(const struct plan_side *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->w[i].id.name, name) == 0) {
            return &s->w[i];
        }
    }
    return NULL;
}

/* ---- what changed in a section ------------------------------------------------------------------------- */

/* Whether their canonical bytes are equal, without making them: those would be further copies of secrets. */
static bool same_bytes(const struct conf *a, const struct conf *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; same && i < a->n; i++) {
        same = strcmp(a->items[i].path, b->items[i].path) == 0 && conf_same_at(a, b, a->items[i].path);
    }
    return same;
}

/* A key of a section as a path of the configuration: those of a channel worker are relative to its account. */
static bool key_is_live(const struct cfg_worker *id, const char *key)
{
    char path[512];

    for (size_t i = 0; i < ARRAY_LEN(live_extras); i++) {
        if (strcmp(key, live_extras[i]) == 0) {
            return true;
        }
    }
    if (id->kind == WK_channel) {
        snprintf(path, sizeof path, "channels.%s.accounts.%s.%s", id->account.channel, id->account.account, key);
    } else {
        snprintf(path, sizeof path, "%s", key);
    }
    const struct conf_row *row = conf_row_find(path);
    return row != NULL && (row->flags & CF_LIVE) != 0;
}

struct difference {
    const struct cfg_worker *id;
    bool live; /* so far */
    char *why;
    size_t cap;
};

static void note_key(struct difference *d, const char *key)
{
    size_t n = strlen(d->why);

    d->live = d->live && key_is_live(d->id, key);
    if (n > 0 && d->why[n - 1] == '.') {
        return; /* already cut */
    }
    bool fits = n + strlen(key) + strlen(", , ...") < d->cap;
    snprintf(d->why + n, d->cap - n, "%s%s", n ? ", " : "", fits ? key : "...");
}

/* Names what differs; true: a running worker takes all of it. */
static bool compare(const struct conf *was, const struct conf *wanted, struct difference *d)
{
    for (size_t i = 0; i < was->n; i++) {
        if (!conf_same_at(was, wanted, was->items[i].path)) {
            note_key(d, was->items[i].path);
        }
    }
    for (size_t i = 0; i < wanted->n; i++) {
        if (conf_find(was, wanted->items[i].path) == NULL) {
            note_key(d, wanted->items[i].path);
        }
    }
    return d->live;
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

static struct plan_step *add_step(struct plan *p, enum plan_action action, const struct cfg_worker *w)
{
    p->steps = xrealloc(p->steps, (p->n + 1) * sizeof *p->steps);
    struct plan_step *step = &p->steps[p->n++];
    *step = (struct plan_step){.action = action, .worker = *w};
    return step;
}

void plan_make(const struct plan_side *was, const struct plan_side *wanted, struct plan *out)
{
    *out = (struct plan){.later = BUF_INIT((size_t)64 * 1024)};
    /* First what goes: its credential may be wanted under another name. */
    for (size_t i = 0; i < was->n; i++) {
        if (side_find(wanted, was->w[i].id.name) == NULL) {
            add_step(out, PLAN_STOP, &was->w[i].id);
        }
    }
    for (size_t i = 0; i < wanted->n; i++) {
        const struct plan_worker *w = &wanted->w[i];
        const struct plan_worker *old = side_find(was, w->id.name);
        if (old == NULL) {
            add_step(out, PLAN_START, &w->id);
        } else if (!same_bytes(&old->section, &w->section)) {
            struct plan_step *step = add_step(out, PLAN_RESTART, &w->id);
            struct difference d = {.id = &w->id, .live = true, .why = step->why, .cap = sizeof step->why};
            step->action = compare(&old->section, &w->section, &d) ? PLAN_PUSH : PLAN_RESTART;
        }
    }
}

static bool same_value(const struct cfg *a, const struct cfg *b, const char *path)
{
    struct cfg_value s1;
    struct cfg_value s2;
    const struct cfg_value *x = cfg_get(a, path, &s1);
    const struct cfg_value *y = cfg_get(b, path, &s2);

    if (x == NULL || y == NULL) {
        return x == y;
    }
    return x->i == y->i && (x->s == NULL) == (y->s == NULL) && (x->s == NULL || strcmp(x->s, y->s) == 0);
}

void plan_note_later(const struct cfg *was, const struct cfg *wanted, struct plan *out)
{
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        bool own = row->kinds == K_SUP && (row->flags & CF_RESTART) != 0 && strchr(row->path, '*') == NULL;
        if (own && !same_value(was, wanted, row->path)) {
            buf_printf(&out->later, "%s\n", row->path);
        }
    }
}

void plan_free(struct plan *p)
{
    xfree(p->steps);
    buf_free(&p->later);
    *p = (struct plan){0};
}
