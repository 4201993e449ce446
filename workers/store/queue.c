/*
 * queue.c: inputs of one session: one runs, the others wait; what they become when it ends.
 * Runs in: store.     Owns: table sesq.
 * Never: loses an accepted input: each ends as a turn of its own, inside another one, or with words to its
 *        sender (agent-runtime.md 3.2).
 * Tested in: tests/unit/store/test_queue.c
 */
#include "workers/store/model.h"

/* Largest text of a collected turn; what does not fit waits for the turn after it. */
#define MERGE_MAX_BYTES (400UL * 1024)
#define MERGE_MAX 64
#define SUMMARY_MAX_BYTES 8000u

static sv sesq_key(struct tx *tx, const struct sess *s, uint64_t order)
{
    struct key k = {.n = 0};
    key_add(&k, s->hash);
    key_u64(&k, order);
    return arena_sv(tx->a, key_sv(&k));
}

/* First waiting run behind `order`. */
static bool waiting_after(struct tx *tx, const struct sess *s, uint64_t order, struct run *run)
{
    sv k;
    sv id;
    return tx_seek(tx, T_SESQ, sesq_key(tx, s, order + 1), KEY_HASH, &k, &id) && run_get(tx, id, run);
}

/* ---- overflow ---- */

static void tell_overflow(struct tx *tx, struct sess *s, const struct run *run)
{
    static const char *const words[] = {
        [DROP_SUMMARIZE] = "Too many messages are waiting: the oldest ones were folded into a summary.",
        [DROP_OLD] = "Too many messages are waiting: the oldest ones were dropped.",
        [DROP_NEW] = "Message not queued: too many messages are waiting already.",
    };
    if (s->r.told) {
        return;
    }
    s->r.told = true;
    if (run->r.deliver) {
        struct route to = {run->r.channel, run->r.account, run->r.chat_id, run->r.thread_id, SV_NULL};
        out_add_row(tx, &to, sv_of(words[tx->s->conf.drop]), SV("plain"), SV_NULL);
    }
}

static size_t lines(sv text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n';
    }
    return n;
}

static void summarize(struct tx *tx, struct sess *s, sv text)
{
    sv all = arena_printf(tx->a, "%.*s- %.*s\n", SV_ARG(s->r.summary), SV_ARG(fold_text(tx, text, 160)));
    while (lines(all) > tx->s->conf.cap || all.n > SUMMARY_MAX_BYTES) {
        (void)sv_cut(&all, '\n');
    }
    s->r.summary = all;
    s->r.dropped++;
}

/* Makes room for `incoming` by letting the oldest waiting input go. */
static void drop_oldest(struct tx *tx, struct sess *s, const struct run *incoming)
{
    struct run old;
    struct run next;
    struct msg_r_journal j;
    struct msg_ingest in;
    if (!waiting_after(tx, s, 0, &old)) {
        s->pub.queued = 0;
        return;
    }
    bool have_next = waiting_after(tx, s, old.r.order, &next);
    bool have_input = run_input(tx, &old, &j, &in);
    if (tx->s->conf.drop == DROP_SUMMARIZE) {
        summarize(tx, s, have_input ? in.text : SV(""));
        struct run_end end = {.state = "merged", .merged_into = have_next ? next.pub.run_id : incoming->pub.run_id};
        run_finish(tx, s, &old, &end);
        return;
    }
    struct run_end end = {.state = "aborted", .stop = SV("queue")};
    run_finish(tx, s, &old, &end);
    if (have_input) {
        (void)tx_del(tx, T_IDEM, j.idem); /* it never started: a redelivery is welcome */
    }
}

int queue_add(struct tx *tx, struct sess *s, struct run *run, struct msg_ingest *in)
{
    const struct store_conf *conf = &tx->s->conf;
    if (sv_empty(s->pub.active_run) && s->pub.queued == 0) {
        tx->s->state.queued++;
        sched_ready(tx, s, run, in);
        return OK;
    }
    if (s->pub.queued >= conf->cap) {
        tell_overflow(tx, s, run);
        if (conf->drop == DROP_NEW) {
            return ERR_FULL;
        }
        drop_oldest(tx, s, run);
    }
    run->r.place = SV("wait");
    run->r.order = ++tx->s->state.next_order;
    run->pub.state = SV("queued");
    tx_put(tx, T_SESQ, sesq_key(tx, s, run->r.order), run->pub.run_id);
    s->pub.queued++;
    s->r.last_in_ms = tx->now;
    tx->s->state.queued++;
    run_put(tx, run);
    run_push(tx, run);
    if (sv_empty(s->pub.active_run)) {
        queue_next(tx, s);
    }
    return OK;
}

/* ---- turning waiting inputs into a turn ---- */

static bool same_route(const struct run *a, const struct run *b)
{
    return sv_eq(a->r.channel, b->r.channel) && sv_eq(a->r.account, b->r.account) &&
           sv_eq(a->r.chat_id, b->r.chat_id) && sv_eq(a->r.thread_id, b->r.thread_id) &&
           sv_eq(a->r.lane, b->r.lane) && a->r.deliver == b->r.deliver;
}

static sv sender_label(const struct msg_ingest *in)
{
    if (!sv_empty(in->sender_name)) {
        return in->sender_name;
    }
    return sv_empty(in->sender_id) ? SV("user") : in->sender_id;
}

