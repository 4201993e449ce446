/*
 * cmd_stats.c: stats: what the workers counted, once.
 * Runs in: command line.     Owns: nothing.
 * Never: wakes a worker: the supervisor reads their shared memory.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

const json_t *stats_of(const json_t *answer, const char *worker)
{
    const json_t *list = json_at(answer, "stats.workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        if (sv_eqc(json_sv(w, "name"), worker)) {
            return json_object_get(w, "counters");
        }
    }
    return NULL;
}

static void put_value(struct buf *rows, const json_t *v)
{
    if (json_is_integer(v)) {
        (void)buf_printf(rows, "%" JSON_INTEGER_FORMAT "\n", json_integer_value(v));
    } else if (json_is_real(v)) {
        (void)buf_printf(rows, "%.3f s\n", json_real_value(v));
    } else {
        (void)buf_printf(rows, "%lld, half below %.1f ms, 99 %% below %.1f ms\n", (long long)json_i64(v, "count", 0),
                         (double)json_i64(v, "p50Us", 0) / 1000, (double)json_i64(v, "p99Us", 0) / 1000);
    }
}

static bool is_zero(const json_t *v)
{
    return (json_is_integer(v) && json_integer_value(v) == 0) || (json_is_real(v) && json_real_value(v) < 0.0005) ||
           (json_is_object(v) && json_i64(v, "count", 0) == 0);
}

/* Rows of one worker; what is zero only when nothing else would be said about it. */
static void put_worker(struct buf *rows, sv name, json_t *counters)
{
    const char *key;
    json_t *v;
    json_object_foreach(counters, key, v)
    {
        if (!is_zero(v)) {
            (void)buf_printf(rows, "%.*s\t%s\t", SV_ARG(name), key);
            put_value(rows, v);
        }
    }
}

int cmd_stats(struct cli *c)
{
    cli_words(c, 1);
    const char *only = c->argc > 0 ? c->argv[0] : NULL;
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    json_t *v = ctl_request(c, fd, "stats");
    fd_close(&fd);
    if (only && !stats_of(v, only)) {
        cli_fail(c, CLI_NOT_THERE, "not_found", "the names: tenaza workers", "there is no worker %s", only);
    }
    if (c->json) {
        json_t *part = only ? json_deep_copy(stats_of(v, only)) : json_incref(json_object_get(v, "stats"));
        cli_print_json(part);
        json_free(&v);
        return CLI_OK;
    }
    struct buf rows = BUF_INIT((size_t)4 * 1024 * 1024);
    json_t *list = json_object_get(json_object_get(v, "stats"), "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *w = json_array_get(list, i);
        if (!only || sv_eqc(json_sv(w, "name"), only)) {
            put_worker(&rows, json_sv(w, "name"), json_object_get(w, "counters"));
        }
    }
    cli_table("..r", buf_view(&rows));
    buf_free(&rows);
    json_free(&v);
    return CLI_OK;
}
