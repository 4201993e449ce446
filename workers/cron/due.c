/*
 * due.c: see due.h.
 * Runs in: the cron worker.     Owns: nothing.
 * Never: reads a clock.
 * Tested in: tests/unit/cron/test_due.c
 */
#include "workers/cron/due.h"

#include "common/schedule.h"

#define KEEP_MS (24ULL * 3600 * 1000) /* sessions of isolated runs (automation.md 1.7) */
#define STALE_MS (24LL * 3600 * 1000) /* a run that is said to be under way for so long is not */

int64_t due_sleep_ms(int64_t now_ms, int64_t next_due_ms)
{
    if (next_due_ms == 0 || next_due_ms - now_ms > DUE_SLEEP_MAX_MS) {
        return DUE_SLEEP_MAX_MS;
    }
    return next_due_ms > now_ms ? next_due_ms - now_ms : 0;
}

bool due_skip(const struct msg_cron_job *job, int64_t now_ms)
{
    return !sv_empty(job->active_run) && sv_empty(job->force_run) && now_ms - job->fired_ms < STALE_MS;
}

int64_t due_next(const struct msg_cron_job *job, int64_t now_ms)
{
    const struct schedule s = {
        .kind = job->kind,
        .every_ms = job->every_ms,
        .anchor_ms = job->anchor_ms,
        .expr = job->expr,
        .tz = job->tz,
        .offset_ms = job->offset_ms,
    };
    int64_t after = job->due_ms > now_ms ? job->due_ms : now_ms;
    return sv_eqc(job->kind, "at") ? 0 : schedule_next(&s, after);
}

/* Where the turn happens (automation.md 1.4). */
static sv session_of(const struct msg_cron_job *job, sv agent, struct arena *a)
{
    if (!sv_empty(job->session_key)) {
        return job->session_key;
    }
    if (sv_eqc(job->target, "main") || sv_eqc(job->target, "current")) {
        return arena_printf(a, "agent:%.*s:main", SV_ARG(agent));
    }
    if (sv_starts(job->target, SV("session:"))) {
        return sv_sub(job->target, 8, job->target.n);
    }
    if (sv_eqc(job->target, "isolated")) {
        return arena_printf(a, "agent:%.*s:cron:%.*s:run:%lld", SV_ARG(agent), SV_ARG(job->job_id),
                            (long long)job->due_ms);
    }
    return arena_printf(a, "agent:%.*s:cron:%.*s", SV_ARG(agent), SV_ARG(job->job_id));
}

static void add_route(const struct msg_cron_job *job, struct msg_ingest *out)
{
    if (sv_empty(job->deliver_channel) || (sv_empty(job->deliver_to) && !sv_eqc(job->deliver_channel, "last"))) {
        return;
    }
    out->deliver = true;
    out->deliver_channel = job->deliver_channel;
    out->deliver_account = sv_empty(job->deliver_account) ? SV("default") : job->deliver_account;
    out->deliver_to = job->deliver_to;
}

void due_ingest(const struct msg_cron_job *job, struct arena *a, struct msg_ingest *out)
{
    sv agent = sv_empty(job->agent_id) ? SV("main") : job->agent_id;
    long long due = (long long)job->due_ms;
    bool by_hand = !sv_empty(job->force_run);
    *out = (struct msg_ingest){
        .channel = SV("cron"),
        .account = SV("default"),
        .event_id = by_hand ? job->force_run : arena_printf(a, "%.*s:%lld", SV_ARG(job->job_id), due),
        .run_id = by_hand ? job->force_run : arena_printf(a, "cron:%.*s:%lld", SV_ARG(job->job_id), due),
        .sender_id = SV("cron"),
        .sender_name = sv_empty(job->name) ? job->job_id : job->name,
        .text = job->text,
        .agent_id = agent,
        .session_key = session_of(job, agent, a),
        .lane = SV("cron"),
        .queue_mode = SV("followup"), /* a job is a turn of its own, never part of somebody's message */
        .model = job->model,
        .timeout_ms = job->timeout_ms,
        .keep_ms = sv_eqc(job->target, "isolated") ? KEEP_MS : 0,
        .ts_ms = job->due_ms,
        .received_ms = job->due_ms,
    };
    add_route(job, out);
}
