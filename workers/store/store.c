/*
 * store.c: making and freeing the store; its settings; schema version.
 * Runs in: store.     Owns: struct store.
 * Never: handles a message.
 * Tested in: tests/unit/store/test_turn.c
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/store/body.h"
#include "workers/store/migrate.h"
#include "workers/store/model.h"

/* Output of one turn: 256 answers, most of them small; more is refused and asked for again. */
#define BODIES_MAX (512UL * 1024 * 1024)
#define SCRATCH_MAX (4UL * 1024 * 1024)

static enum dm_scope dm_scope_of(const char *name)
{
    static const char *const names[] = {"main", "per-peer", "per-channel-peer", "per-account-channel-peer"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum dm_scope)i;
        }
    }
    return DM_MAIN;
}

static uint64_t at_least(int64_t value, int64_t least)
{
    return (uint64_t)(value < least ? least : value);
}

struct store_conf store_conf_read(const struct conf *c, const char *dir)
{
    const char *drop = conf_str(c, "messages.queue.drop", "summarize");
    return (struct store_conf){
        .dir = dir,
        .map_bytes = (size_t)at_least(conf_int(c, "store.mapSize", 16LL << 30), 1 << 20),
        .fast = strcmp(conf_str(c, "store.durability", "full"), "fast") == 0,
        .dm_scope = dm_scope_of(conf_str(c, "session.dmScope", "main")),
        .group_main = strcmp(conf_str(c, "session.groupScope", "per-group"), "main") == 0,
        .followup = strcmp(conf_str(c, "messages.queue.mode", "collect"), "followup") == 0,
        .debounce_ms = (int64_t)at_least(conf_int(c, "messages.queue.debounceMs", 500), 0),
        .cap = at_least(conf_int(c, "messages.queue.cap", 20), 1),
        .drop = strcmp(drop, "old") == 0 ? DROP_OLD : strcmp(drop, "new") == 0 ? DROP_NEW : DROP_SUMMARIZE,
        .max_queued = at_least(conf_int(c, "store.maxQueued", 10000), 2),
        .width_main = at_least(conf_int(c, "agents.defaults.maxConcurrent", 4), 1),
        .width_cron = at_least(conf_int(c, "cron.maxConcurrentRuns", 1), 1),
        .timeout_ms = at_least(conf_int(c, "agents.defaults.timeoutSeconds", 600), 0) * 1000,
    };
}

/* Reads the counters into s->state; *found: there are any. An LMDB code. */
static int read_state(struct store *s, bool *found)
{
    struct tx tx = {.s = s, .a = &s->arena, .now = clock_real_ms()};
    int rc = db_begin(&s->db, &tx.txn, NULL);
    if (rc != 0) {
        return rc;
    }
    *found = rec_get(&tx, T_META, SV("state"), MSG_R_STATE, &s->state);
    rc = tx.db_err != 0 ? tx.db_err : tx.unfit ? MDB_CORRUPTED : 0;
    mdb_txn_abort(tx.txn);
    return rc;
}

/* Counts this start. An LMDB code. */
static int write_state(struct store *s)
{
    struct tx tx = {.s = s, .a = &s->arena, .now = clock_real_ms()};
    int rc = db_begin(&s->db, &tx.txn, NULL);
    if (rc != 0) {
        return rc;
    }
    s->state.boots++;
    rec_put(&tx, T_META, SV("state"), MSG_R_STATE, &s->state);
    return tx.db_err != 0 ? db_abort(&s->db, tx.txn, tx.db_err) : db_commit(&s->db, tx.txn);
}

/* A disk that takes no writes is no reason not to start: reading goes on, and writing is tried again. */
static int load_state(struct store *s, char *text, size_t cap)
{
    bool found = false;
    int rc = read_state(s, &found);
    if (rc != 0) {
        (void)snprintf(text, cap, "cannot read the database: %s", mdb_strerror(rc));
        return EXIT_INTERNAL;
    }
    if (!found) {
        s->state.schema = migrate_version();
    }
    int code = migrate(s, text, cap);
    if (code != 0) {
        return code;
    }
    rc = write_state(s);
    if (rc != 0 && !found) {
        (void)snprintf(text, cap, "cannot write the database: %s", mdb_strerror(rc));
        return EXIT_TEMPFAIL;
    }
    if (rc != 0) {
        store_fails(s, rc);
    }
    return 0;
}

int store_new(const struct store_conf *conf, store_send_fn *send, void *ctx, struct store **out, char *text,
              size_t cap)
{
    struct store *s = xcalloc(1, sizeof(*s));
    s->conf = *conf;
    s->send = send;
    s->send_ctx = ctx;
    s->arena = ARENA_INIT;
    s->clients = MAP_INIT;
    s->scratch = BUF_INIT(SCRATCH_MAX);
    s->bodies = BUF_INIT(BODIES_MAX);
    s->boot_ms = clock_real_ms();
    s->boot_mono = clock_mono_ms();
    s->next_sweep = s->boot_mono + 60000;
    s->next_due = s->boot_ms;
    s->recount = true;
    struct db_conf db = {
        .dir = conf->dir, .map_bytes = conf->map_bytes, .map_start = conf->map_start, .fast = conf->fast};
    int code = db_open(&s->db, &db, text, cap);
    if (code == 0) {
        code = load_state(s, text, cap);
    }
    if (code != 0) {
        store_free(s);
        return code;
    }
    *out = s;
    return 0;
}

void store_reconfigure(struct store *s, const struct store_conf *conf)
{
    const struct store_conf was = s->conf;
    s->conf = *conf;
    s->conf.dir = was.dir;
    s->conf.map_bytes = was.map_bytes;
    s->conf.fast = was.fast;
}

void store_free(struct store *s)
{
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&s->clients, &it, &name, &value)) {
        xfree(value);
    }
    map_free(&s->clients);
    xfree(s->news);
    xfree(s->outs);
    body_free(s);
    buf_free(&s->scratch);
    buf_free(&s->bodies);
    arena_free(&s->arena);
    db_close(&s->db);
    xfree(s);
}

void store_set_hello(struct store *s, const struct msg_done *done)
{
    s->hello = *done;
}

int64_t store_next_due(const struct store *s)
{
    return s->next_due;
}

const char *store_degraded(const struct store *s)
{
    return s->degraded;
}

int store_exit_code(const struct store *s)
{
    return s->exit_code;
}

void store_quiet(struct store *s)
{
    buf_free(&s->scratch);
    buf_free(&s->bodies);
    s->scratch = BUF_INIT(SCRATCH_MAX);
    s->bodies = BUF_INIT(BODIES_MAX);
    xfree(s->outs);
    s->outs = NULL;
    s->outs_n = s->outs_cap = 0;
    db_let_go();
}

uint64_t store_commits(const struct store *s)
{
    return s->commits;
}

void store_test_fail_commit(struct store *s, int err)
{
    s->db.fail_next = err;
}
