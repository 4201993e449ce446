/*
 * cmd_store.c: store check, store stats, backup: care of the database.
 * Runs in: command line; check and backup become the store's executable as a tool, the only one that may open it.
 * Owns: nothing.
 * Never: opens the database; restores under a running gateway.
 * Tested in: tests/scn/f8-store-care.test.mjs
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

/* tenaza-store TOOL words... [--json]; does not come back. */
static void become_tool(const struct cli *c, const char *const *words, size_t n)
{
    char *argv[12] = {xstrdup("tenaza-store")};
    size_t k = 1;
    for (size_t i = 0; i < n; i++) {
        argv[k++] = xstrdup(words[i]);
    }
    if (c->json) {
        argv[k++] = xstrdup("--json");
    }
    argv[k] = NULL;
    cli_become("tenaza-store", argv);
    cli_fail(c, CLI_FAILED, "missing", "it belongs beside this command or into ../libexec/tenaza",
             "cannot start tenaza-store: %s", strerror(errno));
}

static char *db_of(const struct cli *c)
{
    char *db = xasprintf("%s/db", c->state);
    char *data = xasprintf("%s/data.mdb", db);
    if (access(data, F_OK) != 0) {
        cli_fail(c, CLI_NOT_THERE, "not_found", "another state directory: --state DIR", "there is no database in %s", db);
    }
    xfree(data);
    return db;
}

/* ---- store ---- */

static const struct {
    const char *key, *text;
    size_t off;
} ages[] = {
    {"oldestWaitingAt", "oldest message that waits", offsetof(struct msg_store_info, oldest_wait_ms)},
    {"oldestDeliveryAt", "oldest delivery that is open", offsetof(struct msg_store_info, oldest_out_ms)},
    {"oldestKeyAt", "oldest message remembered", offsetof(struct msg_store_info, oldest_key_ms)},
};

static int64_t age_at(const struct msg_store_info *m, size_t i)
{
    int64_t ms;
    memcpy(&ms, (const char *)m + ages[i].off, sizeof(ms));
    return ms;
}

static void print_stats(const struct msg_store_info *m)
{
    struct buf rows = BUF_INIT((size_t)1024 * 1024);
    buf_str(&rows, "TABLE\tROWS\tBYTES\n");
    for (size_t i = 0; i < m->tables_n; i++) {
        const struct msg_table_info *t = &m->tables[i];
        buf_printf(&rows, "%.*s\t%llu\t%llu\n", SV_ARG(t->name), (unsigned long long)t->rows, (unsigned long long)t->bytes);
    }
    cli_table(".rr", buf_view(&rows));
    buf_free(&rows);
    printf("\npages in use %.1f MB of a map of %.0f MB (limit %.0f MB); %.0f MB free on the disk\n", (double)m->db_bytes / 1e6,
           (double)m->map_bytes / 1e6, (double)m->map_max / 1e6, (double)m->disk_free / 1e6);
    printf("long values in files %llu\n", (unsigned long long)m->bodies);
    printf("commits since start %llu, p50 %.2f ms, p99 %.2f ms\n", (unsigned long long)m->commits,
           (double)m->commit_p50_us / 1000, (double)m->commit_p99_us / 1000);
    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        char age[48];
        cli_age(age_at(m, i), age, sizeof age);
        printf("%s %s\n", ages[i].text, age);
    }
    if (!sv_empty(m->degraded)) {
        printf("%.*s\n", SV_ARG(m->degraded));
    }
}

