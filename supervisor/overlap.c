/*
 * overlap.c: two incarnations of one worker for a while: the new one starts, the old one serves until it is ready, then
 *            drains. For the edge, so that an upgrade of it or a changed setting cuts nobody off.
 * Runs in: supervisor.     Owns: nothing.
 * Never: does this to a kind that holds a credential (column overlap of workers.def).
 * Tested in: tests/scn/h3-edge.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "supervisor/sup.h"

/* Old incarnations that may drain at the same time; the oldest gives way. */
#define OLD_MAX 3

static struct child *successor_of(const struct child *c)
{
    for (size_t i = 0; i < c->sup->child_n; i++) {
        if (c->sup->children[i]->replaces == c) {
            return c->sup->children[i];
        }
    }
    return NULL;
}

static bool peer_taken(const struct sup *s, const char *peer)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (strcmp(s->children[i]->peer, peer) == 0) {
            return true;
        }
    }
    return false;
}

/* Store and bus know one process a name. */
static void choose_peer(const struct sup *s, char *dst, size_t cap, const char *name)
{
    snprintf(dst, cap, "%s", name);
    for (unsigned i = 2; peer_taken(s, dst); i++) {
        snprintf(dst, cap, "%s.%u", name, i);
    }
}

void child_renew(struct child *c)
{
    struct sup *s = c->sup;
    struct child *next = successor_of(c);
    struct cfg_worker w = {.kind = c->kind->id, .account = c->account};
    char peer[sizeof c->peer];

    if (next != NULL) {
        life_event(&next->life, LE_RESTART);
        return;
    }
    if (c->kind->overlap_ms == 0 || c->life.state != LS_READY || s->stopping || s->child_n == SUP_MAX_CHILDREN) {
        life_event(&c->life, LE_RESTART);
        return;
    }
    sv_copy(w.name, sizeof w.name, sv_of(c->name));
    choose_peer(s, peer, sizeof peer, c->name);
    next = child_add(s, &w);
    memcpy(next->peer, peer, sizeof peer);
    next->replaces = c;
    next->touched = c->touched;
    next->spawns = c->spawns;
    log_info("%s: starting a successor; pid %d serves until it is ready", c->name, (int)c->pid);
    life_event(&next->life, LE_START);
}

static void swap_places(struct sup *s, struct child *a, struct child *b)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (s->children[i] == a) {
            s->children[i] = b;
        } else if (s->children[i] == b) {
            s->children[i] = a;
        }
    }
}

static void limit_old(struct sup *s, const struct child *now)
{
    struct child *oldest = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->handover && strcmp(c->name, now->name) == 0) {
            n++;
            oldest = oldest == NULL || c->inc < oldest->inc ? c : oldest;
        }
    }
    if (n > OLD_MAX) {
        log_warn("%s: %u old incarnations still drain; ending the oldest, pid %d", now->name, n, (int)oldest->pid);
        life_event(&oldest->life, LE_KILL);
    }
}

/* `next` is the worker now; the old one goes. */
static void hand_over(struct sup *s, struct child *next)
{
    struct child *old = next->replaces;

    next->replaces = NULL;
    swap_places(s, old, next); /* who looks for the name finds the new one */
    old->leaving = true;
    old->handover = true;
    old->life.stop_ms = old->kind->overlap_ms;
    log_info("%s: pid %d took over, pid %d drains", next->name, (int)next->pid, (int)old->pid);
    life_event(&old->life, LE_STOP);
    limit_old(s, next);
}

/* The old one goes on as if nothing had been tried. */
static void give_up(struct child *next)
{
    struct child *old = next->replaces;

    snprintf(old->alarm, sizeof old->alarm, "a successor did not start (%.300s); this one goes on as it was", next->last_exit);
    log_error("%s: %s", old->name, old->alarm);
    next->replaces = NULL;
    next->leaving = true;
    life_event(&next->life, LE_STOP);
}

void overlap_turn(struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->replaces == NULL) {
            continue;
        }
        bool failed = c->life.state == LS_PARKED || c->life.state == LS_NEEDS_OPERATOR;
        if (c->life.state == LS_READY || c->replaces->life.state != LS_READY) {
            hand_over(s, c);
        } else if (failed) {
            give_up(c);
        }
    }
}
