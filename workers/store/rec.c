/*
 * rec.c: one open transaction, and typed records inside it.
 * Runs in: store.     Owns: scratch memory of encodes.
 * Never: lets a view into the map live across a write (rec_get and tx_seek copy).
 * Tested in: tests/unit/store/test_turn.c
 */
#include "workers/store/rec.h"

#include <string.h>

#include "common/crypto.h"
#include "common/log.h"
#include "proto/wire.h"
#include "workers/store/body.h"
#include "workers/store/store_int.h"

void key_add(struct key *k, sv bytes)
{
    ASSERT(bytes.n <= sizeof(k->b) - k->n);
    if (bytes.n > 0) {
        memcpy(k->b + k->n, bytes.p, bytes.n);
        k->n += bytes.n;
    }
}

void key_u8(struct key *k, uint8_t v)
{
    key_add(k, sv_mem(&v, 1));
}

void key_u64(struct key *k, uint64_t v)
{
    uint8_t b[8];
    for (int i = 7; i >= 0; i--) {
        b[i] = (uint8_t)(v & 0xff);
        v >>= 8;
    }
    key_add(k, sv_mem(b, sizeof(b)));
}

uint64_t key_get_u64(sv key, size_t at)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8 && at + i < key.n; i++) {
        v = v << 8 | (uint8_t)key.p[at + i];
    }
    return v;
}

sv tx_hash(struct tx *tx, const sv *parts, size_t n)
{
    uint8_t *h = arena_alloc(tx->a, KEY_HASH);
    crypto_key128(h, parts, n);
    return sv_mem(h, KEY_HASH);
}

static MDB_val to_val(sv s)
{
    /* LMDB never writes through the value of a put; its struct has no const. */
    union {
        const char *in;
        void *out;
    } cast = {.in = s.p};
    return (MDB_val){s.n, cast.out};
}

static void sticky(struct tx *tx, int rc)
{
    if (tx->db_err == 0) {
        tx->db_err = rc;
    }
}

bool tx_get(struct tx *tx, enum table t, sv key, sv *val)
{
    if (tx->db_err != 0 || key.n == 0 || tx->s->db.dbi[t] == 0) {
        return false;
    }
    MDB_val k = to_val(key);
    MDB_val v;
    int rc = mdb_get(tx->txn, tx->s->db.dbi[t], &k, &v);
    if (rc == 0) {
        *val = sv_mem(v.mv_data, v.mv_size);
        return true;
    }
    if (rc != MDB_NOTFOUND) {
        sticky(tx, rc);
    }
    return false;
}

/* The row is about to be replaced or removed: so is the file that its value lies in. */
static void let_body_go(struct tx *tx, enum table t, sv key)
{
    sv old;
    if (tx->s->state.bodies > 0 && table_has_bodies(t) && tx_get(tx, t, key, &old) && body_is_ref(old)) {
        body_drop(tx, old);
    }
}

void tx_put(struct tx *tx, enum table t, sv key, sv val)
{
    if (val.n > BODY_MAX && table_has_bodies(t)) {
        sv ref = body_put(tx, val); /* before the old one goes: they may be the same */
        let_body_go(tx, t, key);
        val = ref;
    } else {
        let_body_go(tx, t, key);
    }
    if (tx->db_err != 0) {
        return;
    }
    MDB_val k = to_val(key);
    MDB_val v = to_val(val);
    int rc = mdb_put(tx->txn, tx->s->db.dbi[t], &k, &v, 0);
    tx->dirty = true;
    if (rc != 0) {
        sticky(tx, rc);
    }
}

bool tx_del(struct tx *tx, enum table t, sv key)
{
    let_body_go(tx, t, key);
    if (tx->db_err != 0) {
        return false;
    }
    MDB_val k = to_val(key);
    int rc = mdb_del(tx->txn, tx->s->db.dbi[t], &k, NULL);
    if (rc == 0) {
        tx->dirty = true;
        return true;
    }
    if (rc != MDB_NOTFOUND) {
        sticky(tx, rc);
    }
    return false;
}

bool tx_seek(struct tx *tx, enum table t, sv from, size_t prefix, sv *key, sv *val)
{
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, t, from, prefix, false);
    bool found = scan_next(&sc, &k, &v);
    if (found) {
        *key = arena_sv(tx->a, k);
        *val = arena_sv(tx->a, v);
    }
    scan_close(&sc);
    return found;
}

