/*
 * turn.c: one turn of the store: everything that has arrived in one transaction, then answers.
 * Runs in: store.     Owns: the open transaction.
 * Never: sends before the commit; lets one bad request spoil the others (each writes in a nested transaction).
 * Tested in: tests/unit/store/test_turn.c
 */
#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "proto/wire.h"
#include "workers/store/body.h"
#include "workers/store/disk.h"
#include "workers/store/model.h"

/* A commit slower than this counts as a stall of ours: deadlines of the others move by it. */
#define STALL_US 100000
#define SWEEP_MS 60000
#define SWEEP_MORE_MS 100 /* between two slices while there is more to sweep */
#define RETRY_MS 1000 /* while writing fails */
#define GROWS_MAX 16 /* from the start to the largest map there may be */
/* Memory of outgoing messages that is kept from turn to turn. */
#define BODIES_KEPT (4UL * 1024 * 1024)

/* ---- one request ---- */

static int decode(struct tx *tx, const struct store_req *r, void **body)
{
    const struct msg_desc *d = msg_desc(r->type);
    struct wire_error why = {0};
    *body = arena_alloc(tx->a, d->size);
    int rc = wire_decode(r->type, r->body, tx->a, *body, &why);
    if (rc != OK) {
        tx->bad_field = arena_sv(tx->a, sv_of(why.field));
        tx->bad_text = arena_sv(tx->a, sv_of(why.text));
        return ERR_BAD;
    }
    return OK;
}

/* Runs the handler inside a nested transaction, which is thrown away when it fails. */
static int call_nested(struct tx *tx, handler_fn *fn, struct client *from, const void *body)
{
    struct store *s = tx->s;
    MDB_txn *outer = tx->txn;
    MDB_txn *inner = NULL;
    struct msg_r_state saved = s->state;
    struct out_mark mark = out_mark(s);
    bool was_dirty = tx->dirty;
    size_t gone_n = s->gone_n;
    int rc = mdb_txn_begin(s->db.env, outer, 0, &inner);
    if (rc != 0) {
        tx->db_err = rc;
        return ERR_IO;
    }
    tx->txn = inner;
    rc = fn(tx, from, body);
    tx->txn = outer;
    if (tx->db_err != 0) {
        mdb_txn_abort(inner);
        return ERR_IO;
    }
    if (rc == OK && !tx->unfit) {
        int db_rc = mdb_txn_commit(inner);
        if (db_rc != 0) {
            tx->db_err = db_rc;
        }
        return OK;
    }
    mdb_txn_abort(inner);
    if (tx->dirty != was_dirty || tx->unfit) {
        s->recount = true;
    }
    tx->dirty = was_dirty;
    s->state = saved;
    s->gone_n = gone_n;
    out_undo(s, mark);
    if (s->recount) {
        sched_recount(tx);
    }
    return rc == OK ? ERR_INTERNAL : rc;
}

static int call_reading(struct tx *tx, handler_fn *fn, struct client *from, const void *body)
{
    struct out_mark mark = out_mark(tx->s);
    int rc = fn(tx, from, body);
    if (rc == OK && tx->unfit) {
        rc = ERR_INTERNAL;
    }
    if (rc != OK) {
        out_undo(tx->s, mark);
    }
    return rc;
}

static void one_request(struct tx *tx, const struct store_req *r)
{
    struct store *s = tx->s;
    struct client *from = client_find(s, sv_of(r->name));
    const struct handler *h = handler_of(r->type);
    void *body = NULL;
    if (from == NULL || from->inc != r->inc) {
        return; /* it died while its request was on the way */
    }
    tx->bad_field = SV_NULL;
    tx->bad_text = SV_NULL;
    tx->retry_ms = 0;
    tx->unfit = false;
    from->seen_ms = clock_mono_ms();
    const struct msg_desc *d = msg_desc(r->type);
    if (d != NULL) {
        context_message(d, NULL, r->trace);
    }
    out_begin(s, from->id, r->rid);
    int rc;
    if (h == NULL) {
        rc = refuse(tx, ERR_BAD, "type", "the store does not know this message");
    } else {
        rc = decode(tx, r, &body);
        if (rc == OK) {
            context_message(d, body, r->trace);
        }
        rc = rc != OK ? rc : h->writes ? call_nested(tx, h->fn, from, body) : call_reading(tx, h->fn, from, body);
    }
    if (rc != OK && tx->db_err == 0) {
        s->outs[s->answer_at].type = MSG_NONE;
        out_fail(tx, rc);
    }
    log_context_end();
}