sv queue_merge_text(struct arena *a, const struct msg_ingest *const *in, size_t n)
{
    struct buf b = BUF_INIT(2 * MERGE_MAX_BYTES);
    (void)buf_str(&b, "[Queued messages while agent was busy]");
    for (size_t i = 0; i < n; i++) {
        (void)buf_printf(&b, "\n\n---\nQueued #%zu (from %.*s)\n", i + 1, SV_ARG(sender_label(in[i])));
        (void)buf_sv(&b, in[i]->text);
    }
    sv out = arena_sv(a, buf_view(&b));
    buf_free(&b);
    return out;
}

static sv with_summary(struct tx *tx, const struct sess *s, sv text)
{
    if (s->r.dropped == 0) {
        return text;
    }
    return arena_printf(tx->a, "[Queue overflow] Dropped %llu messages due to cap.\nSummary:\n%.*s\n%.*s",
                        (unsigned long long)s->r.dropped, SV_ARG(s->r.summary), SV_ARG(text));
}

/* The untrusted group lines of all inputs, oldest first, as far as they fit the field. */
static sv join_history(struct tx *tx, const struct msg_ingest *const *in, size_t n)
{
    sv all = SV_NULL;
    for (size_t i = 0; i < n; i++) {
        if (!sv_empty(in[i]->history) && all.n + in[i]->history.n < 65000) {
            all = sv_empty(all) ? in[i]->history
                                : arena_printf(tx->a, "%.*s\n%.*s", SV_ARG(all), SV_ARG(in[i]->history));
        }
    }
    return all;
}

/* Ends the inputs behind `head` that become part of its turn; in[] gets all inputs, the head's first. */
static size_t collect(struct tx *tx, struct sess *s, const struct run *head, const struct msg_ingest **in)
{
    size_t n = 1;
    size_t bytes = in[0]->text.n;
    uint64_t order = head->r.order;
    struct run next;
    while (n < MERGE_MAX && sv_eqc(head->r.mode, "collect") && waiting_after(tx, s, order, &next)) {
        struct msg_r_journal j;
        struct msg_ingest *more = arena_alloc(tx->a, sizeof(*more));
        if (!sv_eqc(next.r.mode, "collect") || !same_route(head, &next) || !run_input(tx, &next, &j, more) ||
            bytes + more->text.n > MERGE_MAX_BYTES) {
            break;
        }
        bytes += more->text.n;
        order = next.r.order;
        in[n++] = more;
        struct run_end end = {.state = "merged", .merged_into = head->pub.run_id};
        run_finish(tx, s, &next, &end);
    }
    return n;
}

/* The oldest waiting input, and those that may join it, become the session's turn. */
static void start_turn(struct tx *tx, struct sess *s, struct run *head)
{
    struct msg_r_journal j;
    struct msg_ingest first;
    const struct msg_ingest *in[MERGE_MAX] = {&first};
    if (!run_input(tx, head, &j, &first)) {
        struct run_end end = {.state = "error", .error_kind = SV("unknown"), .error = SV("The message is lost.")};
        run_finish(tx, s, head, &end);
        return;
    }
    size_t n = collect(tx, s, head, in);
    sv text = n > 1 ? queue_merge_text(tx->a, in, n) : first.text;
    text = with_summary(tx, s, text);
    struct msg_ingest merged = first;
    if (n > 1 || s->r.dropped > 0) {
        merged.text = text;
        merged.history = join_history(tx, in, n);
        merged.sender_name = in[n - 1]->sender_name;
        j.in = &merged;
        j.in_n = 1;
        journal_put(tx, head->r.seq, &j);
        head->r.reply_to = in[n - 1]->message_id;
    }
    s->r.dropped = 0;
    s->r.summary = SV_NULL;
    s->r.told = false;
    s->r.drain_ms = 0;
    run_release(tx, s, head);
    tx->s->state.queued++; /* it left the session's queue, and still waits for a slot */
    sched_ready(tx, s, head, &merged);
}

void queue_next(struct tx *tx, struct sess *s)
{
    struct run head;
    if (s->pub.queued == 0 || !waiting_after(tx, s, 0, &head)) {
        s->pub.queued = 0;
        s->r.drain_ms = 0;
        return;
    }
    bool at_once = sv_eqc(head.r.mode, "followup") || s->pub.queued >= tx->s->conf.cap;
    bool set_back = s->r.last_in_ms > tx->now; /* the clock */
    int64_t due = at_once || set_back ? tx->now : s->r.last_in_ms + tx->s->conf.debounce_ms;
    if (due > tx->now) {
        s->r.drain_ms = due;
        s->pub.status = SV("queued");
        timer_add(tx, due, TIMER_DRAIN, s->hash);
        return;
    }
    start_turn(tx, s, &head);
}

void queue_timer(struct tx *tx, sv session_hash)
{
    struct msg_r_session r;
    struct sess s;
    if (!rec_get(tx, T_SESS, session_hash, MSG_R_SESSION, &r) || r.pub_n != 1 || r.drain_ms == 0 ||
        r.drain_ms > tx->now || !sess_get(tx, r.pub[0].key, &s) || !sv_empty(s.pub.active_run)) {
        return;
    }
    queue_next(tx, &s);
    sess_put(tx, &s);
}
