/*
 * top_frame.c: one frame of `tenaza top`.
 * Runs in: command line.     Owns: nothing.
 * Never: prints more columns than there are; shows a rate without two samples.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "supervisor/cli/top.h"

static const json_t *worker_of(const json_t *answer, const char *name)
{
    const json_t *list = json_at(answer, "status.workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (sv_eqc(json_sv(json_array_get(list, i), "name"), name)) {
            return json_array_get(list, i);
        }
    }
    return NULL;
}

static int64_t count(const json_t *answer, const char *worker, const char *counter)
{
    const json_t *c = answer ? stats_of(answer, worker) : NULL;
    return c ? json_i64(c, counter, 0) : 0;
}

/* Per second since the frame before. */
static double rate(const struct top *t, const char *worker, const char *counter)
{
    int64_t d = count(t->now, worker, counter) - count(t->before, worker, counter);
    return t->before && t->seconds > 0 && d > 0 ? (double)d / t->seconds : 0;
}

static double cpu_percent(const struct top *t, const char *name)
{
    const json_t *a = t->before ? worker_of(t->before, name) : NULL, *b = worker_of(t->now, name);
    if (!a || !b || json_i64(a, "pid", 0) != json_i64(b, "pid", 0) || t->seconds <= 0) {
        return 0;
    }
    return (double)(json_i64(b, "cpuMs", 0) - json_i64(a, "cpuMs", 0)) / t->seconds / 10;
}

size_t top_visible(const struct top *t, const char **names, size_t max)
{
    const json_t *list = json_at(t->now, "status.workers");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (name && strstr(name, t->filter)) {
            names[n++] = name;
        }
    }
    return n;
}

/* ---- lines ---------------------------------------------------------------------------------------------- */

/* Cuts to the width and ends the line; control characters of others become blanks. */
static void put_line(const struct top *t, struct buf *out, bool inverse, sv text)
{
    size_t used = 0, at = 0;
    (void)buf_str(out, inverse ? "\x1b[7m" : "");
    while (at < text.n && used < (size_t)t->columns) {
        uint32_t cp;
        size_t n = utf8_decode(sv_sub(text, at, text.n), &cp);
        n = n == 0 ? 1 : n;
        unsigned char first = (unsigned char)text.p[at];
        if (first < 0x20 || first == 0x7f || (n == 1 && first > 0x7f)) {
            (void)buf_ch(out, ' ');
        } else {
            (void)buf_sv(out, sv_sub(text, at, n));
        }
        at += n;
        used++;
    }
    (void)buf_str(out, inverse ? "\x1b[0m\n" : "\n");
}

/* What a worker of this kind works on. */
static void put_work(const struct top *t, struct buf *b, const char *name, sv kind)
{
    if (sv_eqc(kind, "store")) {
        (void)buf_printf(b, "%lld queued %lld running, %lld to deliver, %.0f req/s",
                         (long long)count(t->now, name, "runs_queued"), (long long)count(t->now, name, "runs_running"),
                         (long long)count(t->now, name, "out_queued"), rate(t, name, "store_requests"));
    } else if (sv_eqc(kind, "bus")) {
        (void)buf_printf(b, "%lld peers, %.0f msg/s, %lld dropped", (long long)count(t->now, name, "bus_peers"),
                         rate(t, name, "bus_messages"), (long long)count(t->now, name, "bus_dropped"));
    } else if (sv_eqc(kind, "edge")) {
        (void)buf_printf(b, "%lld conn, %lld clients, %.1f kB/s in, %.1f kB/s out",
                         (long long)count(t->now, name, "edge_connections"), (long long)count(t->now, name, "edge_clients"),
                         rate(t, name, "ws_in") / 1000, rate(t, name, "ws_out") / 1000);
    } else if (sv_eqc(kind, "agent")) {
        (void)buf_printf(b, "%lld runs, %.1f model calls/s, %.0f tokens/s", (long long)count(t->now, name, "agent_runs"),
                         rate(t, name, "model_calls_ok") + rate(t, name, "model_calls_error"), rate(t, name, "tokens_out"));
    } else if (sv_eqc(kind, "channel")) {
        (void)buf_printf(b, "%lld in, %lld out", (long long)count(t->now, name, "chan_in"),
                         (long long)count(t->now, name, "chan_out"));
    }
}

