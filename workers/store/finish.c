/*
 * finish.c: what an agent writes about its run: steps, and the end.
 * Runs in: store.     Owns: nothing.
 * Never: accepts a writer with an old fence; does a repeated write twice.
 * Tested in: tests/unit/store/test_lease.c
 */
#include "workers/store/model.h"

static void append_rows(struct tx *tx, struct sess *s, const struct run *run, struct msg_entry *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct msg_entry e = rows[i];
        e.run_id = run->pub.run_id;
        (void)tran_append(tx, s, &e);
        if (!sv_empty(e.provider)) {
            s->pub.provider = e.provider;
            s->pub.model = e.model;
        }
    }
}

/* The session a run writes into; a reset in between has ended the run already. */
static int session_of(struct tx *tx, const struct run *run, struct sess *s)
{
    if (!sess_get(tx, run->pub.session_key, s) || !sv_eq(s->pub.session_id, run->pub.session_id)) {
        return ERR_FENCED;
    }
    return OK;
}

int finish_step(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_step *m = msg;
    struct run run;
    struct sess s;
    struct msg_r_lease lease;
    int rc = lease_check(tx, from, m->run_id, m->fence, &run, &lease);
    if (rc != OK) {
        return rc == ERR_EXISTS ? ERR_FENCED : rc;
    }
    if (m->step <= run.pub.step) {
        reply_done(tx, true);
        return OK;
    }
    if (m->step != run.pub.step + 1) {
        return refuse(tx, ERR_BAD, "step", "steps are stored one after the other");
    }
    rc = session_of(tx, &run, &s);
    if (rc != OK) {
        return rc;
    }
    append_rows(tx, &s, &run, m->rows, m->rows_n);
    run.pub.step = m->step;
    s.pub.updated_ms = tx->now;
    run_put(tx, &run);
    sess_put(tx, &s);
    reply_done(tx, false);
    return OK;
}

static bool status_known(sv status)
{
    return sv_eqc(status, "ok") || sv_eqc(status, "error") || sv_eqc(status, "aborted") ||
           sv_eqc(status, "timeout");
}

static void deliver_answer(struct tx *tx, struct run *run, const struct msg_finish *m)
{
    if (run->r.deliver && sv_eqc(m->status, "ok") && !sv_empty(m->reply)) {
        struct route to = {run->r.channel, run->r.account, run->r.chat_id, run->r.thread_id, run->r.reply_to};
        run_sent(tx, run, SV_NULL, out_add_row(tx, &to, m->reply, SV("markdown"), run->pub.run_id), SV_NULL);
    }
}

int finish_run(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_finish *m = msg;
    struct run run;
    struct sess s;
    struct msg_r_lease lease;
    int rc = lease_check(tx, from, m->run_id, m->fence, &run, &lease);
    if (rc == ERR_EXISTS) {
        reply_done(tx, true);
        return OK;
    }
    if (rc != OK) {
        return rc;
    }
    if (!status_known(m->status)) {
        return refuse(tx, ERR_BAD, "status", "status must be ok, error, aborted or timeout");
    }
    rc = session_of(tx, &run, &s);
    if (rc != OK) {
        return rc;
    }
    append_rows(tx, &s, &run, m->rows, m->rows_n);
    run.pub.reply = m->reply;
    run.pub.provider = m->provider;
    run.pub.model = m->model;
    run.pub.in_tokens = m->in_tokens;
    run.pub.out_tokens = m->out_tokens;
    run.pub.event_seq = m->event_seq;
    run.pub.calls = m->calls;
    run.pub.calls_n = m->calls_n;
    s.pub.in_tokens += m->in_tokens;
    s.pub.out_tokens += m->out_tokens;
    deliver_answer(tx, &run, m);
    const char *state = sv_eqc(m->status, "ok")        ? "ok"
                        : sv_eqc(m->status, "error")   ? "error"
                        : sv_eqc(m->status, "aborted") ? "aborted"
                                                       : "timeout";
    struct run_end end = {.state = state,
                          .error_kind = m->error_kind,
                          .error = m->error,
                          .stop = sv_empty(m->stop) ? lease.reason : m->stop};
    run_finish(tx, &s, &run, &end);
    sess_put(tx, &s);
    reply_done(tx, false);
    return OK;
}