static void show_stats(void *ctx, uint16_t type, const void *body)
{
    const struct cli *c = ctx;
    const struct msg_store_info *m = body;
    UNUSED(type);
    if (!c->json) {
        print_stats(m);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < m->tables_n; i++) {
        json_t *o = json_pack("{s:I, s:I}", "rows", (json_int_t)m->tables[i].rows, "bytes", (json_int_t)m->tables[i].bytes);
        json_put(o, "name", m->tables[i].name);
        (void)json_array_append_new(list, o);
    }
    json_t *v = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tables", list, "usedBytes",
                          (json_int_t)m->db_bytes, "mapBytes", (json_int_t)m->map_bytes, "mapMaxBytes",
                          (json_int_t)m->map_max, "diskFreeBytes", (json_int_t)m->disk_free, "longValues",
                          (json_int_t)m->bodies, "commits", (json_int_t)m->commits, "commitP50Us",
                          (json_int_t)m->commit_p50_us, "commitP99Us", (json_int_t)m->commit_p99_us);
    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        char iso[CLOCK_ISO_LEN];
        if (age_at(m, i) > 0) {
            clock_iso(age_at(m, i), iso);
            json_put(v, ages[i].key, sv_of(iso));
        }
    }
    json_put(v, "degraded", m->degraded.p ? m->degraded : SV(""));
    cli_print_json(v);
}

int cmd_store(struct cli *c)
{
    bool deep = cli_flag(c, "--deep", NULL);
    cli_words(c, 1);
    const char *verb = c->argc > 0 ? c->argv[0] : "";
    if (strcmp(verb, "check") == 0) {
        const char *words[] = {"check", db_of(c), "--deep"};
        become_tool(c, words, deep ? 3 : 2);
    } else if (strcmp(verb, "stats") == 0) {
        struct session s;
        struct msg_store_stats m = {.tables = true};
        session_open(c, &s);
        session_call(&s, MSG_STORE_STATS, &m, show_stats, c, NULL);
        session_close(&s);
        return CLI_OK;
    }
    cli_fail(c, CLI_USAGE, "usage", "tenaza store check [--deep] | stats", "store: what to do with \"%s\"?", verb);
}

/* ---- backup ---- */

/* <state>/backups/20261120T180431Z, unless the operator names another place. */
static char *place_of(const struct cli *c)
{
    char iso[CLOCK_ISO_LEN];
    clock_iso(clock_real_ms(), iso);
    char *name = xstrdup(iso);
    size_t n = 0;
    for (const char *p = iso; *p && *p != '.'; p++) {
        if (*p != '-' && *p != ':') {
            name[n++] = *p;
        }
    }
    name[n] = '\0';
    char *dir = xasprintf("%s/backups", c->state);
    if (dir_make(dir, 0700) != OK) {
        cli_fail(c, CLI_IO, "io", NULL, "cannot make %s: %s", dir, strerror(errno));
    }
    char *at = xasprintf("%s/%sZ", dir, name);
    xfree(dir);
    xfree(name);
    return at;
}

static void restore(struct cli *c)
{
    int fd = ctl_connect(c);
    if (fd >= 0) {
        cli_fail(c, CLI_LOCKED, "running", "first: tenaza stop", "the gateway is running: a database is not restored under it");
    }
    char *db = xasprintf("%s/db", c->state);
    const char *words[] = {"backup-restore", db, c->argv[1]};
    become_tool(c, words, 3);
}

int cmd_backup(struct cli *c)
{
    const char *limit = cli_option(c, "--limit", NULL);
    int64_t limit_ms = 0;
    char ms[32];
    if (limit && (!duration_parse(sv_of(limit), &limit_ms) || limit_ms <= 0)) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--limit: a duration like 10m is needed, not \"%s\"", limit);
    }
    cli_words(c, 2);
    const char *verb = c->argc > 0 ? c->argv[0] : "";
    if (strcmp(verb, "create") == 0) {
        (void)snprintf(ms, sizeof ms, "%lld", (long long)limit_ms);
        const char *words[] = {"backup-create", db_of(c), c->argc > 1 ? c->argv[1] : place_of(c), "--limit", ms};
        become_tool(c, words, limit ? 5 : 3);
    } else if (strcmp(verb, "verify") == 0 && c->argc == 2) {
        const char *words[] = {"backup-verify", c->argv[1]};
        become_tool(c, words, 2);
    } else if (strcmp(verb, "restore") == 0 && c->argc == 2) {
        restore(c);
    }
    cli_fail(c, CLI_USAGE, "usage", "tenaza backup create [DIR] | verify DIR | restore DIR",
             "backup: what to do with \"%s\"?", verb);
}
