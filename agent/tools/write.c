/*
 * write.c: the tool that writes a text file of the workspace, whole (agent-runtime.md 8.2).
 * Runs in: agent.     Owns: nothing.
 * Never: leaves half a file; writes outside the workspace.
 * Tested in: tests/unit/agent/test_files.c; scenario p1
 */
#include <stdio.h>

#include "agent/tools/tool.h"
#include "agent/tools/workspace.h"
#include "common/err.h"

static void start(struct tool_run *t)
{
    char text[400];
    bool same = false;
    sv content = json_sv(t->args, "content"), path = json_sv(t->args, "path");
    int rc = workspace_write(t->env->workspace, path, content, &same, text, sizeof text);
    if (rc == OK) {
        (void)snprintf(text, sizeof text, "%s %.*s (%zu bytes).", same ? "Unchanged:" : "Written:",
                       SV_ARG(sv_sub(path, 0, 200)), content.n);
    }
    t->done(t->ctx, t, sv_of(text), rc != OK);
}

const struct tool_ops tool_write = {.start = start};
