/*
 * look.c: a database opened only to be looked at: one snapshot, no writes.
 * Runs in: store executable as a tool (tool.c), tests.     Owns: struct look.
 * Never: changes anything below its folder, but LMDB's table of readers when it looks beside a running store.
 * Tested in: tests/power/power.c
 */
#include "workers/store/look.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "workers/store/check.h"
#include "workers/store/migrate.h"

#define SCRATCH_MAX ((size_t)4 * 1024 * 1024)

struct look {
    struct store s; /* only what reading needs: the database, the counters */
    struct tx tx;
};

struct tx *look_tx(struct look *l)
{
    return &l->tx;
}

static int read_counters(struct look *l, char *text, size_t cap)
{
    struct store *s = &l->s;
    if (!rec_get(&l->tx, T_META, SV("state"), MSG_R_STATE, &s->state)) {
        (void)snprintf(text, cap, "the database in %s is empty or damaged: it has no counters", s->db.dir);
        return EXIT_CANTCREAT;
    }
    if (s->state.schema > migrate_version()) {
        (void)snprintf(text, cap, "the database was written by a newer version of Tenaza (schema %" PRIu64
                       ", this one knows %u)", s->state.schema, migrate_version());
        return EXIT_CONFIG;
    }
    return 0;
}

int look_open(const char *dir, bool shared, struct look **out, char *text, size_t cap)
{
    struct look *l = xcalloc(1, sizeof(*l));
    struct store *s = &l->s;
    s->arena = ARENA_INIT;
    s->scratch = BUF_INIT(SCRATCH_MAX);
    s->recount = true; /* who holds a lease is known to the running store only */
    l->tx = (struct tx){.s = s, .a = &s->arena, .now = clock_real_ms()};
    int code = db_look(&s->db, dir, shared, text, cap);
    if (code == 0) {
        int rc = db_begin(&s->db, &l->tx.txn, NULL);
        for (int i = 0; rc == MDB_MAP_RESIZED && i < 10; i++) { /* the running store has just grown its map */
            rc = mdb_env_set_mapsize(s->db.env, 0);
            rc = rc != 0 ? rc : db_begin(&s->db, &l->tx.txn, NULL);
        }
        if (rc != 0) {
            (void)snprintf(text, cap, "cannot read the database in %s: %s", dir, mdb_strerror(rc));
            code = EXIT_CANTCREAT;
        }
    }
    code = code != 0 ? code : read_counters(l, text, cap);
    if (code != 0) {
        look_close(l);
        return code;
    }
    *out = l;
    return 0;
}

void look_close(struct look *l)
{
    if (l == NULL) {
        return;
    }
    if (l->tx.txn != NULL) {
        mdb_txn_abort(l->tx.txn);
    }
    db_close(&l->s.db);
    arena_free(&l->s.arena);
    buf_free(&l->s.scratch);
    xfree(l);
}

void look_check(struct look *l, bool deep, struct buf *out)
{
    check_all(&l->tx, deep, out);
    if (l->tx.db_err != 0) {
        (void)buf_printf(out, "the database cannot be read to its end: %s\n", mdb_strerror(l->tx.db_err));
    }
}