void scan_open(struct scan *sc, struct tx *tx, enum table t, sv from, size_t prefix, bool back)
{
    *sc = (struct scan){.tx = tx, .t = t, .back = back};
    key_add(&sc->from, from);
    sc->prefix = sv_mem(sc->from.b, prefix);
    if (tx->db_err == 0 && tx->s->db.dbi[t] != 0) {
        int rc = mdb_cursor_open(tx->txn, tx->s->db.dbi[t], &sc->c);
        if (rc != 0) {
            sc->c = NULL;
            sticky(tx, rc);
        }
    }
}

/* Positions the cursor for the first result. */
static int scan_start(struct scan *sc, MDB_val *k, MDB_val *v)
{
    sv from = key_sv(&sc->from);
    *k = to_val(from);
    if (from.n == 0) {
        return mdb_cursor_get(sc->c, k, v, sc->back ? MDB_LAST : MDB_FIRST);
    }
    int rc = mdb_cursor_get(sc->c, k, v, MDB_SET_RANGE);
    if (!sc->back) {
        return rc;
    }
    if (rc == MDB_NOTFOUND) {
        return mdb_cursor_get(sc->c, k, v, MDB_LAST);
    }
    if (rc == 0 && !sv_eq(sv_mem(k->mv_data, k->mv_size), from)) {
        return mdb_cursor_get(sc->c, k, v, MDB_PREV);
    }
    return rc;
}

bool scan_next(struct scan *sc, sv *key, sv *val)
{
    if (sc->c == NULL || sc->tx->db_err != 0) {
        return false;
    }
    MDB_val k;
    MDB_val v;
    int rc = sc->started ? mdb_cursor_get(sc->c, &k, &v, sc->back ? MDB_PREV : MDB_NEXT)
                         : scan_start(sc, &k, &v);
    sc->started = true;
    if (rc != 0) {
        if (rc != MDB_NOTFOUND) {
            sticky(sc->tx, rc);
        }
        return false;
    }
    *key = sv_mem(k.mv_data, k.mv_size);
    *val = sv_mem(v.mv_data, v.mv_size);
    return sv_starts(*key, sc->prefix);
}

void scan_close(struct scan *sc)
{
    if (sc->c != NULL) {
        mdb_cursor_close(sc->c);
        sc->c = NULL;
    }
}

bool rec_decode(struct tx *tx, sv val, uint16_t type, void *body)
{
    struct wire_error why = {0};
    memset(body, 0, msg_desc(type)->size);
    if (body_is_ref(val)) {
        val = body_get(tx, val);
        if (sv_empty(val)) {
            return false;
        }
    }
    if (wire_decode(type, val, tx->a, body, &why) != OK) {
        log_error("a stored %s cannot be read: %s", msg_name(type), why.text);
        tx->unfit = true;
        return false;
    }
    return true;
}

bool rec_get(struct tx *tx, enum table t, sv key, uint16_t type, void *body)
{
    sv val;
    return tx_get(tx, t, key, &val) && rec_decode(tx, arena_sv(tx->a, val), type, body);
}

void rec_put(struct tx *tx, enum table t, sv key, uint16_t type, const void *body)
{
    struct buf *b = &tx->s->scratch;
    struct wire_error why = {0};
    buf_reset(b);
    int rc = wire_encode(type, body, b, &why);
    if (rc != OK) {
        log_error("a record %s breaks its own table: %s %s", msg_name(type), why.field ? why.field : "", why.text);
        tx->unfit = true;
        return;
    }
    tx_put(tx, t, key, buf_view(b));
}

size_t tx_count(struct tx *tx, enum table t)
{
    MDB_stat st = {0};
    if (tx->db_err == 0 && tx->s->db.dbi[t] != 0) {
        int rc = mdb_stat(tx->txn, tx->s->db.dbi[t], &st);
        if (rc != 0) {
            sticky(tx, rc);
        }
    }
    return st.ms_entries;
}

int refuse(struct tx *tx, int err, const char *field, const char *text)
{
    tx->bad_field = sv_of(field);
    tx->bad_text = sv_of(text);
    return err;
}
