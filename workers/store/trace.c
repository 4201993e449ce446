/*
 * trace.c: the story of one message, put together from the rows that it left: journal, run, transcript, deliveries.
 * Runs in: store.     Owns: nothing.
 * Never: writes; walks more than a bounded number of rows.
 * Tested in: tests/unit/store/test_trace.c
 */
#include "common/text.h"
#include "workers/store/model.h"

#define ROWS_MAX 500  /* TRACE.rows */
#define SCAN_MAX 2000 /* transcript rows looked at: other runs of the session lie in between */
#define MERGES_MAX 3

struct story {
    struct tx *tx;
    struct msg_trace_row *rows;
    size_t n;
    bool more;
};

static sv cut(sv s, size_t max)
{
    return s.n > max ? sv_sub(s, 0, utf8_cut(s, max)) : s;
}

static void tell(struct story *st, int64_t at_ms, const char *what, sv who, sv detail)
{
    if (st->n == ROWS_MAX) {
        st->more = true;
        return;
    }
    st->rows[st->n++] = (struct msg_trace_row){.at_ms = at_ms, .what = sv_of(what), .who = cut(who, 256), .detail = cut(detail, 512)};
}

/* ---- what the id means ---- */

static bool journal_of(struct tx *tx, uint64_t seq, struct msg_r_journal *j)
{
    return rec_get(tx, T_JOURNAL, sv_mem(&seq, sizeof(seq)), MSG_R_JOURNAL, j);
}

static uint64_t seq_of_event(struct tx *tx, sv channel, sv account, sv event)
{
    const sv parts[] = {channel, account, event};
    uint64_t seq = 0;
    sv val;
    if (tx_get(tx, T_IDEM, tx_hash(tx, parts, ARRAY_LEN(parts)), &val) && val.n == sizeof(seq)) {
        memcpy(&seq, val.p, sizeof(seq));
    }
    return seq;
}

/* An event id alone is tried with every account that is connected, and with the doors that are no channels. */
static uint64_t seq_of_any(struct tx *tx, sv id)
{
    static const char *const doors[][2] = {{"webchat", "client"}, {"cron", "default"}};
    uint64_t seq = 0;
    sv rest = id;
    sv channel = sv_cut(&rest, '/');
    sv account = sv_cut(&rest, '/');
    if (!sv_empty(rest)) {
        seq = seq_of_event(tx, channel, account, rest);
    }
    for (size_t i = 0; seq == 0 && i < ARRAY_LEN(doors); i++) {
        seq = seq_of_event(tx, sv_of(doors[i][0]), sv_of(doors[i][1]), id);
    }
    size_t it = 0;
    sv name;
    void *value;
    while (seq == 0 && map_next(&tx->s->clients, &it, &name, &value)) {
        if (((struct client *)value)->out) {
            sv tail = name;
            sv head = sv_cut(&tail, '/');
            seq = seq_of_event(tx, head, tail, id);
        }
    }
    return seq;
}

static bool delivery_of(struct tx *tx, sv id, struct msg_out_row *row)
{
    return rec_get(tx, T_OUT, id, MSG_OUT_ROW, row) || rec_get(tx, T_OUTD, id, MSG_OUT_ROW, row);
}

/* ---- the parts of the story ---- */

static void tell_delivery(struct story *st, const struct msg_out_row *row)
{
    struct tx *tx = st->tx;
    size_t from = st->n;
    tell(st, row->created_ms, "queued", arena_printf(tx->a, "%.*s/%.*s", SV_ARG(row->channel), SV_ARG(row->account)),
         arena_printf(tx->a, "to %.*s, now %.*s", SV_ARG(row->chat_id), SV_ARG(row->state)));
    for (size_t i = 0; i < row->log_n; i++) {
        const struct msg_out_step *e = &row->log[i];
        sv part = arena_printf(tx->a, "part %llu of %llu%s%.*s", (unsigned long long)e->part + 1,
                               (unsigned long long)(row->parts > 0 ? row->parts : 1), sv_empty(e->detail) ? "" : ": ",
                               SV_ARG(e->detail));
        tell(st, e->at_ms, arena_strndup(tx->a, e->what.p, e->what.n), e->worker, part);
    }
    for (size_t i = from; i < st->n; i++) {
        st->rows[i].delivery_id = row->delivery_id;
    }
}

