/*
 * gate.c: see gate.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: lets a message through because something is missing in the configuration.
 * Tested in: tests/unit/chan/test_gate.c
 */
#include "workers/chan/gate.h"

#include "common/attrs.h"

static bool listed(const struct gate_list *l, gate_match_fn *match, const void *ctx, sv id)
{
    for (size_t i = 0; i < l->n; i++) {
        sv entry = sv_of(l->v[i]);
        if (sv_eq(entry, SV("*"))) {
            return true;
        }
        if (sv_empty(entry) || sv_empty(id)) {
            continue;
        }
        if (match ? match(ctx, entry, id) : sv_eq(entry, id)) {
            return true;
        }
    }
    return false;
}

static bool star(const struct gate_list *l)
{
    return listed(l, NULL, NULL, SV_NULL);
}

static enum gate_verdict decide_direct(const struct gate_policy *p, const struct gate_input *in,
                                       const char **why)
{
    bool known = listed(&p->allow_from, p->match_sender, p->match_ctx, in->sender_id);
    switch (p->dm) {
    case DM_DISABLED:
        *why = "direct messages are disabled";
        return GATE_DROP;
    case DM_OPEN:
        *why = known ? "dmPolicy open" : "dmPolicy open needs \"*\" in allowFrom";
        return known ? GATE_ALLOW : GATE_DROP;
    case DM_ALLOWLIST:
        *why = known ? "sender is in allowFrom" : "sender is not in allowFrom";
        return known ? GATE_ALLOW : GATE_DROP;
    case DM_PAIRING:
        /* "*" beside pairing would make the code pointless by accident: it needs dmPolicy open. */
        if (known && !star(&p->allow_from)) {
            *why = "sender is in allowFrom";
            return GATE_ALLOW;
        }
        *why = "the pairing table decides";
        return GATE_PAIR;
    }
    *why = "unknown policy";
    return GATE_DROP;
}

static enum gate_verdict decide_group(const struct gate_policy *p, const struct gate_input *in,
                                      const char **why)
{
    if (p->group == GROUP_DISABLED) {
        *why = "groups are disabled";
        return GATE_DROP;
    }
    if (p->groups.n > 0 && !listed(&p->groups, p->match_group, p->match_ctx, in->chat_id)) {
        *why = "the group is not in groups";
        return GATE_DROP;
    }
    if (p->group == GROUP_ALLOWLIST) {
        const struct gate_list *senders = p->group_allow_from.n ? &p->group_allow_from : &p->allow_from;
        if (!listed(senders, p->match_sender, p->match_ctx, in->sender_id)) {
            *why = "groupPolicy allowlist: sender is not in groupAllowFrom";
            return GATE_DROP;
        }
    }
    if (p->require_mention && p->can_mention && !in->addressed && !in->command) {
        *why = "not addressed";
        return GATE_CONTEXT;
    }
    *why = "addressed";
    return GATE_ALLOW;
}

enum gate_verdict gate_decide(const struct gate_policy *p, const struct gate_input *in, const char **why)
{
    if (in->self) {
        *why = "written by ourselves";
        return GATE_DROP;
    }
    if (in->bot) {
        *why = "written by a bot";
        return GATE_DROP;
    }
    enum gate_verdict v = in->direct ? decide_direct(p, in, why) : decide_group(p, in, why);
    if (v >= GATE_PAIR && p->max_age_ms > 0 && in->age_ms > p->max_age_ms) {
        *why = "too old for a live message";
        return in->direct ? GATE_DROP : GATE_CONTEXT;
    }
    return v;
}

enum dm_policy gate_dm_policy(const char *name)
{
    static const char *const names[] = {"pairing", "allowlist", "open", "disabled"};
    for (size_t i = 0; name && i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum dm_policy)i;
        }
    }
    return DM_PAIRING;
}

enum group_policy gate_group_policy(const char *name)
{
    static const char *const names[] = {"allowlist", "open", "disabled"};
    for (size_t i = 0; name && i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum group_policy)i;
        }
    }
    return GROUP_ALLOWLIST;
}
