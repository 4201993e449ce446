/*
 * rec.h: one open transaction, and typed records inside it.
 * Runs in: store.     Owns: struct tx (it lives for one turn).
 * Never: returns database errors one by one. The first one sticks in tx->db_err, later reads find nothing and
 *        later writes do nothing; the turn looks once and throws the whole batch away (turn.c).
 * Tested in: tests/unit/store/test_turn.c
 */
#ifndef TENAZA_WORKERS_STORE_REC_H
#define TENAZA_WORKERS_STORE_REC_H

#include "common/arena.h"
#include "common/sv.h"
#include "proto/messages.h"
#include "workers/store/db.h"

struct store;

struct tx {
    struct store *s;
    MDB_txn *txn;
    struct arena *a; /* lives until the end of the turn */
    int64_t now;     /* real time, ms */
    bool dirty;      /* something was written */
    int db_err;      /* first LMDB error */
    bool unfit;      /* a row breaks its own table: the request is refused as INTERNAL */
    /* set by refuse(): the words of the STATUS answer */
    sv bad_field, bad_text;
    uint64_t retry_ms;
};

/* A key under construction. */
struct key {
    uint8_t b[320];
    size_t n;
};

#define KEY_HASH 16 /* bytes of h(x) */

static inline sv key_sv(const struct key *k)
{
    return sv_mem(k->b, k->n);
}

void key_add(struct key *k, sv bytes); /* panics beyond its room: callers have checked limits */
void key_u8(struct key *k, uint8_t v);
void key_u64(struct key *k, uint64_t v);
uint64_t key_get_u64(sv key, size_t at);
sv tx_hash(struct tx *tx, const sv *parts, size_t n); /* 16 bytes in the arena */

/* Raw bytes; the view dies with the next write of this transaction. */
bool tx_get(struct tx *tx, enum table t, sv key, sv *val);
void tx_put(struct tx *tx, enum table t, sv key, sv val);
bool tx_del(struct tx *tx, enum table t, sv key); /* true: it was there */
/* First row whose key is >= from and starts with `prefix`; both copied into the arena. */
bool tx_seek(struct tx *tx, enum table t, sv from, size_t prefix, sv *key, sv *val);

/* A walk without writes in between. back: from the last key below or at `from` towards smaller ones. */
struct scan {
    struct tx *tx;
    MDB_cursor *c;
    sv prefix;
    bool back, started;
    enum table t;
    struct key from;
};
void scan_open(struct scan *sc, struct tx *tx, enum table t, sv from, size_t prefix, bool back);
bool scan_next(struct scan *sc, sv *key, sv *val); /* views into the map */
void scan_close(struct scan *sc);

/* Typed: decodes a copy into *body (zeroed here). A row that cannot be decoded counts as absent and
 * sets tx->unfit. */
bool rec_get(struct tx *tx, enum table t, sv key, uint16_t type, void *body);
bool rec_decode(struct tx *tx, sv val, uint16_t type, void *body);
void rec_put(struct tx *tx, enum table t, sv key, uint16_t type, const void *body);
size_t tx_count(struct tx *tx, enum table t); /* rows of the table */

/* Wishes of a handler for its STATUS answer: return refuse(tx, ERR_BAD, "text", "..."). */
int refuse(struct tx *tx, int err, const char *field, const char *text) ATTR_NODISCARD;

#endif