static void put_worker(const struct top *t, struct buf *out, const char *name, bool last, bool selected)
{
    const json_t *w = worker_of(t->now, name);
    struct buf b = BUF_INIT(4096);
    sv state = json_sv(w, "state"), alarm = json_sv(w, "alarm");
    bool ready = sv_eqc(state, "ready");
    (void)buf_printf(&b, "%s%-20s %-9.*s %7lld %7.1f %5.1f %6lld %4lld  ", last ? " `- " : " |- ", name, SV_ARG(state),
                     (long long)json_i64(w, "pid", 0), (double)json_i64(w, "rssKb", 0) / 1024, cpu_percent(t, name),
                     (long long)json_i64(w, "lagMs", 0), (long long)json_i64(w, "restarts", 0));
    if (!ready) {
        (void)buf_sv(&b, sv_empty(alarm) ? json_sv(w, "lastExit") : alarm);
    } else {
        put_work(t, &b, name, json_sv(w, "kind"));
    }
    put_line(t, out, selected, buf_view(&b));
    buf_free(&b);
}

static void put_head(const struct top *t, struct buf *out)
{
    struct buf b = BUF_INIT(4096);
    const json_t *s = json_at(t->now, "status");
    char up[32];
    duration_print(json_i64(s, "upMs", 0), up, sizeof up);
    (void)buf_printf(&b, "tenaza %.*s  up %s  pid %lld  %.*s", SV_ARG(json_sv(s, "version")), up,
                     (long long)json_i64(s, "pid", 0), SV_ARG(json_sv(s, "url")));
    put_line(t, out, false, buf_view(&b));
    buf_reset(&b);
    (void)buf_printf(&b, "messages %lld (%.1f/s)  runs ended %lld, failed %lld, queued %lld, running %lld  outbox %lld",
                     (long long)count(t->now, "store", "accepted"), rate(t, "store", "accepted"),
                     (long long)count(t->now, "store", "runs_ok"), (long long)count(t->now, "store", "runs_failed"),
                     (long long)count(t->now, "store", "runs_queued"), (long long)count(t->now, "store", "runs_running"),
                     (long long)count(t->now, "store", "out_queued"));
    put_line(t, out, false, buf_view(&b));
    put_line(t, out, false, SV(""));
    put_line(t, out, true, SV(" worker                  state         pid      MB  cpu% lag ms  rst  work"));
    buf_free(&b);
}

static void put_log(const struct top *t, struct buf *out, const char *name, int room)
{
    struct buf b = BUF_INIT((size_t)1024 * 1024), title = BUF_INIT(512);
    logs_tail(t->cli, name, (unsigned)room, &b);
    (void)buf_printf(&title, " log of %s", name);
    put_line(t, out, true, buf_view(&title));
    sv rest = buf_view(&b);
    for (int i = 0; i < room && !sv_empty(rest); i++) {
        put_line(t, out, false, sv_cut(&rest, '\n'));
    }
    buf_free(&b);
    buf_free(&title);
}

void top_frame(const struct top *t, struct buf *out)
{
    enum { HEAD = 5, FOOT = 1, LOG_MIN = 4 };
    const char *names[512];
    size_t n = top_visible(t, names, ARRAY_LEN(names));
    int room = t->rows - HEAD - FOOT;
    int for_log = t->show_log && room > 2 * LOG_MIN ? room / 2 : 0;
    int shown = room - for_log < (int)n ? room - for_log : (int)n;
    put_head(t, out);
    put_line(t, out, false, SV(" supervisor"));
    for (int i = 0; i < shown; i++) {
        put_worker(t, out, names[i], i + 1 == shown, (size_t)i == t->selected);
    }
    if (for_log > 0 && t->selected < n) {
        put_log(t, out, names[t->selected], for_log - 1);
    }
    struct buf b = BUF_INIT(512);
    (void)buf_printf(&b, "%s%s%s", t->typing ? "/" : t->note[0] ? t->note : "q quit  up/down select  r restart  l log  / filter",
                     t->typing || t->filter[0] == '\0' ? "" : "   filter: ", t->filter);
    put_line(t, out, false, buf_view(&b));
    buf_free(&b);
}
