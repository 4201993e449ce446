/*
 * query.c: pages and lists for the edge and the command line.
 * Runs in: store.     Owns: nothing.
 * Never: writes; decodes a transcript (rows go out as they are stored); answers more than fits a message.
 * Tested in: tests/unit/store/test_turn.c
 */
#include <ctype.h>

#include "common/text.h"
#include "workers/store/model.h"

#define HISTORY_ROWS 200
#define HISTORY_BYTES (700UL * 1024)
#define PENDING_MAX 64
#define PENDING_BYTES (128UL * 1024)
#define LIST_BYTES (700UL * 1024)

/* ---- sessions ---- */

static bool contains_nocase(sv hay, sv needle)
{
    for (size_t i = 0; i + needle.n <= hay.n; i++) {
        if (sv_eq_nocase(sv_sub(hay, i, needle.n), needle)) {
            return true;
        }
    }
    return false;
}

static bool matches(const struct msg_sessions_list *m, const struct msg_session *s)
{
    return (sv_empty(m->search) || contains_nocase(s->key, m->search) || contains_nocase(s->label, m->search)) &&
           (sv_empty(m->agent_id) || sv_eq(s->agent_id, m->agent_id)) &&
           (m->active_since_ms == 0 || s->updated_ms > m->active_since_ms);
}

/* With archived ones: they are in no list by time, so all rows are read and the newest kept. */
static int query_with_archived(struct tx *tx, const struct msg_sessions_list *m)
{
    size_t want = (m->limit ? (size_t)m->limit : 100) + (m->offset < 1000 ? (size_t)m->offset : 1000);
    struct msg_session *rows = arena_alloc(tx->a, (want + 1) * sizeof(*rows));
    struct msg_sessions answer = {.total = 0};
    bool only = sv_eqc(m->archived, "only");
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_SESS, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_r_session r;
        if (!rec_decode(tx, v, MSG_R_SESSION, &r) || r.pub_n != 1 || r.keep_ms > 0 ||
            (only && r.pub[0].archived_ms == 0) || !matches(m, &r.pub[0])) {
            continue;
        }
        answer.total++;
        size_t at = n;
        for (; at > 0 && rows[at - 1].updated_ms < r.pub[0].updated_ms; at--) {
            rows[at] = rows[at - 1];
        }
        rows[at] = r.pub[0];
        n += n < want;
    }
    size_t skip = m->offset < n ? (size_t)m->offset : n;
    answer.rows = rows + skip;
    answer.rows_n = n - skip;
    reply(tx, MSG_SESSIONS, &answer); /* the views point into the map: encode before the walk ends */
    scan_close(&sc);
    return OK;
}

int query_sessions(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_sessions_list *m = msg;
    if (!sv_empty(m->archived)) {
        return query_with_archived(tx, m);
    }
    size_t limit = m->limit ? (size_t)m->limit : 100;
    struct msg_session *rows = arena_alloc(tx->a, limit * sizeof(*rows));
    struct msg_sessions answer = {.rows = rows};
    bool filter = !sv_empty(m->search) || !sv_empty(m->agent_id) || m->active_since_ms != 0;
    bool full = false;
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    scan_open(&sc, tx, T_SESSU, SV(""), 0, false);
    while ((filter || !full) && scan_next(&sc, &k, &v)) {
        struct msg_r_session r;
        sv raw;
        if (!filter && answer.total++ < m->offset) {
            continue;
        }
        if (!tx_get(tx, T_SESS, sv_sub(k, 8, KEY_HASH), &raw) || !rec_decode(tx, raw, MSG_R_SESSION, &r) ||
            r.pub_n != 1 || (filter && (!matches(m, &r.pub[0]) || answer.total++ < m->offset)) || full) {
            continue;
        }
        bytes += raw.n;
        full = answer.rows_n == limit || bytes > LIST_BYTES;
        if (!full) {
            rows[answer.rows_n++] = r.pub[0];
            full = answer.rows_n == limit;
        }
    }
    if (!filter) {
        answer.total = tx->s->state.sessions;
    }
    reply(tx, MSG_SESSIONS, &answer); /* the views point into the map: encode before the walk ends */
    scan_close(&sc);
    return OK;
}

int query_session(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_session_get *m = msg;
    struct sess s;
    UNUSED(from);
    if (!sess_get(tx, session_full_key(tx, m->key, SV_NULL), &s)) {
        return ERR_GONE;
    }
    reply(tx, MSG_SESSION, &s.pub);
    return OK;
}

/* ---- history ---- */