/* ---- the transaction ---- */

static int64_t min_due(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* When a turn without requests is needed next (real time). */
static int64_t plan(struct tx *tx)
{
    struct store *s = tx->s;
    int64_t mono = clock_mono_ms();
    int64_t due = timer_next(tx);
    due = min_due(due, tx->now + (s->next_sweep > mono ? s->next_sweep - mono : 1));
    if (!s->boot_checked) {
        int64_t left = s->boot_mono + BOOT_GRACE_MS - mono;
        due = min_due(due, tx->now + (left > 0 ? left : 1));
    }
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&s->clients, &it, &name, &value)) {
        const struct client *c = value;
        if (c->used > 0) {
            int64_t left = c->seen_ms + LEASE_MS + 1 - mono;
            due = min_due(due, tx->now + (left > 0 ? left : 1));
        }
    }
    return due;
}

static int finish_txn(struct tx *tx)
{
    struct store *s = tx->s;
    if (tx->dirty && tx->db_err == 0) {
        rec_put(tx, T_META, SV("state"), MSG_R_STATE, &s->state);
    }
    if (tx->db_err != 0 || !tx->dirty) {
        return db_abort(&s->db, tx->txn, tx->db_err);
    }
    crash_point("store.before_commit");
    int64_t from = clock_mono_us();
    int rc = db_commit(&s->db, tx->txn);
    int64_t us = clock_mono_us() - from;
    if (rc != 0) {
        return rc;
    }
    crash_point("store.after_commit");
    histogram_add(H_commit, us);
    s->latency[s->commits % LATENCIES] = (uint32_t)(us > UINT32_MAX ? UINT32_MAX : us);
    s->commits++;
    pressure_commit(s, us);
    body_collect(s);
    if (us > STALL_US) {
        peer_forgive(s, us / 1000);
    }
    return 0;
}

/* Once a minute; in quick small slices while there is much to do. */
static void sweep(struct tx *tx)
{
    struct store *s = tx->s;
    if (clock_mono_ms() < s->next_sweep) {
        return;
    }
    int dead = db_reader_check(&s->db);
    if (dead > 0) {
        log_info("%d dead readers of the database were cleared away", dead);
    }
    s->next_sweep = clock_mono_ms() + (expire_slice(tx) ? SWEEP_MORE_MS : SWEEP_MS);
    tx->dirty = tx->dirty || s->gone_n > 0; /* files leave after a commit */
}

static int turn_once(struct store *s, const struct store_req *reqs, size_t n)
{
    struct tx tx = {.s = s, .a = &s->arena, .now = clock_real_ms()};
    arena_reset(&s->arena);
    s->outs_n = 0;
    s->bodies.n = 0;
    tx.dirty = n == 0 && s->degraded[0] != '\0'; /* nobody asks: see whether writing works again */
    body_forget(s);
    int rc = db_begin(&s->db, &tx.txn, &s->reload);
    if (rc != 0) {
        return rc;
    }
    if (s->reload) {
        struct msg_r_state state;
        s->state = rec_get(&tx, T_META, SV("state"), MSG_R_STATE, &state) ? state : s->state;
        s->reload = false;
    }
    if (s->recount) {
        sched_recount(&tx);
    }
    clock_check(&tx);
    peer_news(&tx);
    for (size_t i = 0; i < n && tx.db_err == 0; i++) {
        one_request(&tx, &reqs[i]);
    }
    timer_run_due(&tx);
    peer_silence(&tx);
    sched_pump(&tx);
    sweep(&tx);
    s->next_due = plan(&tx);
    stats_gauges(&tx);
    return finish_txn(&tx);
}

