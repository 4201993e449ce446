/*
 * peers.c: tells store and bus which processes may speak to them.
 * Runs in: supervisor.     Owns: nothing; the live workers and attached clients are the registry.
 * Never: announces a process that has not been started by us or shown its credentials to us.
 * Tested in: tests/scn/f1-kill.test.mjs
 */
#include <string.h>

#include "supervisor/sup.h"

static bool is_hub(const struct child *c)
{
    return c->kind->id == WK_store || c->kind->id == WK_bus;
}

static void tell(struct child *hub, bool up, const char *name, uint64_t inc, pid_t pid)
{
    struct ctl_packet p = {.type = up ? CTL_PEER_UP : CTL_PEER_GONE, .pid = (int32_t)pid, .num = inc};

    if (sv_copy(p.name, sizeof p.name, sv_of(name))) {
        ctlchan_send(hub, &p);
    }
}

void peers_announce(struct sup *s, bool up, const char *name, uint64_t inc, pid_t pid)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (is_hub(s->children[i]) && s->children[i]->pid != 0) {
            tell(s->children[i], up, name, inc, pid);
        }
    }
}

void peers_replay(struct child *hub)
{
    struct sup *s = hub->sup;

    if (!is_hub(hub)) {
        return;
    }
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        if (c->pid != 0 && !c->exiting && c->kind->planes == WP_BOTH) {
            tell(hub, true, c->peer, c->inc, c->pid);
        }
    }
    for (size_t i = 0; i < SUP_MAX_CLIENTS; i++) {
        const struct client *cl = &s->clients[i];
        if (cl->fd >= 0 && cl->name[0] != '\0') {
            tell(hub, true, cl->name, cl->inc, cl->pid);
        }
    }
}
