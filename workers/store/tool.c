/*
 * tool.c: the store's executable as a tool of the command line: check, backup.
 * Runs in: store executable, started by `tenaza`.     Owns: standard output.
 * Never: serves requests; writes into the database. It looks at one snapshot beside the running store, which goes on.
 * Tested in: tests/scn/f8-store-care.test.mjs
 *
 * tenaza-store check DB [--deep] [--json]
 * tenaza-store backup-create DB AT [--limit MS] [--json]
 * tenaza-store backup-verify AT [--json]
 * tenaza-store backup-restore DB AT [--json]
 */
#include "workers/store/tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/log.h"
#include "workers/store/backup.h"
#include "workers/store/look.h"
#include "workers/store/store_int.h"

#define LIMIT_MS (10LL * 60 * 1000)
#define FINDINGS_MAX ((size_t)1 << 20)

/* Exit codes of the command, as in supervisor/cli/cli.h. */
enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_IO = 4, TOOL_LOCKED = 5, TOOL_VERSION = 8 };

struct tool_args {
    const char *word[2]; /* what is not an option */
    size_t n;
    bool json, deep;
    int64_t limit_ms;
};

static int exit_of(int code)
{
    return code == EXIT_TEMPFAIL ? TOOL_LOCKED : code == EXIT_CONFIG ? TOOL_VERSION : TOOL_IO;
}

static int failed(const struct tool_args *a, int code, const char *text)
{
    struct buf b = BUF_INIT(4096);
    if (a->json) {
        (void)buf_str(&b, "{\"ok\":false,\"error\":{\"type\":\"cli_error\",\"code\":\"store\",\"message\":");
        (void)buf_json_str(&b, sv_of(text));
        (void)buf_str(&b, "}}");
        puts(buf_cstr(&b));
    }
    fprintf(stderr, "tenaza: %s\n", text);
    buf_free(&b);
    return exit_of(code);
}

/* ---- check ---- */

static void print_findings(const struct tool_args *a, sv findings, uint64_t rows)
{
    struct buf b = BUF_INIT(FINDINGS_MAX * 2);
    size_t n = 0;
    if (!a->json) {
        if (sv_empty(findings)) {
            printf("clean: %" PRIu64 " rows\n", rows);
        } else {
            printf("%.*s", SV_ARG(findings));
        }
        return;
    }
    (void)buf_printf(&b, "{\"ok\":%s,\"rows\":%" PRIu64 ",\"findings\":[", sv_empty(findings) ? "true" : "false", rows);
    while (!sv_empty(findings)) {
        (void)buf_str(&b, n++ > 0 ? "," : "");
        (void)buf_json_str(&b, sv_cut(&findings, '\n'));
    }
    (void)buf_str(&b, "]}");
    puts(buf_cstr(&b));
    buf_free(&b);
}

static int tool_check(const struct tool_args *a)
{
    struct look *l = NULL;
    struct buf findings = BUF_INIT(FINDINGS_MAX);
    char text[512];
    uint64_t rows = 0;
    int code = look_open(a->word[0], true, &l, text, sizeof(text));
    if (code != 0) {
        return failed(a, code, text);
    }
    look_check(l, a->deep, &findings);
    for (int t = 0; t < T_COUNT; t++) {
        rows += tx_count(look_tx(l), (enum table)t);
    }
    print_findings(a, buf_view(&findings), rows);
    bool clean = findings.n == 0;
    look_close(l);
    buf_free(&findings);
    return clean ? TOOL_OK : TOOL_FAILED;
}

/* ---- backup ---- */

static int report(const struct tool_args *a, const char *what, const char *at, const struct backup_report *r)
{
    struct buf b = BUF_INIT(8192);
    if (a->json) {
        (void)buf_printf(&b, "{\"ok\":true,\"backup\":");
        (void)buf_json_str(&b, sv_of(at));
        (void)buf_printf(&b, ",\"createdAt\":\"%s\",\"rows\":%" PRIu64 ",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"kept\":",
                         r->created, r->rows, r->files, r->bytes);
        (void)buf_json_str(&b, sv_of(r->kept));
        (void)buf_ch(&b, '}');
        puts(buf_cstr(&b));
    } else {
        printf("%s %s: made %s, %" PRIu64 " rows, %" PRIu64 " files, %.1f MB\n", what, at, r->created, r->rows, r->files,
               (double)r->bytes / 1e6);
        if (r->kept[0] != '\0') {
            printf("the database that was there before: %s\n", r->kept);
        }
    }
    buf_free(&b);
    return TOOL_OK;
}

static int tool_create(const struct tool_args *a)
{
    struct backup_report r;
    char text[700];
    int code = backup_create(a->word[0], a->word[1], a->limit_ms, &r, text, sizeof(text));
    return code != 0 ? failed(a, code, text) : report(a, "backup", a->word[1], &r);
}

static int tool_verify(const struct tool_args *a)
{
    struct backup_report r;
    char text[700];
    int code = backup_verify(a->word[0], &r, text, sizeof(text));
    return code != 0 ? failed(a, code, text) : report(a, "whole", a->word[0], &r);
}

static int tool_restore(const struct tool_args *a)
{
    struct backup_report r;
    char text[700];
    int code = backup_restore(a->word[0], a->word[1], &r, text, sizeof(text));
    return code != 0 ? failed(a, code, text) : report(a, "restored", a->word[1], &r);
}

/* ---- which ---- */

static const struct {
    const char *name;
    int (*fn)(const struct tool_args *a);
    size_t words;
} tools[] = {
    {"check", tool_check, 1},
    {"backup-create", tool_create, 2},
    {"backup-verify", tool_verify, 1},
    {"backup-restore", tool_restore, 2},
};

static bool read_args(struct tool_args *a, int argc, char **argv)
{
    uint64_t ms = 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
        } else if (strcmp(argv[i], "--deep") == 0) {
            a->deep = true;
        } else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc && sv_u64(sv_of(argv[i + 1]), &ms)) {
            a->limit_ms = (int64_t)ms;
            i++;
        } else if (argv[i][0] == '-' || a->n == ARRAY_LEN(a->word)) {
            return false;
        } else {
            a->word[a->n++] = argv[i];
        }
    }
    return true;
}

int tool_main(int argc, char **argv)
{
    struct tool_args a = {.limit_ms = LIMIT_MS};
    log_init("tenaza", 0, LOG_STYLE_PLAIN, -1);
    log_set_level(LOG_L_ERROR);
    log_set_console(false); /* what is wrong is among the findings */
    crypto_init();
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        if (strcmp(argv[1], tools[i].name) == 0 && read_args(&a, argc, argv) && a.n == tools[i].words) {
            return tools[i].fn(&a);
        }
    }
    fprintf(stderr, "tenaza-store: these tools are reached by `tenaza store` and `tenaza backup`\n");
    return TOOL_USAGE;
}
