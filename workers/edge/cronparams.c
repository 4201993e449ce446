/*
 * cronparams.c: see cronparams.h.
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a job that this gateway could not run as it says.
 * Tested in: tests/unit/edge/test_cronparams.c
 */
#include "workers/edge/cronparams.h"

#include <string.h>

#include "common/clock.h"
#include "common/cronexpr.h"
#include "common/crypto.h"
#include "common/schedule.h"
#include "workers/edge/params.h"

#define STAGGER_MS 300000 /* jobs of the full hour start within five minutes (automation.md 1.2) */
#define PAST_MS 60000     /* a time that has just passed is now */

struct take {
    struct arena *a;
    int64_t now_ms;
    struct buf *why;
};

static bool bad(const struct take *t, const char *where, const char *what)
{
    buf_printf(t->why, "at %s: %s", where, what);
    return false;
}

static sv text_of(const struct take *t, const json_t *v)
{
    struct buf b = BUF_INIT(131072);
    json_print(&b, v);
    sv out = b.full ? SV_NULL : arena_sv(t->a, buf_view(&b));
    buf_free(&b);
    return out;
}

/* ---- schedule -------------------------------------------------------------------------------------- */

/* ISO 8601; without a zone it is UTC, a date alone is its midnight; "20m" is from now. */
static bool parse_at(const struct take *t, sv text, int64_t *ms)
{
    if (clock_iso_parse(text, ms)) {
        return true;
    }
    if (duration_parse(text, ms)) {
        *ms += t->now_ms;
        return true;
    }
    const char *tail = text.n == 10 ? "T00:00:00Z" : "Z";
    return clock_iso_parse(arena_printf(t->a, "%.*s%s", SV_ARG(text), tail), ms);
}

static bool take_at(const struct take *t, const json_t *s, struct msg_cron_job *job)
{
    if (!parse_at(t, json_sv(s, "at"), &job->at_ms)) {
        return bad(t, "/schedule/at", "must be a time like 2026-12-24T18:00:00+01:00 or 20m");
    }
    return job->at_ms >= t->now_ms - PAST_MS || bad(t, "/schedule/at", "must not be in the past");
}

static bool take_cron(const struct take *t, const json_t *s, struct msg_cron_job *job)
{
    struct cronexpr x;
    char why[128], zone[64];
    job->expr = json_sv(s, "expr");
    job->tz = json_sv(s, "tz");
    if (!cronexpr_parse(job->expr, &x, why, sizeof why)) {
        return bad(t, "/schedule/expr", why);
    }
    if (job->tz.n == 0) { /* fixed now, so that moving the machine does not move the job */
        tz_system_name(zone, sizeof zone);
        job->tz = arena_sv(t->a, sv_of(zone));
    }
    job->stagger_ms = json_i64(s, "staggerMs", x.top_of_hour ? STAGGER_MS : 0);
    job->offset_ms = 0;
    if (job->stagger_ms > 0) {
        uint8_t h[32];
        crypto_sha256(h, job->job_id);
        uint32_t n = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
        job->offset_ms = (int64_t)(n % (uint64_t)job->stagger_ms);
    }
    return true;
}

static struct schedule schedule_of(const struct msg_cron_job *job)
{
    return (struct schedule){
        .kind = job->kind,
        .at_ms = job->at_ms,
        .every_ms = job->every_ms,
        .anchor_ms = job->anchor_ms,
        .expr = job->expr,
        .tz = job->tz,
        .offset_ms = job->offset_ms,
    };
}

static bool take_schedule(const struct take *t, const json_t *s, struct msg_cron_job *job)
{
    static const struct param rows[] = {
        {"kind", P_STR, true, PARAM_NO, PARAM_NO, "at|every|cron|on-exit|stream", NULL},
        {"at", P_STR, false, 1, 64, NULL, NULL},
        {"everyMs", P_INT, false, 1, PARAM_NO, NULL, NULL},
        {"anchorMs", P_INT, false, 0, PARAM_NO, NULL, NULL},
        {"expr", P_STR, false, 1, 256, NULL, NULL},
        {"tz", P_STR, false, PARAM_NO, 64, NULL, NULL},
        {"staggerMs", P_INT, false, 0, 86400000, NULL, NULL},
        {"command", P_ANY, false, PARAM_NO, PARAM_NO, NULL, NULL},
        {NULL, P_ANY, false, 0, 0, NULL, NULL},
    };
    char why[160];
    if (!params_check(s, rows, PARAM_LENIENT, t->why)) {
        return false;
    }
    job->kind = json_sv(s, "kind");
    bool ok = true;
    if (sv_eqc(job->kind, "at")) {
        ok = take_at(t, s, job);
    } else if (sv_eqc(job->kind, "every")) {
        job->every_ms = json_i64(s, "everyMs", 0);
        job->anchor_ms = json_i64(s, "anchorMs", t->now_ms);
    } else if (sv_eqc(job->kind, "cron")) {
        ok = take_cron(t, s, job);
    } else {
        return bad(t, "/schedule/kind", "must be at, every or cron here");
    }
    const struct schedule check = schedule_of(job);
    return ok && (schedule_check(&check, t->now_ms, why, sizeof why) || bad(t, "/schedule", why));
}

/* ---- payload, delivery ----------------------------------------------------------------------------- */