/* An accepted input as it will stand in the transcript; false: it stands there already, or is gone. */
static bool pending_entry(struct tx *tx, sv run_id, struct msg_entry *e, size_t *bytes)
{
    struct run run;
    struct msg_r_journal j;
    struct msg_ingest in;
    if (!run_get(tx, run_id, &run) || run.r.user_n != 0 || !run_input(tx, &run, &j, &in)) {
        return false;
    }
    size_t room = PENDING_BYTES > *bytes ? PENDING_BYTES - *bytes : 0;
    *e = (struct msg_entry){
        .role = SV("user"),
        .text = sv_sub(in.text, 0, in.text.n <= room ? in.text.n : utf8_cut(in.text, room)),
        .ts_ms = run.pub.accepted_ms,
        .run_id = run.pub.run_id,
        .idem = arena_printf(tx->a, "%.*s:user", SV_ARG(run.pub.run_id)),
        .sender = sv_empty(in.sender_name) ? in.sender_id : in.sender_name,
        .channel = in.channel,
    };
    *bytes += e->text.n;
    return true;
}

static void add_pending(struct tx *tx, const struct sess *s, struct msg_history_page *page)
{
    struct msg_entry *rows = arena_alloc(tx->a, PENDING_MAX * sizeof(*rows));
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    page->pending = rows;
    if (!sv_empty(s->pub.active_run) && pending_entry(tx, s->pub.active_run, &rows[0], &bytes)) {
        page->pending_n = 1;
    }
    scan_open(&sc, tx, T_SESQ, s->hash, KEY_HASH, false);
    while (page->pending_n < PENDING_MAX && scan_next(&sc, &k, &v)) {
        page->pending_n += pending_entry(tx, arena_sv(tx->a, v), &rows[page->pending_n], &bytes);
    }
    scan_close(&sc);
}

int query_history(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_history *m = msg;
    struct sess s;
    struct msg_history_page page = {.offset = m->offset};
    const sv *rows = NULL;
    size_t n = 0;
    UNUSED(from);
    page.session_key = session_full_key(tx, m->session_key, SV_NULL);
    if (sess_get(tx, page.session_key, &s)) {
        page.total = s.pub.entries;
        page.session = &s.pub;
        page.session_n = 1;
        add_pending(tx, &s, &page);
        n = tran_tail(tx, s.pub.session_id, m->offset, m->limit ? (size_t)m->limit : HISTORY_ROWS,
                      m->max_bytes ? (size_t)m->max_bytes : HISTORY_BYTES, &rows, &page.more);
    }
    reply_spliced(tx, MSG_HISTORY_PAGE, &page, "rows", rows, n);
    return OK;
}

/* ---- runs ---- */

int query_run(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_run_get *m = msg;
    struct run run;
    UNUSED(from);
    if (!run_get(tx, m->run_id, &run)) {
        return ERR_GONE;
    }
    reply(tx, MSG_RUN, &run.pub);
    return OK;
}

int query_watch(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_watch *m = msg;
    from->watch = true;
    from->watch_rows = m->rows;
    reply_done(tx, false);
    return OK;
}

/* ---- outbox, cursors ---- */

static int one_delivery(struct tx *tx, sv id)
{
    struct msg_out_row row;
    struct msg_outbox answer = {.rows = &row, .rows_n = 1};
    if (!rec_get(tx, T_OUT, id, MSG_OUT_ROW, &row) && !rec_get(tx, T_OUTD, id, MSG_OUT_ROW, &row)) {
        return refuse(tx, ERR_GONE, "delivery_id", "there is no such delivery");
    }
    reply(tx, MSG_OUTBOX, &answer);
    return OK;
}

int query_outbox(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_outbox_list *m = msg;
    size_t limit = m->limit ? (size_t)m->limit : 100;
    struct msg_out_row *rows = arena_alloc(tx->a, limit * sizeof(*rows));
    struct msg_outbox answer = {.rows = rows};
    size_t bytes = 0;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    if (!sv_empty(m->delivery_id)) {
        return one_delivery(tx, m->delivery_id);
    }
    scan_open(&sc, tx, T_OUT, SV(""), 0, true);
    while (answer.rows_n < limit && bytes < LIST_BYTES && scan_next(&sc, &k, &v)) {
        struct msg_out_row row;
        if (!rec_decode(tx, v, MSG_OUT_ROW, &row)) {
            break;
        }
        if (sv_empty(m->state) || sv_eq(m->state, row.state)) {
            row.text = sv_sub(row.text, 0, row.text.n > 256 ? utf8_cut(row.text, 256) : row.text.n);
            row.log_n = 0;
            rows[answer.rows_n++] = row;
            bytes += row.text.n + row.error.n + row.chat_id.n + 256 + row.unsure_n * 24;
        }
    }
    reply(tx, MSG_OUTBOX, &answer); /* the views point into the map: encode before the walk ends */
    scan_close(&sc);
    return OK;
}

int query_cursor(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_cursor_get *m = msg;
    struct msg_cursor answer = {0};
    UNUSED(from);
    (void)tx_get(tx, T_CURSOR, out_account_hash(tx, m->channel, m->account), &answer.blob);
    reply(tx, MSG_CURSOR, &answer);
    return OK;
}
