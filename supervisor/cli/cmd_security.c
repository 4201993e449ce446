/*
 * cmd_security.c: workers --security: which walls stand around each worker, which are lost, and why.
 * Runs in: command line.     Owns: nothing.
 * Never: calls a wall standing that the worker itself did not report.
 * Tested in: tests/scn/s3-doctor.test.mjs
 */
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "supervisor/cli/cli.h"

static const struct {
    const char *word, *holds, *lost;
} walls[] = {
#define WALL(NAME, word, holds, lost) {word, holds, lost},
#include "workers/runtime/walls.def"
#undef WALL
};

static bool list_has(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s != NULL && strcmp(s, word) == 0) {
            return true;
        }
    }
    return false;
}

static void print_worker(const struct cli *c, const json_t *w, struct buf *rows)
{
    const json_t *s = json_at(w, "security");
    const json_t *holds = json_at(s, "holds");
    bool told = json_is_object(s);
    const struct passwd *p = told ? getpwuid((uid_t)json_i64(s, "uid", 0)) : NULL;

    buf_printf(rows, "%s\t%.*s\t", cli_sign(c, !told                                       ? SIGN_OFF
                                               : json_array_size(json_at(s, "lost")) == 0 ? SIGN_OK
                                                                                          : SIGN_MENDING),
               SV_ARG(json_sv(w, "name")));
    if (!told) {
        buf_str(rows, "-\tnot running, or not started yet \n");
        return;
    }
    if (p != NULL) {
        buf_printf(rows, "%s\t", p->pw_name);
    } else {
        buf_printf(rows, "%lld\t", (long long)json_i64(s, "uid", 0));
    }
    for (size_t i = 0; i < json_array_size(holds); i++) {
        buf_printf(rows, "%s ", json_string_value(json_array_get(holds, i)));
    }
    buf_ch(rows, '\n');
}

/* One line for each wall that somebody lacks, with the names of those. */
static bool print_lost(const struct cli *c, const json_t *workers)
{
    bool any = false;

    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        struct buf names = BUF_INIT(65536);
        for (size_t k = 0; k < json_array_size(workers); k++) {
            const json_t *w = json_array_get(workers, k);
            if (list_has(json_at(json_at(w, "security"), "lost"), walls[i].word)) {
                buf_printf(&names, " %.*s", SV_ARG(json_sv(w, "name")));
            }
        }
        if (names.n > 0) {
            printf("%s%s %s: %s\n    %s\n", any ? "" : "\nlost here:\n", cli_sign(c, SIGN_MENDING), walls[i].word, walls[i].lost,
                   buf_cstr(&names) + 1);
            any = true;
        }
        buf_free(&names);
    }
    return any;
}

static void print_reasons(const json_t *workers)
{
    sv last = SV_NULL;

    for (size_t i = 0; i < json_array_size(workers); i++) {
        sv why = json_sv(json_at(json_array_get(workers, i), "security"), "why");
        if (!sv_empty(why) && !sv_eq(why, last)) {
            printf("%s%.*s\n", sv_empty(last) ? "\nbecause:\n  " : "  ", SV_ARG(why));
            last = why;
        }
    }
}

static void print_words(void)
{
    puts("\nwhat the words mean:");
    struct buf rows = BUF_INIT(16384);
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        buf_printf(&rows, "  %s\t%s \n", walls[i].word, walls[i].holds);
    }
    cli_table("", buf_view(&rows));
    buf_free(&rows);
}

int workers_security(struct cli *c)
{
    int fd = ctl_connect(c);
    if (fd < 0) {
        cli_not_running(c, CLI_UNREACHABLE);
    }
    json_t *v = ctl_request(c, fd, "status");
    fd_close(&fd);
    json_t *workers = json_object_get(v, "workers");
    if (c->json) {
        json_t *out = json_array();
        for (size_t i = 0; i < json_array_size(workers); i++) {
            json_t *w = json_array_get(workers, i);
            (void)json_array_append_new(out, json_pack("{s:O, s:O, s:O}", "name", json_object_get(w, "name"), "kind",
                                                       json_object_get(w, "kind"), "security", json_object_get(w, "security")));
        }
        cli_print_json(out);
        json_free(&v);
        return CLI_OK;
    }
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    buf_str(&rows, " \tworker\tuser\twalls that stand \n");
    for (size_t i = 0; i < json_array_size(workers); i++) {
        print_worker(c, json_array_get(workers, i), &rows);
    }
    cli_table("", buf_view(&rows));
    buf_free(&rows);
    if (print_lost(c, workers)) {
        print_reasons(workers);
    }
    print_words();
    json_free(&v);
    return CLI_OK;
}
