/*
 * security.c: the walls around each worker as the supervisor knows them: what it did itself, and what the worker said.
 * Runs in: supervisor.     Owns: nothing.
 * Never: calls a wall standing that nobody reported.
 * Tested in: tests/scn/s1-walls.test.mjs
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "supervisor/sup.h"

enum wall {
#define WALL(NAME, word, holds, lost) WALL_##NAME,
#include "workers/runtime/walls.def"
#undef WALL
};

static const char *const walls[] = {
#define WALL(NAME, word, holds, lost) word,
#include "workers/runtime/walls.def"
#undef WALL
};

static size_t instances_of(const struct sup *s, enum worker_id kind)
{
    size_t n = 0;

    for (size_t i = 0; i < s->child_n; i++) {
        n += s->children[i]->kind->id == kind;
    }
    return n;
}

void security_prepare(struct child *c, struct confined *d)
{
    const struct sup *s = c->sup;

    fd_close(&c->security.group); /* of the incarnation before */
    confine_prepare(&s->confine, &s->cfg, c->kind->id, instances_of(s, c->kind->id), d);
    confine_group(&s->confine, &s->cfg, c->kind->id, c->name, c->inc, d);
    c->security = (struct security){.group = d->group, .limits = d->limits, .uid = d->own_user ? d->uid : geteuid()};
}

void security_told(struct child *c, const struct ctl_packet *p)
{
    c->security.told = true;
    c->security.bits = p->num;
    sv_copy(c->security.why, sizeof c->security.why, sv_mem(p->text, strnlen(p->text, sizeof c->security.why - 1)));
}

void security_ended(struct child *c)
{
    cgroup_kill(c->security.group);
    cgroup_remove(&c->sup->confine.groups, c->name, c->inc);
    c->security.told = false;
}

bool security_is_worker(const struct sup *s, pid_t pid)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (s->children[i]->pid == pid) {
            return true;
        }
    }
    return false;
}

/* ---- report ---------------------------------------------------------------------------------------------- */

/* Those that the worker cannot see: whether the group it is in limits anything. */
static void add_limits(const struct child *c, uint32_t *wanted, uint32_t *held)
{
    bool own_user = c->sup->confine.own_users;

    *wanted |= 1u << WALL_MEMORY | 1u << WALL_PROCESSES;
    *held |= c->security.limits & CG_MEMORY ? 1u << WALL_MEMORY : 0;
    *held |= (c->security.limits & CG_PIDS) || own_user ? 1u << WALL_PROCESSES : 0;
}

static void put_list(struct buf *out, const char *key, uint32_t bits)
{
    bool first = true;

    buf_printf(out, "\"%s\":[", key);
    for (size_t i = 0; i < ARRAY_LEN(walls); i++) {
        if (bits & (1u << i)) {
            buf_printf(out, "%s\"%s\"", first ? "" : ",", walls[i]);
            first = false;
        }
    }
    buf_str(out, "],");
}

static void add_why(struct buf *why, const char *text)
{
    if (text[0] != '\0') {
        buf_printf(why, "%s%s", why->n > 0 ? "; " : "", text);
    }
}

void security_json(const struct child *c, struct buf *out)
{
    struct buf why = BUF_INIT(1024);
    uint32_t held = (uint32_t)c->security.bits;
    uint32_t wanted = (uint32_t)(c->security.bits >> 32);

    if (!c->security.told) {
        buf_str(out, "\"security\":null");
        return;
    }
    add_limits(c, &wanted, &held);
    add_why(&why, c->security.why);
    add_why(&why, c->sup->confine.why);
    add_why(&why, c->sup->confine.groups.why);
    buf_printf(out, "\"security\":{\"uid\":%u,", (unsigned)c->security.uid);
    put_list(out, "holds", held & wanted);
    put_list(out, "lost", wanted & ~held);
    buf_str(out, "\"why\":");
    buf_json_str(out, sv_of(buf_cstr(&why)));
    buf_ch(out, '}');
    buf_free(&why);
}
