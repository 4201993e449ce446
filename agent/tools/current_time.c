/*
 * current_time.c: the tool that tells the time.
 * Runs in: agent.     Owns: nothing.
 * Never: changes the time zone of the process.
 * Tested in: tests/unit/agent/test_tools.c
 */
#include "agent/tools/tool.h"
#include "common/tz.h"
#include "common/clock.h"

static void start(struct tool_run *t)
{
    sv name = json_sv(t->args, "timezone");
    if (name.n == 0) {
        name = sv_of(t->env->zone);
    }
    struct buf out = BUF_INIT(1024);
    const struct tz *z = tz_get(name);
    if (!z) {
        buf_printf(&out, "There is no time zone \"%.*s\". Use an IANA name such as Europe/Madrid or UTC.",
                   SV_ARG(sv_sub(name, 0, 64)));
    } else {
        struct tz_time l;
        int64_t now = clock_real_ms() / 1000;
        tz_local(z, now, &l);
        int off = l.offset_s < 0 ? -l.offset_s : l.offset_s;
        buf_printf(&out, "%s %04d-%02d-%02d %02d:%02d:%02d %s (%.*s, UTC%c%02d:%02d, unix time %lld)",
                   tz_weekday(l.weekday), l.year, l.month, l.day, l.hour, l.minute, l.second, l.abbr,
                   SV_ARG(name), l.offset_s < 0 ? '-' : '+', off / 3600, off / 60 % 60, (long long)now);
    }
    t->done(t->ctx, t, buf_view(&out), z == NULL);
    buf_free(&out);
}

const struct tool_ops tool_current_time = {.start = start};
