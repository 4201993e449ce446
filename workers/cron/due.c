/*
 * due.c: see due.h.
 * Runs in: the cron worker.     Owns: nothing.
 * Never: reads a clock.
 * Tested in: tests/unit/cron/test_due.c
 */
#include "workers/cron/due.h"

int64_t due_sleep_ms(int64_t now_ms, int64_t next_due_ms)
{
    if (next_due_ms == 0 || next_due_ms - now_ms > DUE_SLEEP_MAX_MS) {
        return DUE_SLEEP_MAX_MS;
    }
    return next_due_ms > now_ms ? next_due_ms - now_ms : 0;
}

void due_ingest(const struct msg_cron_job *job, struct arena *a, struct msg_ingest *out)
{
    sv agent = sv_empty(job->agent_id) ? SV("main") : job->agent_id;
    long long due = (long long)job->due_ms;
    *out = (struct msg_ingest){
        .channel = SV("cron"),
        .account = SV("default"),
        .event_id = arena_printf(a, "%.*s:%lld", SV_ARG(job->job_id), due),
        .run_id = arena_printf(a, "cron:%.*s:%lld", SV_ARG(job->job_id), due),
        .sender_id = SV("cron"),
        .sender_name = sv_empty(job->name) ? job->job_id : job->name,
        .text = job->text,
        .agent_id = agent,
        .session_key = job->session_key,
        .lane = SV("cron"),
        .queue_mode = SV("followup"), /* a job is a turn of its own, never part of somebody's message */
        .ts_ms = job->due_ms,
        .received_ms = job->due_ms,
    };
    if (sv_empty(job->session_key)) {
        out->session_key = arena_printf(a, "agent:%.*s:cron:%.*s", SV_ARG(agent), SV_ARG(job->job_id));
    }
    if (!sv_empty(job->deliver_channel) && !sv_empty(job->deliver_to)) {
        out->deliver = true;
        out->deliver_channel = job->deliver_channel;
        out->deliver_account = sv_empty(job->deliver_account) ? SV("default") : job->deliver_account;
        out->deliver_to = job->deliver_to;
    }
}
