/*
 * sesschange.c: what people do to sessions besides writing to them: create, name, archive, reset, delete, annotate.
 * Runs in: store.     Owns: nothing of its own (rows are session.c's and transcript.c's).
 * Never: deletes the main session; leaves a run behind that writes into a session that is gone.
 * Tested in: tests/unit/store/test_sesschange.c
 */
#include "common/id.h"
#include "common/names.h"
#include "workers/store/model.h"

#define REFS_MAX 64
#define SLICE_ROWS 500 /* of a transcript, removed in one turn */

static void stop_runs(struct tx *tx, struct sess *s)
{
    struct msg_run_ref *refs = arena_alloc(tx->a, REFS_MAX * sizeof(*refs));
    size_t running;
    size_t queued;
    (void)abort_runs(tx, s, SV_NULL, SV("rpc"), true, refs, &running, &queued);
}

static void revise(struct tx *tx, struct sess *s)
{
    s->pub.revision++;
    s->pub.updated_ms = tx->now;
}

static void set_name(sv *field, sv set, const char *name, sv value)
{
    if (names_has(set, sv_of(name))) {
        *field = value;
    }
}

static void set_time(int64_t *field, sv set, const char *name, int64_t value)
{
    if (names_has(set, sv_of(name))) {
        *field = value;
    }
}

/* Creates and patches are one thing: a missing session is made (gateway-ws.md 18, 9). */
static int patch(struct tx *tx, struct sess *s, const struct msg_session_change *m)
{
    set_name(&s->pub.label, m->set, "label", m->label);
    set_name(&s->pub.category, m->set, "category", m->category);
    set_name(&s->pub.icon, m->set, "icon", m->icon);
    set_name(&s->pub.color, m->set, "color", m->color);
    set_name(&s->pub.model_want, m->set, "model", m->model);
    set_time(&s->pub.pinned_ms, m->set, "pinned", m->pinned ? tx->now : 0);
    set_time(&s->pub.archived_ms, m->set, "archived", m->archived ? tx->now : 0);
    if (names_has(m->set, SV("unread"))) {
        s->pub.unread = m->unread;
    }
    revise(tx, s);
    sess_put(tx, s);
    return OK;
}

static int reset(struct tx *tx, struct sess *s, const struct msg_session_change *m)
{
    UNUSED(m);
    stop_runs(tx, s);
    sess_reset(tx, s);
    revise(tx, s);
    sess_put(tx, s);
    return OK;
}

static int drop(struct tx *tx, struct sess *s, const struct msg_session_change *m)
{
    UNUSED(m);
    if (sv_ends(s->pub.key, SV(":main"))) {
        return refuse(tx, ERR_DENIED, "key", "Cannot delete the main session.");
    }
    if (!s->exists) {
        return ERR_GONE;
    }
    stop_runs(tx, s);
    sess_drop(tx, s);
    timer_add(tx, tx->now, TIMER_ROWS, s->pub.session_id);
    return OK;
}

static int note(struct tx *tx, struct sess *s, const struct msg_session_change *m)
{
    struct msg_entry row = {.role = m->role, .text = m->text, .sender = m->label, .kind = SV_NULL};
    if (sv_empty(sv_trim(m->text))) {
        return refuse(tx, ERR_BAD, "text", "a note needs a text");
    }
    (void)tran_append(tx, s, &row);
    s->pub.last_entry = row.id;
    s->pub.updated_ms = tx->now;
    sess_put(tx, s);
    return OK;
}

int session_change(struct tx *tx, struct client *from, const void *msg)
{
    static const struct {
        const char *op;
        int (*fn)(struct tx *tx, struct sess *s, const struct msg_session_change *m);
    } ops[] = {{"patch", patch}, {"reset", reset}, {"delete", drop}, {"note", note}};
    const struct msg_session_change *m = msg;
    struct sess s;
    UNUSED(from);
    sv key = session_full_key(tx, m->key, SV_NULL);
    if (sv_empty(key) || key.n > 512) {
        return refuse(tx, ERR_BAD, "key", "a session key is needed");
    }
    sess_open(tx, key, SV_NULL, &s);
    if (!sv_empty(m->expected_id) && (!s.exists || !sv_eq(s.pub.session_id, m->expected_id))) {
        return refuse(tx, ERR_CONFLICT, "expected_id", "the session has changed since it was looked at; list it again");
    }
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (sv_eqc(m->op, ops[i].op)) {
            int rc = ops[i].fn(tx, &s, m);
            if (rc == OK) {
                reply(tx, MSG_SESSION, &s.pub);
            }
            return rc;
        }
    }
    return refuse(tx, ERR_BAD, "op", "op must be patch, reset, delete or note");
}

/* Rows of a transcript whose session is gone, some at a time. */
void session_rows_timer(struct tx *tx, sv session_id)
{
    sv key;
    sv val;
    session_id = arena_sv(tx->a, session_id);
    for (int i = 0; i < SLICE_ROWS; i++) {
        if (!tx_seek(tx, T_TRAN, session_id, session_id.n, &key, &val)) {
            return;
        }
        (void)tx_del(tx, T_TRAN, key);
    }
    timer_add(tx, tx->now + 1, TIMER_ROWS, session_id);
}
