/*
 * step.c: what of a run is stored before it goes on, and how a run is taken over.
 * Runs in: agent.     Owns: nothing.
 * Never: lets a tool start before its intent is stored, runs a tool again whose row does not allow it.
 * Tested in: tests/unit/agent/test_run.c
 */
#include "agent/agent.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#define STEP_WITHIN_MS 30000

static void step_send(struct run *r);

#ifdef TENAZA_CRASH_POINTS
static bool intent(const struct run *r)
{
    return sv_eq(r->rows[r->step_from].role, SV("assistant"));
}
#endif

static void on_stored(void *ctx, int err, uint16_t type, const void *body)
{
    struct run *r = ctx;
    (void)type;
    if (err == OK) {
        crash_point(intent(r) ? "agent.after_intent" : "agent.after_result");
        r->step++;
        r->step_next(r);
        return;
    }
    if (err == ERR_FENCED || err == ERR_GONE) {
        log_info("run %.*s was given to another agent", SV_ARG(r->g.run_id));
        run_forget(r);
        return;
    }
    if (err == ERR_TIMEOUT || err_retryable(err)) {
        log_warn("run %.*s: step %llu not stored yet: %s", SV_ARG(r->g.run_id), (unsigned long long)r->step + 1,
                 err_name(err));
        step_send(r);
        return;
    }
    const struct msg_status *st = body;
    sv text = st ? st->text : SV_NULL;
    log_error("run %.*s: STEP refused: %s %.*s", SV_ARG(r->g.run_id), err_name(err), SV_ARG(text));
    run_finish(r, "error", "unknown", SV("The work of this answer could not be stored; the log of the agent worker says why."),
               "error");
}

static void step_send(struct run *r)
{
    struct msg_step m = {
        .run_id = r->g.run_id,
        .fence = r->g.fence,
        .step = r->step + 1,
        .rows = &r->rows[r->step_from],
        .rows_n = r->rows_n - r->step_from,
    };
    r->state = RUN_STORING;
    crash_point(intent(r) ? "agent.before_intent" : "agent.before_result");
    store_call(r->agent->store, MSG_STEP, &m, STEP_WITHIN_MS, on_stored, r);
}

void step_store(struct run *r, size_t from, void (*next)(struct run *r))
{
    r->step_from = from;
    r->step_next = next;
    step_send(r);
}

bool step_resume(struct run *r)
{
    if (r->rows_n == 0) {
        return false;
    }
    /* Back over results to the assistant row they answer. */
    size_t i = r->rows_n;
    while (i > 0 && sv_eq(r->rows[i - 1].role, SV("toolResult"))) {
        i--;
    }
    const struct msg_entry *e = i > 0 ? &r->rows[i - 1] : NULL;
    if (!e || !sv_eq(e->role, SV("assistant")) || !sv_eq(e->run_id, r->g.run_id) || e->calls_n == 0 ||
        e->calls_n <= r->rows_n - i) {
        return false;
    }
    log_info("run %.*s: attempt %llu goes on after step %llu", SV_ARG(r->g.run_id), (unsigned long long)r->g.attempt,
             (unsigned long long)r->step);
    calls_run(r, i - 1, true);
    return true;
}
