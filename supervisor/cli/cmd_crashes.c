/*
 * cmd_crashes.c: crashes: the reports of workers that died, newest first; show one; clear them.
 * Runs in: command line.     Owns: nothing; works without a running gateway.
 * Never: deletes anything but reports.
 * Tested in: tests/scn/o1-evidence.test.mjs
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"
#include "supervisor/crashdir.h"

#define REPORT_MAX ((size_t)1024 * 1024)
#define LIST_MAX ((size_t)CRASH_KEEP * 2)

size_t crashes_new(const struct cli *c)
{
    char dir[PATH_MAX + 16];
    struct crash *list = xcalloc(LIST_MAX, sizeof *list);
    size_t fresh = 0;

    crash_dir(c->state, dir, sizeof dir);
    int64_t seen = crash_seen(dir);
    size_t n = crash_list(dir, list, LIST_MAX);
    while (fresh < n && list[fresh].at_ms > seen) {
        fresh++;
    }
    xfree(list);
    return fresh;
}

/* Value of one of the lines at the top ("cause:       signal 9"); empty: there is none. */
static sv head_line(sv text, const char *key)
{
    while (!sv_empty(text)) {
        sv line = sv_cut(&text, '\n');
        if (sv_empty(line)) {
            break;
        }
        if (sv_starts(line, sv_of(key))) {
            return sv_trim(sv_sub(line, strlen(key), line.n));
        }
    }
    return SV_NULL;
}

static bool read_report(const struct cli *c, const char *id, struct buf *b)
{
    char *path = xasprintf("%s/crash/%s.txt", c->state, id);
    bool ok = file_read(path, b) == OK;

    xfree(path);
    return ok;
}

static int list_all(const struct cli *c, const char *dir)
{
    struct crash *list = xcalloc(LIST_MAX, sizeof *list);
    size_t n = crash_list(dir, list, LIST_MAX);
    int64_t seen = crash_seen(dir);
    struct buf rows = BUF_INIT(REPORT_MAX);
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_INIT(REPORT_MAX);
        char age[48];
        bool fresh = list[i].at_ms > seen;
        sv cause = read_report(c, list[i].id, &text) ? head_line(buf_view(&text), "cause:") : SV_NULL;
        sv worker = head_line(buf_view(&text), "worker:");
        cli_age(list[i].at_ms, age, sizeof age);
        (void)buf_printf(&rows, "%s\t%s\t%s\t", fresh ? cli_sign(c, SIGN_BAD) : cli_sign(c, SIGN_OFF), age, list[i].id);
        cli_cell(&rows, cause, 160, '\n');
        json_t *o = json_pack("{s:s, s:I, s:b}", "id", list[i].id, "atMs", (json_int_t)list[i].at_ms, "new", fresh);
        json_put(o, "worker", worker);
        json_put(o, "cause", cause);
        (void)json_array_append_new(all, o);
        buf_free(&text);
    }
    if (c->json) {
        cli_print_json(all);
        all = NULL;
    } else if (n == 0) {
        cli_say(c, "no crash reports");
    } else {
        cli_table("", buf_view(&rows));
        cli_say(c, "\none of them: tenaza crashes show ID      delete them: tenaza crashes clear");
    }
    json_free(&all);
    buf_free(&rows);
    xfree(list);
    crash_set_seen(dir);
    return CLI_OK;
}

/* The report of that id; "last" and beginnings of ids that only one has will do. */
static void find(const struct cli *c, const char *dir, const char *want, char id[CRASH_ID_MAX])
{
    struct crash *list = xcalloc(LIST_MAX, sizeof *list);
    size_t n = crash_list(dir, list, LIST_MAX), hits = 0;

    for (size_t i = 0; i < n; i++) {
        bool same = strcmp(list[i].id, want) == 0;
        if (same || (i == 0 && strcmp(want, "last") == 0) || sv_starts(sv_of(list[i].id), sv_of(want))) {
            memcpy(id, list[i].id, CRASH_ID_MAX);
            hits++;
        }
        if (same || strcmp(want, "last") == 0) {
            break;
        }
    }
    xfree(list);
    if (hits == 0) {
        cli_fail(c, CLI_NOT_THERE, "not_found", "the ids: tenaza crashes", "no crash report \"%s\"", want);
    }
    if (hits > 1) {
        cli_fail(c, CLI_USAGE, "usage", "the ids: tenaza crashes", "%zu crash reports begin with \"%s\"", hits, want);
    }
}

static int show(const struct cli *c, const char *dir, const char *want)
{
    char id[CRASH_ID_MAX];
    struct buf text = BUF_INIT(REPORT_MAX);

    find(c, dir, want, id);
    if (!read_report(c, id, &text)) {
        cli_fail(c, CLI_IO, "io", NULL, "%s/%s.txt cannot be read: %s", dir, id, strerror(errno));
    }
    if (c->json) {
        json_t *o = json_pack("{s:s}", "id", id);
        json_put(o, "text", buf_view(&text));
        cli_print_json(o);
    } else {
        sv rest = buf_view(&text);
        while (!sv_empty(rest)) {
            cli_text(sv_cut(&rest, '\n'));
            putchar('\n');
        }
    }
    buf_free(&text);
    return CLI_OK;
}

static int clear(const struct cli *c, const char *dir)
{
    struct crash *list = xcalloc(LIST_MAX, sizeof *list);
    size_t n = crash_list(dir, list, LIST_MAX), gone = 0;

    for (size_t i = 0; i < n; i++) {
        char *path = xasprintf("%s/%s.txt", dir, list[i].id);
        gone += unlink(path) == 0;
        xfree(path);
    }
    xfree(list);
    if (c->json) {
        cli_print_json(json_pack("{s:b, s:I}", "ok", gone == n, "deleted", (json_int_t)gone));
    } else {
        cli_say(c, "%zu crash report%s deleted", gone, gone == 1 ? "" : "s");
    }
    if (gone < n) {
        cli_fail(c, CLI_IO, "io", NULL, "%zu reports in %s could not be deleted", n - gone, dir);
    }
    return CLI_OK;
}

int cmd_crashes(struct cli *c)
{
    char dir[PATH_MAX + 16];

    cli_words(c, 2);
    crash_dir(c->state, dir, sizeof dir);
    const char *verb = c->argc > 0 ? c->argv[0] : "list";
    if (strcmp(verb, "list") == 0 && c->argc <= 1) {
        return list_all(c, dir);
    }
    if (strcmp(verb, "show") == 0 && c->argc == 2) {
        return show(c, dir, c->argv[1]);
    }
    if (strcmp(verb, "clear") == 0 && c->argc == 1) {
        return clear(c, dir);
    }
    cli_fail(c, CLI_USAGE, "usage", "tenaza crashes [list | show ID | clear]", "crashes: what to do with \"%s\"?", verb);
}
