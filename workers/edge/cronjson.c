/*
 * cronjson.c: see cronjson.h.
 * Runs in: edge.     Owns: nothing.
 * Never: changes anything.
 * Tested in: tests/unit/edge/test_cronparams.c, tests/scn/e8-cron.test.mjs
 */
#include "workers/edge/cronjson.h"

#include <inttypes.h>

#include "common/clock.h"

static void add(struct buf *b, const char *key, sv value)
{
    if (value.n > 0) {
        buf_printf(b, ",\"%s\":", key);
        buf_json_str(b, value);
    }
}

static void add_num(struct buf *b, const char *key, int64_t n)
{
    buf_printf(b, ",\"%s\":%" PRId64, key, n);
}

static void add_ms(struct buf *b, const char *key, int64_t ms)
{
    if (ms > 0) {
        add_num(b, key, ms);
    }
}

static void add_schedule(struct buf *b, const struct msg_cron_job *j)
{
    char iso[CLOCK_ISO_LEN];
    buf_str(b, ",\"schedule\":{\"kind\":");
    buf_json_str(b, j->kind);
    if (sv_eqc(j->kind, "at")) {
        clock_iso(j->at_ms ? j->at_ms : j->due_ms ? j->due_ms : j->fired_ms, iso);
        add(b, "at", sv_of(iso));
    } else if (sv_eqc(j->kind, "every")) {
        add_num(b, "everyMs", j->every_ms);
        add_num(b, "anchorMs", j->anchor_ms);
    } else {
        add(b, "expr", j->expr);
        add(b, "tz", j->tz);
        add_num(b, "staggerMs", j->stagger_ms);
    }
    buf_ch(b, '}');
}

static void add_target(struct buf *b, const struct msg_cron_job *j)
{
    struct buf target = BUF_INIT(600);
    if (j->target.n > 0) {
        buf_sv(&target, j->target);
    } else if (j->session_key.n > 0) {
        buf_str(&target, "session:");
        buf_sv(&target, j->session_key);
    } else {
        buf_str(&target, "isolated");
    }
    add(b, "sessionTarget", buf_view(&target));
    buf_free(&target);
}

/* Jobs of the command line have no payload of their own: they are agent turns. */
static void add_payload(struct buf *b, const struct msg_cron_job *j)
{
    buf_str(b, ",\"payload\":");
    if (j->payload.n > 0) {
        buf_sv(b, j->payload);
    } else {
        buf_str(b, "{\"kind\":\"agentTurn\"");
        add(b, "message", j->text);
        buf_ch(b, '}');
    }
    if (j->delivery.n > 0) {
        buf_str(b, ",\"delivery\":");
        buf_sv(b, j->delivery);
    } else if (j->deliver_channel.n > 0) {
        buf_str(b, ",\"delivery\":{\"mode\":\"announce\"");
        add(b, "channel", j->deliver_channel);
        add(b, "to", j->deliver_to);
        buf_ch(b, '}');
    }
}

static void add_state(struct buf *b, const struct msg_cron_job *j)
{
    buf_printf(b, ",\"state\":{\"consecutiveErrors\":%" PRIu64, j->errors);
    add_ms(b, "nextRunAtMs", j->due_ms);
    if (j->active_run.n > 0) {
        add_ms(b, "runningAtMs", j->fired_ms);
    }
    add_ms(b, "lastRunAtMs", j->fired_ms);
    if (j->last_status.n > 0) {
        add(b, "lastRunStatus", j->last_status);
        add(b, "lastStatus", j->last_status);
        add_num(b, "lastDurationMs", j->last_took_ms);
    }
    add(b, "lastError", j->last_error);
    buf_ch(b, '}');
}

void cron_job_row(struct buf *b, const struct msg_cron_job *j)
{
    buf_str(b, "{\"id\":");
    buf_json_str(b, j->job_id);
    add(b, "name", j->name.n > 0 ? j->name : j->job_id);
    buf_printf(b, ",\"enabled\":%s", j->off ? "false" : "true");
    add_num(b, "createdAtMs", j->created_ms);
    add_num(b, "updatedAtMs", j->updated_ms ? j->updated_ms : j->created_ms);
    add_schedule(b, j);
    add_target(b, j);
    add(b, "wakeMode", j->wake.n > 0 ? j->wake : SV("now"));
    add_payload(b, j);
    add(b, "description", j->description);
    add(b, "declarationKey", j->declaration_key);
    add(b, "agentId", j->agent_id);
    add(b, "sessionKey", j->session_key);
    if (sv_eqc(j->kind, "at")) {
        buf_printf(b, ",\"deleteAfterRun\":%s", j->delete_after ? "true" : "false");
    }
    buf_printf(b, ",\"configRevision\":\"%" PRId64 "\"", j->updated_ms);
    add_state(b, j);
    buf_ch(b, '}');
}

static void add_outcome(struct buf *b, const struct msg_cron_entry *e)
{
    bool good = sv_eqc(e->status, "ok");
    int64_t started = e->started_ms ? e->started_ms : e->at_ms;
    add(b, "status", e->status);
    add(b, "completionStatus", good ? SV("succeeded") : sv_eqc(e->status, "error") ? SV("failed") : SV("unknown"));
    add(b, "error", e->error);
    add(b, "summary", e->summary);
    add(b, "runId", e->run_id);
    add_num(b, "runAtMs", started);
    add_num(b, "durationMs", e->at_ms - started);
    add_ms(b, "nextRunAtMs", e->next_ms);
    add(b, "model", e->model);
    add(b, "provider", e->provider);
    buf_printf(b, ",\"usage\":{\"input_tokens\":%" PRIu64 ",\"output_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}",
               e->in_tokens, e->out_tokens, e->in_tokens + e->out_tokens);
    /* Whether it has arrived is a question for the outbox; here only whether it went there. */
    add(b, "deliveryStatus", e->deliver && good ? SV("unknown") : SV("not-requested"));
    add(b, "sessionId", e->session_id);
    add(b, "sessionKey", e->session_key);
}

void cron_entry_row(struct buf *b, const struct msg_cron_entry *e)
{
    buf_printf(b, "{\"ts\":%" PRId64 ",\"jobId\":", e->at_ms);
    buf_json_str(b, e->job_id);
    buf_str(b, ",\"action\":\"finished\"");
    add_outcome(b, e);
    add(b, "jobName", e->job_name);
    buf_ch(b, '}');
}

void cron_news(struct buf *b, const struct msg_cron_news *n)
{
    buf_str(b, "{\"jobId\":");
    buf_json_str(b, n->job_id);
    add(b, "action", n->action);
    if (n->job_n == 1) {
        buf_str(b, ",\"job\":");
        cron_job_row(b, &n->job[0]);
    }
    if (n->entry_n == 1) {
        add_outcome(b, &n->entry[0]);
    } else if (n->job_n == 1) {
        add_ms(b, "nextRunAtMs", n->job[0].due_ms);
        if (sv_eqc(n->action, "started")) {
            add_ms(b, "runAtMs", n->job[0].fired_ms);
        }
    }
    buf_ch(b, '}');
}
