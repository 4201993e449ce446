/*
 * status.c: the state of everything as one JSON object, for `tenaza status`.
 * Runs in: supervisor.     Owns: nothing.
 * Never: includes a secret; needs anything of a worker at the moment of asking.
 * Tested in: tests/scn/a1-first-reply.test.mjs
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/sup.h"
#include "supervisor/usage.h"

static void put_str(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "\"%s\":", key);
    buf_json_str(out, sv_of(value));
    buf_ch(out, ',');
}

static void put_child(struct buf *out, const struct child *c, int64_t now)
{
    struct usage u = usage_of(c->pid);
    if (u.rss_kb == 0 && c->pid != 0) { /* hidden from us: what it said itself */
        u = (struct usage){c->beat_rss_kb, c->beat_cpu_ms};
    }
    bool up = c->life.state == LS_READY;
    bool waits = c->life.state == LS_BACKOFF || c->life.state == LS_PARKED;

    buf_ch(out, '{');
    put_str(out, "name", c->name);
    put_str(out, "kind", c->kind->name);
    put_str(out, "state", life_state_text(c->life.state));
    put_str(out, "status", c->status);
    put_str(out, "alarm", c->alarm);
    put_str(out, "lastExit", c->last_exit);
    security_json(c, out);
    buf_ch(out, ',');
    buf_printf(out, "\"leaving\":%s,\"successor\":%s,\"settled\":%s,", c->leaving ? "true" : "false",
               c->replaces ? "true" : "false", reload_settled(c) ? "true" : "false");
    buf_printf(out,
               "\"pid\":%d,\"inc\":%" PRIu64 ",\"restarts\":%u,\"upMs\":%" PRId64 ",\"rssKb\":%" PRIu64
               ",\"cpuMs\":%" PRIu64 ",\"lagMs\":%" PRIu64 ",\"nextTryMs\":%" PRId64 "}",
               (int)c->pid, c->inc, c->restarts, up ? now - c->ready_ms : 0, u.rss_kb, u.cpu_ms, c->lag_ms,
               waits && c->next_try_ms > now ? c->next_try_ms - now : 0);
}

static bool is_degraded(const struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        /* Two incarnations during a handover are no fault: the one in charge counts. */
        if (!c->leaving && c->replaces == NULL && c->life.state != LS_READY) {
            return true;
        }
    }
    return false;
}

void status_json(struct sup *s, struct buf *out)
{
    int64_t now = clock_mono_ms();
    char started[CLOCK_ISO_LEN];

    clock_iso(clock_real_ms() - (now - s->begun_ms), started);
    buf_str(out, "{\"ok\":true,");
    put_str(out, "version", TENAZA_VERSION);
    put_str(out, "url", s->url);
    put_str(out, "configPath", s->config_file);
    put_str(out, "stateDir", s->state_dir);
    put_str(out, "runDir", s->run_dir);
    put_str(out, "startedAt", started);
    put_str(out, "logLevel", s->log_level);
    buf_printf(out, "\"configRev\":%" PRIu64 ",", s->rev);
    struct usage own = usage_of(getpid());
    buf_printf(out,
               "\"pid\":%d,\"upMs\":%" PRId64 ",\"rssKb\":%" PRIu64 ",\"cpuMs\":%" PRIu64
               ",\"ready\":%s,\"degraded\":%s,\"stopping\":%s,\"workers\":[",
               (int)getpid(), now - s->begun_ms, own.rss_kb, own.cpu_ms, sup_all_ready(s) ? "true" : "false",
               is_degraded(s) ? "true" : "false", s->stopping ? "true" : "false");
    for (size_t i = 0; i < s->child_n; i++) {
        if (i > 0) {
            buf_ch(out, ',');
        }
        put_child(out, s->children[i], now);
    }
    buf_str(out, "]}");
}
