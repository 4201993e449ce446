/*
 * session_status.c: the tool that tells where the conversation stands.
 * Runs in: agent.     Owns: nothing.
 * Never: reads other sessions.
 * Tested in: tests/unit/agent/test_tools.c
 */
#include "agent/tools/tool.h"
#include "common/tz.h"
#include "common/clock.h"

static void start(struct tool_run *t)
{
    const struct tool_env *e = t->env;
    struct buf out = BUF_INIT(4096);
    buf_printf(&out, "session: %.*s\nsession id: %.*s\nagent: %.*s\n", SV_ARG(e->session_key),
               SV_ARG(e->session_id), SV_ARG(e->agent_id));
    if (e->channel.n > 0) {
        buf_printf(&out, "channel: %.*s\n", SV_ARG(e->channel));
    }
    buf_printf(&out, "model: %s/%s\n", e->provider, e->model);
    if (e->window > 0) {
        buf_printf(&out, "context window: %llu tokens\n", (unsigned long long)e->window);
    }
    buf_printf(&out, "transcript rows in view: %llu\ntokens of this run so far: %llu in, %llu out\n",
               (unsigned long long)e->rows, (unsigned long long)e->in_tokens, (unsigned long long)e->out_tokens);
    int64_t now = clock_real_ms();
    buf_printf(&out, "this run started %lld s ago\n", (long long)((now - e->started_ms) / 1000));
    const struct tz *z = tz_get(sv_of(e->zone));
    if (z) {
        struct tz_time l;
        tz_local(z, now / 1000, &l);
        buf_printf(&out, "local time: %s %04d-%02d-%02d %02d:%02d:%02d %s\n", tz_weekday(l.weekday), l.year,
                   l.month, l.day, l.hour, l.minute, l.second, e->zone);
    }
    buf_printf(&out, "gateway: tenaza %s", TENAZA_VERSION);
    t->done(t->ctx, t, buf_view(&out), false);
    buf_free(&out);
}

const struct tool_ops tool_session_status = {.start = start};