static bool take_payload(const struct take *t, const json_t *p, struct msg_cron_job *job)
{
    sv kind = json_sv(p, "kind");
    bool event = sv_eqc(kind, "systemEvent");
    if (!event && !sv_eqc(kind, "agentTurn")) {
        return bad(t, "/payload/kind", "must be systemEvent or agentTurn here");
    }
    job->text = json_sv(p, event ? "text" : "message");
    if (sv_trim(job->text).n == 0) {
        return bad(t, event ? "/payload/text" : "/payload/message", "must not be empty");
    }
    if (job->text.n > 65536) {
        return bad(t, event ? "/payload/text" : "/payload/message", "must not have more than 65536 characters");
    }
    int64_t seconds = json_i64(p, "timeoutSeconds", 0);
    if (seconds < 0 || seconds > 86400) {
        return bad(t, "/payload/timeoutSeconds", "must be from 0 to 86400");
    }
    job->model = sv_sub(json_sv(p, "model"), 0, 128);
    job->timeout_ms = (uint64_t)seconds * 1000;
    job->payload = text_of(t, p);
    return job->payload.n > 0 || bad(t, "/payload", "is too large");
}

static bool take_delivery(const struct take *t, const json_t *d, struct msg_cron_job *job)
{
    sv mode = json_sv(d, "mode");
    job->deliver_channel = job->deliver_account = job->deliver_to = job->delivery = SV_NULL;
    if (json_is_null(d)) {
        return true;
    }
    if (!one_of("none|announce", mode)) {
        return bad(t, "/delivery/mode", "must be none or announce here");
    }
    if (sv_eqc(mode, "announce")) {
        sv channel = json_sv(d, "channel");
        job->deliver_channel = channel.n > 0 ? channel : SV("last");
        job->deliver_account = json_sv(d, "accountId");
        job->deliver_to = json_sv(d, "to");
    }
    if (job->deliver_channel.n > 64 || job->deliver_account.n > 64 || job->deliver_to.n > 256) {
        return bad(t, "/delivery", "is too long");
    }
    job->delivery = text_of(t, d);
    return (job->delivery.n > 0 && job->delivery.n <= 8192) || bad(t, "/delivery", "is too large");
}

static bool take_target(const struct take *t, sv target, struct msg_cron_job *job)
{
    if (!one_of("main|isolated|current", target) && !(sv_starts(target, SV("session:")) && target.n > 8)) {
        return bad(t, "/sessionTarget", "must be main, isolated, current or session:<key>");
    }
    job->target = target;
    return true;
}

/* ---- all ------------------------------------------------------------------------------------------- */

static bool fits_together(const struct take *t, const struct msg_cron_job *job)
{
    json_t *p = json_parse(job->payload, NULL, 0);
    bool event = sv_eqc(json_sv(p, "kind"), "systemEvent");
    json_free(&p);
    if (sv_eqc(job->target, "main") && !event) {
        buf_str(t->why, "main cron jobs require payload.kind=\"systemEvent\" or \"script\"");
        return false;
    }
    if (!sv_eqc(job->target, "main") && event) {
        buf_str(t->why, "systemEvent jobs require sessionTarget=\"main\"");
        return false;
    }
    return true;
}

static void take_words(const json_t *spec, struct msg_cron_job *job)
{
    static const struct {
        const char *key;
        size_t at;
    } rows[] = {
        {"name", offsetof(struct msg_cron_job, name)},
        {"description", offsetof(struct msg_cron_job, description)},
        {"wakeMode", offsetof(struct msg_cron_job, wake)},
        {"agentId", offsetof(struct msg_cron_job, agent_id)},
        {"sessionKey", offsetof(struct msg_cron_job, session_key)},
        {"declarationKey", offsetof(struct msg_cron_job, declaration_key)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (json_object_get(spec, rows[i].key) != NULL) { /* null clears */
            sv value = json_sv(spec, rows[i].key);
            memcpy((char *)job + rows[i].at, &value, sizeof value);
        }
    }
    job->off = !json_flag(spec, "enabled", !job->off);
    job->delete_after = json_flag(spec, "deleteAfterRun", job->delete_after);
}

bool cron_params(const json_t *spec, struct arena *a, int64_t now_ms, struct msg_cron_job *job, struct buf *why)
{
    const struct take t = {a, now_ms, why};
    const json_t *schedule = json_object_get(spec, "schedule"), *payload = json_object_get(spec, "payload"),
                 *delivery = json_object_get(spec, "delivery");
    sv target = json_sv(spec, "sessionTarget");
    take_words(spec, job);
    return (schedule == NULL || take_schedule(&t, schedule, job)) && (payload == NULL || take_payload(&t, payload, job)) &&
           (delivery == NULL || take_delivery(&t, delivery, job)) && (target.n == 0 || take_target(&t, target, job)) &&
           (job->target.n == 0 || fits_together(&t, job));
}

int64_t cron_params_due(const struct msg_cron_job *job, int64_t now_ms)
{
    const struct schedule s = schedule_of(job);
    if (job->off) {
        return 0;
    }
    return sv_eqc(job->kind, "at") ? (job->fired_ms >= job->at_ms ? 0 : job->at_ms) : schedule_next(&s, now_ms);
}
