/*
 * lease.c: a run in progress belongs to one incarnation of one agent, under one fence.
 * Runs in: store.     Owns: table lease.
 * Never: lets a writer with an old fence through; hands a run to a second agent before the first is fenced.
 * Tested in: tests/unit/store/test_lease.c
 */
#include "common/log.h"
#include "workers/store/model.h"

/* Rows of a GRANT: GRANT_FIELDS in messages.def. */
#define GRANT_ROWS 1000
#define GRANT_BYTES (512UL * 1024)
#define HOLD_MAX 4096 /* leases handled in one go */

static void push_grant(struct tx *tx, const struct sess *s, const struct run *run, const struct msg_ingest *in,
                       const struct client *to, bool aborting)
{
    struct msg_grant g = {
        .run_id = run->pub.run_id,
        .fence = run->pub.fence,
        .attempt = run->pub.attempt,
        .session_key = s->pub.key,
        .session_id = run->pub.session_id,
        .agent_id = s->pub.agent_id,
        .lane = run->r.lane,
        .channel = in->channel,
        .sender = sv_empty(in->sender_name) ? in->sender_id : in->sender_name,
        .context = in->history,
        .extra_system = in->extra_system,
        .model = sv_empty(in->model) ? s->pub.model_want : in->model,
        .timeout_ms = run->r.timeout_ms,
        .started_ms = run->pub.started_ms,
        .step = run->pub.step,
        .abort = aborting,
        .opts = in->opts,
        .opts_n = in->opts_n,
    };
    const sv *rows;
    size_t n = tran_tail(tx, run->pub.session_id, 0, GRANT_ROWS, GRANT_BYTES, &rows, &g.trimmed);
    push_spliced(tx, to, MSG_GRANT, &g, "rows", rows, n);
}

/* What a program says was said before (only where nothing stands yet), and the results of calls it made itself. */
static void append_given(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in)
{
    for (size_t i = 0; i < in->prior_n && (i > 0 || s->pub.entries == 0); i++) {
        struct msg_entry e = in->prior[i];
        e.run_id = SV_NULL;
        (void)tran_append(tx, s, &e);
    }
    for (size_t i = 0; i < in->results_n; i++) {
        struct msg_entry e = in->results[i];
        e.run_id = run->pub.run_id;
        run->r.user_n = tran_append(tx, s, &e);
    }
}

/* The input enters the transcript when its run starts, once, whatever the number of attempts. */
static void append_input(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in)
{
    append_given(tx, s, run, in);
    if (in->results_n > 0 && sv_empty(in->text)) {
        return;
    }
    struct msg_entry e = {
        .role = SV("user"),
        .text = in->text,
        .ts_ms = run->pub.accepted_ms,
        .run_id = run->pub.run_id,
        .idem = arena_printf(tx->a, "%.*s:user", SV_ARG(run->pub.run_id)),
        .sender = sv_empty(in->sender_name) ? in->sender_id : in->sender_name,
        .channel = in->channel,
    };
    run->r.user_n = tran_append(tx, s, &e);
}

void lease_grant(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in, struct client *to)
{
    struct store *st = tx->s;
    run->pub.session_id = s->pub.session_id;
    run->pub.fence = ++st->state.next_fence;
    run->pub.attempt++;
    run->pub.state = SV("running");
    run->pub.worker = sv_of(to->name);
    run->pub.started_ms = run->pub.started_ms ? run->pub.started_ms : tx->now;
    run->r.place = SV("lease");
    run_held(tx, run);
    if (run->r.user_n == 0) {
        append_input(tx, s, run, in);
    }
    struct msg_r_lease lease = {.worker = sv_of(to->name),
                                .inc = to->inc,
                                .fence = run->pub.fence,
                                .lane = run->r.lane,
                                .session_key = s->pub.key,
                                .granted_ms = tx->now};
    rec_put(tx, T_LEASE, run->pub.run_id, MSG_R_LEASE, &lease);
    st->lane_used[lane_of(run->r.lane)]++;
    to->used++;
    st->state.queued--;
    st->state.running++;
    s->pub.active_run = run->pub.run_id;
    s->pub.status = SV("running");
    s->pub.updated_ms = tx->now;
    run_put(tx, run);
    run_push(tx, run);
    push_grant(tx, s, run, in, to, false);
}

int lease_check(struct tx *tx, const struct client *from, sv run_id, uint64_t fence, struct run *run,
                struct msg_r_lease *lease)
{
    if (!run_get(tx, run_id, run)) {
        return refuse(tx, ERR_GONE, "run_id", "there is no such run");
    }
    if (run_ended(run)) {
        return run->pub.fence == fence ? ERR_EXISTS : ERR_FENCED;
    }
    if (!rec_get(tx, T_LEASE, run_id, MSG_R_LEASE, lease) || lease->fence != fence || lease->inc != from->inc ||
        !sv_eqc(lease->worker, from->name)) {
        return ERR_FENCED;
    }
    return OK;
}

/* ---- losing a holder ---- */

/* Run ids of leases for which `pick` says yes; copied, so that the caller may write. */
typedef bool pick_fn(struct tx *tx, const struct msg_r_lease *lease, const void *arg);
static size_t leases(struct tx *tx, pick_fn *pick, const void *arg, sv *ids)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_LEASE, SV(""), 0, false);
    while (n < HOLD_MAX && scan_next(&sc, &k, &v)) {
        struct msg_r_lease lease;
        if (rec_decode(tx, arena_sv(tx->a, v), MSG_R_LEASE, &lease) && pick(tx, &lease, arg)) {
            ids[n++] = arena_sv(tx->a, k);
        }
    }
    scan_close(&sc);
    return n;
}

