/*
 * abort.c: stopping runs: queued ones end at once, running ones are told and get a little time to settle.
 * Runs in: store.     Owns: nothing.
 * Never: waits for a holder longer than ABORT_MS.
 * Tested in: tests/unit/store/test_queue.c
 */
#include "workers/store/model.h"

#define REFS_MAX 64 /* ABORTED.runs, INGESTED.stopped */

static void tell_holder(struct tx *tx, const struct run *run, const struct msg_r_lease *lease)
{
    const struct client *c = client_find(tx->s, lease->worker);
    if (c != NULL && c->inc == lease->inc) {
        struct msg_abort_run m = {.run_id = run->pub.run_id, .fence = lease->fence, .reason = lease->reason};
        push(tx, c, MSG_ABORT_RUN, &m);
    }
}

static void abort_leased(struct tx *tx, struct sess *s, struct run *run, sv reason, bool now)
{
    struct msg_r_lease lease;
    if (!rec_get(tx, T_LEASE, run->pub.run_id, MSG_R_LEASE, &lease)) {
        return;
    }
    bool first = lease.abort_ms == 0;
    lease.reason = first ? reason : lease.reason;
    if (first || now) {
        tell_holder(tx, run, &lease);
    }
    if (now) {
        struct run_end end = {.state = "aborted", .stop = reason};
        run_finish(tx, s, run, &end);
    } else if (first) {
        lease.abort_ms = tx->now + ABORT_MS;
        rec_put(tx, T_LEASE, run->pub.run_id, MSG_R_LEASE, &lease);
        timer_add(tx, lease.abort_ms, TIMER_ABORT, run->pub.run_id);
    }
}

/* Ids of the inputs that wait in the session, oldest first, copied. */
static size_t waiting_ids(struct tx *tx, const struct sess *s, sv *ids, size_t max)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_SESQ, s->hash, KEY_HASH, false);
    while (n < max && scan_next(&sc, &k, &v)) {
        ids[n++] = arena_sv(tx->a, v);
    }
    scan_close(&sc);
    return n;
}

size_t abort_runs(struct tx *tx, struct sess *s, sv only, sv reason, bool now, struct msg_run_ref *refs,
                  size_t *running, size_t *queued)
{
    size_t n = 0;
    size_t max = s->pub.queued + 1;
    sv *ids = arena_alloc(tx->a, max * sizeof(*ids));
    size_t ids_n = waiting_ids(tx, s, ids, max);
    struct run run;
    *running = 0;
    *queued = 0;
    for (size_t i = 0; i < ids_n; i++) {
        if ((!sv_empty(only) && !sv_eq(only, ids[i])) || !run_get(tx, ids[i], &run)) {
            continue;
        }
        struct run_end end = {.state = "aborted", .stop = reason};
        run_finish(tx, s, &run, &end);
        (*queued)++;
        if (n < REFS_MAX) {
            refs[n++].run_id = ids[i];
        }
    }
    if (s->pub.queued == 0) {
        s->r.drain_ms = 0;
    }
    sv active = s->pub.active_run;
    if (sv_empty(active) || (!sv_empty(only) && !sv_eq(only, active)) || !run_get(tx, active, &run)) {
        return n;
    }
    if (sv_eqc(run.r.place, "lease")) {
        (*running)++;
        abort_leased(tx, s, &run, reason, now);
    } else {
        (*queued)++;
        struct run_end end = {.state = "aborted", .stop = reason};
        run_finish(tx, s, &run, &end);
    }
    if (n < REFS_MAX) {
        refs[n++].run_id = active;
    }
    return n;
}

int abort_request(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_abort *m = msg;
    struct msg_run_ref *refs = arena_alloc(tx->a, REFS_MAX * sizeof(*refs));
    struct msg_aborted answer = {.runs = refs};
    struct sess s;
    struct run run;
    size_t running;
    size_t queued;
    sv key = session_full_key(tx, m->session_key, SV_NULL);
    UNUSED(from);
    if (sv_empty(key) && sv_empty(m->run_id)) {
        return refuse(tx, ERR_BAD, "session_key", "name a session or a run");
    }
    if (sv_empty(key) && run_get(tx, m->run_id, &run)) {
        key = run.pub.session_key;
    }
    if (!sv_empty(key) && sess_get(tx, key, &s)) {
        sv reason = sv_empty(m->reason) ? SV("rpc") : m->reason;
        answer.runs_n = abort_runs(tx, &s, m->run_id, reason, false, refs, &running, &queued);
        if (answer.runs_n > 0) {
            sess_put(tx, &s);
        }
    }
    reply(tx, MSG_ABORTED, &answer);
    return OK;
}

void abort_timer(struct tx *tx, sv run_id)
{
    struct run run;
    struct sess s;
    struct msg_r_lease lease;
    if (!rec_get(tx, T_LEASE, run_id, MSG_R_LEASE, &lease) || lease.abort_ms == 0 || lease.abort_ms > tx->now ||
        !run_get(tx, run_id, &run) || !sess_get(tx, lease.session_key, &s)) {
        return;
    }
    struct run_end end = {.state = "aborted", .stop = lease.reason};
    run_finish(tx, &s, &run, &end);
    sess_put(tx, &s);
}