static void tell_entry(struct story *st, const struct msg_entry *e)
{
    struct tx *tx = st->tx;
    size_t at = st->n;
    if (sv_eqc(e->role, "user")) {
        tell(st, e->ts_ms, "input", SV_NULL, arena_printf(tx->a, "transcript row %llu", (unsigned long long)e->n));
    } else if (sv_eqc(e->role, "assistant")) {
        sv text = arena_printf(tx->a, "%llu tokens in, %llu out, %.*s", (unsigned long long)e->in_tokens,
                               (unsigned long long)e->out_tokens, SV_ARG(e->stop));
        for (size_t i = 0; i < e->calls_n; i++) {
            text = arena_printf(tx->a, "%.*s%s%.*s", SV_ARG(text), i == 0 ? ": " : ", ", SV_ARG(e->calls[i].name));
        }
        tell(st, e->ts_ms, "model", arena_printf(tx->a, "%.*s/%.*s", SV_ARG(e->provider), SV_ARG(e->model)), text);
    } else if (sv_eqc(e->role, "toolResult")) {
        tell(st, e->ts_ms, "tool", e->tool_name, arena_printf(tx->a, "%s: %.*s", e->is_error ? "failed" : "ok",
                                                              SV_ARG(fold_text(tx, e->text, 80))));
    }
    if (st->n > at) {
        st->rows[at].took_ms = e->took_ms;
    }
}

static void tell_transcript(struct story *st, const struct run *run)
{
    struct tx *tx = st->tx;
    struct key from = {.n = 0};
    struct scan sc;
    sv k;
    sv v;
    if (run->r.user_n == 0) {
        return;
    }
    key_add(&from, run->pub.session_id);
    key_u64(&from, run->r.user_n);
    scan_open(&sc, tx, T_TRAN, key_sv(&from), run->pub.session_id.n, false);
    for (int i = 0; i < SCAN_MAX && scan_next(&sc, &k, &v); i++) {
        struct msg_entry e;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_ENTRY, &e) || (run->pub.ended_ms > 0 && e.ts_ms > run->pub.ended_ms + 1000)) {
            break;
        }
        if (sv_eq(e.run_id, run->pub.run_id)) {
            tell_entry(st, &e);
        }
    }
    scan_close(&sc);
}

static void tell_attempts(struct story *st, const struct run *run)
{
    struct tx *tx = st->tx;
    uint64_t first = run->pub.attempt >= run->r.held_n ? run->pub.attempt - run->r.held_n : 0;
    for (size_t i = 0; i < run->r.held_n; i++) {
        const struct msg_r_held *h = &run->r.held[i];
        tell(st, h->at_ms, "granted", h->worker,
             arena_printf(tx->a, "attempt %llu, fence %llu, %llu steps stored before", (unsigned long long)(first + i + 1),
                          (unsigned long long)h->fence, (unsigned long long)h->step));
        if (h->lost_ms > 0) {
            tell(st, h->lost_ms, "lost", h->worker, SV("the worker was lost"));
        }
    }
}

static void tell_run(struct story *st, const struct run *run)
{
    struct tx *tx = st->tx;
    struct msg_out_row row;
    tell_attempts(st, run);
    tell_transcript(st, run);
    if (run->pub.ended_ms > 0) {
        bool merged = !sv_empty(run->pub.merged_into);
        sv text = merged                       ? arena_printf(tx->a, "into run %.*s", SV_ARG(run->pub.merged_into))
                  : sv_empty(run->pub.error) ? run->pub.state
                                               : arena_printf(tx->a, "%.*s: %.*s", SV_ARG(run->pub.state), SV_ARG(run->pub.error));
        tell(st, run->pub.ended_ms, merged ? "merged" : "ended", run->pub.run_id, text);
    }
    for (size_t i = 0; i < run->r.sent_n; i++) {
        if (delivery_of(tx, run->r.sent[i].delivery_id, &row)) {
            tell_delivery(st, &row);
        }
    }
}