/* ---- when it fails ---- */

static void answer_busy(struct store *s, const struct store_req *reqs, size_t n)
{
    struct tx tx = {.s = s, .a = &s->arena, .retry_ms = 1000, .bad_text = sv_of(s->degraded)};
    arena_reset(&s->arena);
    s->outs_n = 0;
    s->bodies.n = 0;
    for (size_t i = 0; i < n; i++) {
        struct client *c = client_find(s, sv_of(reqs[i].name));
        if (c != NULL && c->inc == reqs[i].inc) {
            out_begin(s, c->id, reqs[i].rid);
            out_fail(&tx, ERR_BUSY);
        }
    }
    s->next_due = clock_real_ms() + RETRY_MS; /* try again by ourselves */
}

static void why(const struct store *s, int rc, char *dst, size_t cap)
{
    if (rc == MDB_MAP_FULL) {
        (void)snprintf(dst, cap,
                       "the store cannot write: the database has reached its greatest size, store.mapSize (%zu MiB); "
                       "raise it and restart",
                       s->db.map_cap >> 20);
    } else if (db_is_full(rc)) {
        (void)snprintf(dst, cap, "the store cannot write: %s; free some on the disk of the state directory",
                       mdb_strerror(rc));
    } else {
        (void)snprintf(dst, cap, "the store cannot write: %s; nothing new is accepted until the disk works again",
                       mdb_strerror(rc));
    }
}

void store_fails(struct store *s, int rc)
{
    char text[sizeof(s->degraded)];
    why(s, rc, text, sizeof(text));
    if (strcmp(text, s->degraded) != 0) {
        (void)snprintf(s->degraded, sizeof(s->degraded), "%s", text);
        log_error("%s (requests are answered BUSY meanwhile)", s->degraded);
    }
    if (s->db.lost) {
        log_error("giving up: what is left must be looked at (tenaza store check) or restored (tenaza backup restore)");
        s->exit_code = EXIT_INTERNAL;
    }
}

static int turn_with_room(struct store *s, const struct store_req *reqs, size_t n)
{
    struct msg_r_state saved = s->state;
    bool boot_checked = s->boot_checked;
    int rc = 0;
    for (int i = 0; i < GROWS_MAX; i++) {
        rc = turn_once(s, reqs, n);
        if (rc == 0) {
            return 0;
        }
        s->state = saved;
        s->boot_checked = boot_checked;
        s->recount = true;
        s->reload = true;
        int grown = rc == MDB_MAP_FULL ? db_grow(&s->db) : rc;
        if (grown != 0) {
            return grown;
        }
        log_info("the database map grows to %zu MiB", s->db.map_bytes >> 20);
    }
    return rc;
}

void store_turn(struct store *s, const struct store_req *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)client_get(s, reqs[i].name, reqs[i].inc);
    }
    uint64_t commits = s->commits;
    int rc = turn_with_room(s, reqs, n);
    if (rc == MDB_TXN_FULL && n > 1) {
        store_turn(s, reqs, n / 2);
        store_turn(s, reqs + n / 2, n - n / 2);
        return;
    }
    if (rc != 0) {
        store_fails(s, rc);
        answer_busy(s, reqs, n);
    } else {
        s->news_n = 0;
        if (s->commits != commits && disk_has_room(s->db.dir)) { /* reads prove nothing, one short write not much */
            if (s->degraded[0] != '\0') {
                s->degraded[0] = '\0';
                log_info("the store can write again");
            }
        } else if (s->degraded[0] != '\0') {
            s->next_due = min_due(s->next_due, clock_real_ms() + RETRY_MS);
        }
    }
    counter_set(C_store_degraded, s->degraded[0] != '\0');
    counter_add(C_store_requests, n);
    crash_point("store.before_reply");
    out_send_all(s);
    if (s->bodies.cap > BODIES_KEPT) {
        buf_free(&s->bodies); /* one turn with many transcripts must not be paid for ever */
    }
}
