/*
 * offer.c: which tools a conversation is offered (agent-runtime.md 8.3, as far as there are layers yet).
 * Runs in: agent.     Owns: nothing.
 * Never: lets a tool run that was not offered.
 * Tested in: tests/unit/agent/test_run.c
 */
#include "agent/agent.h"
#include "agent/prompt.h"
#include "common/err.h"

bool offer_denied(const struct conf *c, const struct tool *t)
{
    const struct conf_item *it = conf_find(c, "tools.deny");
    for (size_t i = 0; it && it->kind == CONF_LIST && i < it->list_n; i++) {
        sv word = sv_of(it->list[i]);
        if (sv_eq_nocase(word, sv_of(t->name)) || sv_eq_nocase(word, sv_of(tool_group_name(t->group)))) {
            return true;
        }
    }
    return false;
}

void offer_tools(struct run *r)
{
    bool group = prompt_is_group(r->g.session_key);
    ASSERT(tool_count() <= 64);
    for (size_t i = 0; i < tool_count(); i++) {
        const struct tool *t = tool_at(i);
        if ((group && t->group == GROUP_FS) || offer_denied(r->agent->conf, t)) {
            r->hidden_tools |= 1ull << i;
        }
    }
}

void offer_list(const struct conf *c, struct buf *dst)
{
    for (size_t i = 0; i < tool_count(); i++) {
        const struct tool *t = tool_at(i);
        if (!offer_denied(c, t)) {
            buf_printf(dst, "%s\t%s\n", t->name, t->description);
        }
    }
}

bool offer_has(const struct run *r, const struct tool *t)
{
    return (r->hidden_tools >> (size_t)(t - tool_at(0)) & 1) == 0;
}