/* The run, and those that it led to: the turn it became part of; or came from: the try that failed. */
static void tell_runs(struct story *st, struct run *run)
{
    struct run other;
    tell_run(st, run);
    sv id = run->pub.merged_into;
    for (int i = 0; i < MERGES_MAX && !sv_empty(id) && run_get(st->tx, id, &other); i++) {
        tell_run(st, &other);
        id = other.pub.merged_into;
    }
    id = run->r.prev;
    for (int i = 0; i < MERGES_MAX && !sv_empty(id) && run_get(st->tx, id, &other); i++) {
        tell(st, run->pub.accepted_ms, "resubmitted", other.pub.run_id, SV("an earlier run of it had failed"));
        tell_run(st, &other);
        id = other.r.prev;
    }
}

/* Stable: rows of one millisecond stay in the order they were told. */
static void sort(struct story *st)
{
    struct msg_trace_row *r = st->rows;
    for (size_t i = 1; i < st->n; i++) {
        struct msg_trace_row row = r[i];
        size_t k = i;
        for (; k > 0 && row.at_ms < r[k - 1].at_ms; k--) {
            r[k] = r[k - 1];
        }
        r[k] = row;
    }
}

static void tell_journal(struct story *st, uint64_t seq, const struct run *run)
{
    struct tx *tx = st->tx;
    struct msg_r_journal j;
    if (!journal_of(tx, seq, &j)) {
        return;
    }
    sv from = j.in_n == 1 ? arena_printf(tx->a, "%.*s/%.*s", SV_ARG(j.in[0].channel), SV_ARG(j.in[0].account))
              : run != NULL ? arena_printf(tx->a, "%.*s/%.*s", SV_ARG(run->r.channel), SV_ARG(run->r.account))
                            : SV_NULL;
    tell(st, j.at_ms, "received", from, arena_printf(tx->a, "message %llu stored%s%.*s", (unsigned long long)seq,
                                                     sv_empty(j.outcome) ? "" : ", ", SV_ARG(j.outcome)));
}

int trace_get(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_trace_get *m = msg;
    struct story st = {.tx = tx, .rows = arena_alloc(tx->a, ROWS_MAX * sizeof(*st.rows))};
    struct msg_trace answer = {.rows = st.rows};
    struct msg_out_row row;
    struct msg_r_journal j;
    struct run run;
    UNUSED(from);
    bool delivery = delivery_of(tx, m->id, &row);
    bool has_run = run_get(tx, delivery ? row.run_id : m->id, &run);
    uint64_t seq = has_run ? run.r.seq : 0;
    if (!has_run && !delivery) {
        seq = sv_u64(m->id, &seq) && journal_of(tx, seq, &j) ? seq : seq_of_any(tx, m->id);
        has_run = seq != 0 && journal_of(tx, seq, &j) && run_get(tx, j.run_id, &run);
    }
    if (!has_run && !delivery && seq == 0) {
        return refuse(tx, ERR_GONE, "id", "no run, delivery, event or message has this id (any more)");
    }
    if (seq != 0) {
        tell_journal(&st, seq, has_run ? &run : NULL);
    }
    if (has_run) {
        tell_runs(&st, &run);
        answer.run_id = run.pub.run_id;
        answer.session_key = run.pub.session_key;
        answer.state = run.pub.state;
    } else if (delivery) {
        tell_delivery(&st, &row);
        answer.state = row.state;
    }
    sort(&st);
    answer.seq = seq;
    answer.more = st.more;
    answer.rows_n = st.n;
    reply(tx, MSG_TRACE, &answer);
    return OK;
}
