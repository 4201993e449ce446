/*
 * transcript.c: the rows of a conversation: append, and the newest ones raw.
 * Runs in: store.     Owns: table tran.
 * Never: rewrites or removes a row.
 * Tested in: tests/unit/store/test_turn.c
 */
#include "common/id.h"
#include "workers/store/body.h"
#include "workers/store/model.h"

static struct key tran_key(sv session_id, uint64_t n)
{
    struct key k = {.n = 0};
    key_add(&k, session_id);
    key_u64(&k, n);
    return k;
}

uint64_t tran_append(struct tx *tx, struct sess *s, struct msg_entry *e)
{
    char uuid[ID_UUID_LEN];
    if (sv_empty(e->id)) {
        id_uuid(uuid);
        e->id = arena_sv(tx->a, sv_of(uuid));
    }
    e->n = ++s->pub.entries;
    if (e->ts_ms == 0) {
        e->ts_ms = tx->now;
    }
    struct key k = tran_key(s->pub.session_id, e->n);
    rec_put(tx, T_TRAN, key_sv(&k), MSG_ENTRY, e);
    bool user = sv_eqc(e->role, "user");
    if (user && sv_empty(s->pub.title)) {
        s->pub.title = fold_text(tx, e->text, 80);
    }
    if ((user || sv_eqc(e->role, "assistant")) && !sv_empty(e->text)) {
        s->pub.preview = fold_text(tx, e->text, 120);
    }
    struct msg_row row = {.session_key = s->pub.key, .session_id = s->pub.session_id, .row = e, .row_n = 1};
    push_watchers(tx, true, MSG_ROW, &row);
    return e->n;
}

size_t tran_tail(struct tx *tx, sv session_id, uint64_t offset, size_t max_rows, size_t max_bytes, const sv **rows,
                 bool *more)
{
    sv *out = arena_alloc(tx->a, (max_rows + 1) * sizeof(*out));
    size_t n = 0;
    size_t bytes = 0;
    struct key from = tran_key(session_id, UINT64_MAX);
    struct scan sc;
    sv k;
    sv v;
    *more = false;
    scan_open(&sc, tx, T_TRAN, key_sv(&from), session_id.n, true);
    while (scan_next(&sc, &k, &v)) {
        if (offset > 0) {
            offset--;
            continue;
        }
        /* The newest row always goes out, whatever its size: a page is never empty for lack of room. */
        if (n == max_rows || (n > 0 && bytes + body_len(v) > max_bytes)) {
            *more = true;
            break;
        }
        bytes += body_len(v);
        v = body_is_ref(v) ? body_get(tx, v) : v;
        if (!sv_empty(v)) {
            out[n++] = v; /* a damaged one is left out and spoils the request (tx->unfit) */
        }
    }
    scan_close(&sc);
    for (size_t i = 0; i < n / 2; i++) {
        sv t = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = t;
    }
    *rows = out;
    return n;
}