/* Wait before the next attempt (architecture.md 6: 1, 5, 25 s); the first death of a process costs nothing. */
static int64_t backoff_ms(uint64_t attempt, bool dead)
{
    static const int64_t waits[] = {1000, 5000, 25000};
    if (dead && attempt <= 1) {
        return 0;
    }
    return waits[attempt < 1 ? 0 : attempt > 3 ? 2 : attempt - 1];
}

/* The same step cost two workers, or the run three in all (architecture.md 6). */
static bool hopeless(const struct run *run)
{
    return run->r.lost_times >= RUN_SAME_STEP || run->pub.attempt >= RUN_ATTEMPTS;
}

static void lose(struct tx *tx, sv run_id, bool dead)
{
    struct run run;
    struct sess s;
    struct msg_r_lease lease;
    if (!run_get(tx, run_id, &run) || !rec_get(tx, T_LEASE, run_id, MSG_R_LEASE, &lease) ||
        !sess_get(tx, lease.session_key, &s)) {
        (void)tx_del(tx, T_LEASE, run_id);
        return;
    }
    log_info("run %.*s lost its worker %.*s (attempt %llu)", SV_ARG(run_id), SV_ARG(lease.worker),
             (unsigned long long)run.pub.attempt);
    run_lost(tx, &run);
    if (lease.abort_ms != 0) {
        struct run_end end = {.state = "aborted", .stop = lease.reason};
        run_finish(tx, &s, &run, &end);
    } else if (hopeless(&run)) {
        struct run_end end = {.state = "error",
                              .error_kind = SV("worker_lost"),
                              .error = SV("The worker that answered this message was lost several times; please "
                                          "send it again.")};
        run_finish(tx, &s, &run, &end);
    } else {
        int64_t wait = backoff_ms(run.pub.attempt, dead);
        run_release(tx, &s, &run);
        tx->s->state.queued++;
        run.pub.worker = SV_NULL;
        if (wait == 0) {
            sched_ready(tx, &s, &run, NULL);
        } else {
            run.r.place = SV("later");
            run.r.later_ms = tx->now + wait;
            run.pub.state = SV("queued");
            s.pub.status = SV("queued");
            timer_add(tx, run.r.later_ms, TIMER_LATER, run_id);
            run_put(tx, &run);
            run_push(tx, &run);
        }
    }
    sess_put(tx, &s);
}

struct holder {
    sv name;
    uint64_t inc, keep_inc;
};

static bool pick_holder(struct tx *tx, const struct msg_r_lease *lease, const void *arg)
{
    const struct holder *h = arg;
    UNUSED(tx);
    return sv_eq(lease->worker, h->name) && (h->inc != 0 ? lease->inc == h->inc : lease->inc != h->keep_inc);
}

void lease_revoke_holder(struct tx *tx, sv name, uint64_t inc, uint64_t keep_inc, bool dead)
{
    struct holder h = {name, inc, keep_inc};
    sv *ids = arena_alloc(tx->a, HOLD_MAX * sizeof(*ids));
    size_t n = leases(tx, pick_holder, &h, ids);
    for (size_t i = 0; i < n; i++) {
        lose(tx, ids[i], dead);
    }
}

static bool pick_absent(struct tx *tx, const struct msg_r_lease *lease, const void *arg)
{
    UNUSED(arg);
    const struct client *c = client_find(tx->s, lease->worker);
    return c == NULL || c->inc != lease->inc || !c->wanted;
}

void lease_revoke_absent(struct tx *tx)
{
    sv *ids = arena_alloc(tx->a, HOLD_MAX * sizeof(*ids));
    size_t n = leases(tx, pick_absent, NULL, ids);
    for (size_t i = 0; i < n; i++) {
        lose(tx, ids[i], true);
    }
}

/* ---- WANT ---- */

struct claim {
    const struct client *from;
    const struct msg_want *want;
};

/* A lease of this agent that it does not know of: its GRANT was lost on the way. */
static bool pick_unheld(struct tx *tx, const struct msg_r_lease *lease, const void *arg)
{
    const struct claim *c = arg;
    return sv_eqc(lease->worker, c->from->name) && lease->inc == c->from->inc &&
           (lease->granted_ms < tx->s->boot_ms || tx->now - lease->granted_ms >= REGRANT_MS ||
            tx->now < lease->granted_ms); /* the clock was set back */
}

static bool held(const struct msg_want *w, sv run_id)
{
    for (size_t i = 0; i < w->held_n; i++) {
        if (sv_eq(w->held[i].run_id, run_id)) {
            return true;
        }
    }
    return false;
}

int lease_want(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_want *w = msg;
    struct claim claim = {from, w};
    from->agent = true;
    from->wanted = true;
    from->slots = w->slots;
    if (from->used > 0) {
        sv *ids = arena_alloc(tx->a, HOLD_MAX * sizeof(*ids));
        size_t n = leases(tx, pick_unheld, &claim, ids);
        for (size_t i = 0; i < n; i++) {
            struct run run;
            struct sess s;
            struct msg_r_journal j;
            struct msg_ingest in;
            struct msg_r_lease lease;
            if (!held(w, ids[i]) && run_get(tx, ids[i], &run) && run_input(tx, &run, &j, &in) &&
                sess_get(tx, run.pub.session_key, &s) && rec_get(tx, T_LEASE, ids[i], MSG_R_LEASE, &lease)) {
                push_grant(tx, &s, &run, &in, from, lease.abort_ms != 0);
            }
        }
    }
    reply_done(tx, false);
    return OK;
}
