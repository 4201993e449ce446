/*
 * read.c: the tool that reads a text file of the workspace (agent-runtime.md 8.2).
 * Runs in: agent.     Owns: nothing.
 * Never: reads outside the workspace.
 * Tested in: tests/unit/agent/test_files.c
 */
#include "agent/tools/tool.h"
#include "agent/tools/workspace.h"
#include "common/err.h"
#include "common/text.h"

#define FILE_MAX ((size_t)4 * 1024 * 1024)
#define LINES_MAX 2000
#define BYTES_MAX 51200

/* The lines from `first` on (1-based), at most `limit`; *next: line after the last one, 0: the file ends there. */
static sv pick(sv all, int64_t first, int64_t limit, int64_t *next)
{
    sv rest = all;
    for (int64_t i = 1; i < first && rest.n > 0; i++) {
        (void)sv_cut(&rest, '\n');
    }
    sv from = rest;
    int64_t n = 0;
    while (n < limit && rest.n > 0) {
        sv before = rest;
        sv line = sv_cut(&rest, '\n');
        if (n > 0 && (size_t)(line.p - from.p) + line.n > BYTES_MAX) {
            rest = before;
            break;
        }
        n++;
    }
    *next = rest.n > 0 ? first + n : 0;
    return sv_sub(from, 0, from.n - rest.n);
}

static void start(struct tool_run *t)
{
    struct buf file ATTR_CLEANUP(buf_free) = BUF_INIT(FILE_MAX);
    struct buf out ATTR_CLEANUP(buf_free) = BUF_INIT(FILE_MAX + 1000);
    char why[300] = "";
    int64_t first = json_i64(t->args, "offset", 1), limit = json_i64(t->args, "limit", LINES_MAX), next = 0;
    int rc = workspace_read(t->env->workspace, json_sv(t->args, "path"), &file, why, sizeof why);
    if (rc != OK) {
        t->done(t->ctx, t, sv_of(why), true);
        return;
    }
    if (!utf8_valid(buf_view(&file))) {
        t->done(t->ctx, t, SV("That file is not UTF-8 text."), true);
        return;
    }
    limit = limit < 1 || limit > LINES_MAX ? LINES_MAX : limit;
    sv text = pick(buf_view(&file), first < 1 ? 1 : first, limit, &next);
    buf_sv(&out, sv_sub(text, 0, text.n > BYTES_MAX ? utf8_cut(text, BYTES_MAX) : text.n));
    if (text.n == 0) {
        buf_str(&out, file.n == 0 ? "(the file is empty)" : "(the file has fewer lines)");
    }
    if (next > 0 || text.n > BYTES_MAX) {
        buf_printf(&out, "\n[There is more; go on with offset %lld.]", (long long)(next > 0 ? next : first + 1));
    }
    t->done(t->ctx, t, buf_view(&out), false);
}

const struct tool_ops tool_read = {.start = start};
