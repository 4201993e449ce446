/*
 * registry.c: the table of tools.
 * Runs in: agent.     Owns: the table.
 * Never: runs a tool.
 * Tested in: tests/unit/agent/test_tools.c
 */
#include "agent/tools/tool.h"

#include <stdio.h>

#define TOOL(name, group, replay, result_max, description, schema) extern const struct tool_ops tool_##name;
#include "agent/tools/tools.def"
#undef TOOL

static const struct tool table[] = {
#define TOOL(name, group, replay, result_max, description, schema)                                 \
    {#name, description, schema, GROUP_##group, REPLAY_##replay, result_max, &tool_##name},
#include "agent/tools/tools.def"
#undef TOOL
};

size_t tool_count(void)
{
    return ARRAY_LEN(table);
}

const struct tool *tool_at(size_t i)
{
    return &table[i];
}

const struct tool *tool_find(sv name)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (sv_eqc(name, table[i].name)) { /* names are case-sensitive, as the prompt says */
            return &table[i];
        }
    }
    return NULL;
}

const char *tool_group_name(enum tool_group g)
{
    static const char *const names[] = {
        [GROUP_SESSION] = "group:session", [GROUP_FS] = "group:fs", [GROUP_MESSAGING] = "group:messaging"};
    return names[g];
}

void tool_unknown(sv name, char *dst, size_t cap)
{
    int n = snprintf(dst, cap, "There is no tool named \"%.*s\". The tools are:", SV_ARG(sv_sub(name, 0, 64)));
    for (size_t i = 0; i < ARRAY_LEN(table) && n > 0 && (size_t)n < cap; i++) {
        n += snprintf(dst + n, cap - (size_t)n, "%s %s", i ? "," : "", table[i].name);
    }
}
