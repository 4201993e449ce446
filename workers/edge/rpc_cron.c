/*
 * rpc_cron.c: cron.* (gateway-ws.md 15.7) over the jobs of the store.
 * Runs in: edge.     Owns: nothing.
 * Never: fires a job (the cron worker does), keeps a copy of one.
 * Tested in: tests/scn/e8-cron.test.mjs
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "common/text.h"
#include "workers/edge/cronjson.h"
#include "workers/edge/cronparams.h"
#include "workers/edge/params.h"
#include "workers/edge/rpc.h"

rpc_fn rpc_cron_status, rpc_cron_list, rpc_cron_get, rpc_cron_add, rpc_cron_update, rpc_cron_remove, rpc_cron_run,
    rpc_cron_runs;

#define LIST_DEFAULT 200
#define RUNS_DEFAULT 50
#define PAGE 200 /* jobs asked from the store at a time */

/* ---- shared ---------------------------------------------------------------------------------------- */

static sv job_id(const struct rpc_call *call)
{
    sv id = rpc_str(call, "id");
    return id.n > 0 ? id : rpc_str(call, "jobId");
}

static void fail_gone(struct rpc_call *call)
{
    struct buf details = BUF_INIT(1024);
    struct buf message = BUF_INIT(512);
    sv id = job_id(call);
    buf_str(&details, "{\"code\":\"CRON_JOB_NOT_FOUND\",\"jobId\":");
    buf_json_str(&details, id);
    buf_ch(&details, '}');
    buf_printf(&message, "cron job not found: %.*s. List the jobs and retry with a current id.", SV_ARG(id));
    const struct rpc_error err = {
        .code = "INVALID_REQUEST", .message = buf_view(&message), .details = buf_view(&details)};
    rpc_fail_with(call, &err);
    buf_free(&details);
    buf_free(&message);
}

static void fail_store(struct rpc_call *call, const struct rpc_answer *a)
{
    if (a->err == ERR_GONE) {
        fail_gone(call);
    } else {
        rpc_fail_store(call, a->err, a->type, a->body);
    }
}

static bool has_id(struct rpc_call *call)
{
    if (job_id(call).n > 0) {
        return true;
    }
    rpc_fail(call, "INVALID_REQUEST", "invalid %s params: must have required property 'id'", rpc_name(call));
    return false;
}

static void answer_job(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_JOB) {
        fail_store(call, &(struct rpc_answer){err, type, body});
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    cron_job_row(&b, body);
    rpc_done(call, &b);
}

/* ---- status ---------------------------------------------------------------------------------------- */

static void on_status(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_JOBS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_cron_jobs *m = body;
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"enabled\":%s,\"triggersEnabled\":false,\"storePath\":\"store\",\"storage\":\"lmdb\",\"jobs\":%" PRIu64
                   ",\"nextWakeAtMs\":",
               conf_bool(worker_conf(call->e->w), "cron.enabled", true) ? "true" : "false", m->total);
    if (m->next_due_ms > 0) {
        buf_printf(&b, "%" PRId64 "}", m->next_due_ms);
    } else {
        buf_str(&b, "null}");
    }
    rpc_done(call, &b);
}

void rpc_cron_status(struct rpc_call *call)
{
    const struct msg_cron_list list = {.limit = 1};
    rpc_store(call, MSG_CRON_LIST, &list, on_status);
}

/* ---- list: all jobs are read, then filtered, sorted and cut ----------------------------------------- */

struct job_line {
    char *json, *name;
    int64_t next_ms, updated_ms;
};

struct job_list {
    struct job_line *rows;
    size_t n, cap;
    uint64_t read; /* rows of the store seen so far */
    struct buf seen; /* what the revision is made of */
};

static void list_free(struct rpc_call *call)
{
    struct job_list *l = call->data;
    for (size_t i = 0; l != NULL && i < l->n; i++) {
        xfree(l->rows[i].json);
        xfree(l->rows[i].name);
    }
    if (l != NULL) {
        xfree(l->rows);
        buf_free(&l->seen);
    }
}

static bool contains(sv hay, sv needle)
{
    for (size_t i = 0; needle.n > 0 && i + needle.n <= hay.n; i++) {
        if (sv_eq_nocase(sv_sub(hay, i, needle.n), needle)) {
            return true;
        }
    }
    return needle.n == 0;
}

static bool wanted(const struct rpc_call *call, const struct msg_cron_job *j)
{
    sv enabled = rpc_str(call, "enabled"), kind = rpc_str(call, "scheduleKind"), last = rpc_str(call, "lastRunStatus"),
       agent = rpc_str(call, "agentId"), query = rpc_str(call, "query");
    bool off_too = rpc_bool(call, "includeDisabled", false) || enabled.n > 0;
    sv status = j->last_status.n > 0 ? j->last_status : SV("unknown");
    return (off_too || !j->off) && (!sv_eqc(enabled, "enabled") || !j->off) && (!sv_eqc(enabled, "disabled") || j->off) &&
           (kind.n == 0 || sv_eqc(kind, "all") || sv_eq(kind, j->kind)) &&
           (last.n == 0 || sv_eqc(last, "all") || sv_eq(last, status)) &&
           (agent.n == 0 || sv_eq(agent, j->agent_id.n > 0 ? j->agent_id : SV(EDGE_DEFAULT_AGENT))) &&
           (contains(j->name, query) || contains(j->text, query) || contains(j->job_id, query));
}

static void list_add(struct rpc_call *call, const struct msg_cron_job *j)
{
    struct job_list *l = call->data;
    buf_printf(&l->seen, "%.*s %" PRId64 " %" PRId64 " %.*s\n", SV_ARG(j->job_id), j->updated_ms, j->due_ms,
               SV_ARG(j->last_status));
    if (!wanted(call, j)) {
        return;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->rows = xrealloc(l->rows, l->cap * sizeof *l->rows);
    }
    struct buf b = BUF_INIT(OUT_MSG_MAX);
    cron_job_row(&b, j);
    l->rows[l->n++] = (struct job_line){buf_take(&b), xsvdup(j->name), j->due_ms, j->updated_ms};
}

static int64_t far(int64_t ms)
{
    return ms > 0 ? ms : INT64_MAX; /* jobs without a next time come last */
}

static int by_next(const void *a, const void *b)
{
    const struct job_line *x = a, *y = b;
    return far(x->next_ms) < far(y->next_ms) ? -1 : far(x->next_ms) > far(y->next_ms);
}

static int by_updated(const void *a, const void *b)
{
    const struct job_line *x = a, *y = b;
    return x->updated_ms < y->updated_ms ? -1 : x->updated_ms > y->updated_ms;
}

static int by_name(const void *a, const void *b)
{
    const struct job_line *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void list_answer(struct rpc_call *call)
{
    struct job_list *l = call->data;
    sv by = rpc_str(call, "sortBy");
    uint8_t h[16];
    struct buf b;
    if (l->n > 0) {
        qsort(l->rows, l->n, sizeof *l->rows, sv_eqc(by, "name") ? by_name : sv_eqc(by, "updatedAtMs") ? by_updated : by_next);
    }
    bool down = sv_eqc(rpc_str(call, "sortDir"), "desc");
    size_t limit = (size_t)rpc_int(call, "limit", LIST_DEFAULT), from = (size_t)rpc_int(call, "offset", 0);
    size_t end = from < l->n && l->n - from > limit ? from + limit : l->n;
    sv seen = buf_view(&l->seen);
    crypto_key128(h, &seen, 1);
    rpc_begin(call, &b);
    buf_str(&b, "{\"jobs\":[");
    for (size_t i = from; i < end; i++) {
        buf_str(&b, i > from ? "," : "");
        buf_str(&b, l->rows[down ? l->n - 1 - i : i].json);
    }
    buf_str(&b, "],\"snapshotRevision\":\"");
    hex_encode(&b, sv_mem(h, sizeof h));
    buf_printf(&b, "\",\"total\":%zu,\"offset\":%zu,\"limit\":%zu,\"hasMore\":%s,\"nextOffset\":", l->n, from, limit,
               end < l->n ? "true" : "false");
    if (end < l->n) {
        buf_printf(&b, "%zu}", end);
    } else {
        buf_str(&b, "null}");
    }
    rpc_done(call, &b);
}

static void list_ask(struct rpc_call *call);

static void on_list(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_JOBS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_cron_jobs *m = body;
    struct job_list *l = call->data;
    for (size_t i = 0; i < m->rows_n; i++) {
        list_add(call, &m->rows[i]);
    }
    l->read += m->rows_n;
    if (m->rows_n > 0 && l->read < m->total) {
        list_ask(call);
    } else {
        list_answer(call);
    }
}

static void list_ask(struct rpc_call *call)
{
    const struct job_list *l = call->data;
    const struct msg_cron_list list = {.all = true, .limit = PAGE, .offset = l->read};
    rpc_store(call, MSG_CRON_LIST, &list, on_list);
}

void rpc_cron_list(struct rpc_call *call)
{
    struct job_list *l = xcalloc(1, sizeof *l);
    l->seen = BUF_INIT(1024 * 1024);
    call->data = l;
    call->on_free = list_free;
    list_ask(call);
}

/* ---- get, add, update ------------------------------------------------------------------------------ */

static void ask_job(struct rpc_call *call, sv id, rpc_reply_fn *fn)
{
    const struct msg_cron_list list = {.job_id = id};
    rpc_store(call, MSG_CRON_LIST, &list, fn);
}

/* The job of an answer to ask_job, NULL: answered with an error. */
static const struct msg_cron_job *the_job(struct rpc_call *call, const struct rpc_answer *a)
{
    const struct msg_cron_jobs *m = a->body;
    if (a->err != OK || a->type != MSG_CRON_JOBS) {
        rpc_fail_store(call, a->err, a->type, a->body);
        return NULL;
    }
    if (m->rows_n == 0) {
        fail_gone(call);
        return NULL;
    }
    return &m->rows[0];
}

static void on_get(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_cron_job *job = the_job(call, &(struct rpc_answer){err, type, body});
    if (job != NULL) {
        answer_job(call, OK, MSG_CRON_JOB, job);
    }
}

void rpc_cron_get(struct rpc_call *call)
{
    if (has_id(call)) {
        ask_job(call, job_id(call), on_get);
    }
}

static void put(struct rpc_call *call, struct msg_cron_job *job, const json_t *spec, rpc_reply_fn *fn)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT(400);
    int64_t now = clock_real_ms();
    if (!cron_params(spec, &a, now, job, &why)) {
        rpc_fail(call, "INVALID_REQUEST", "invalid %s params: %s", rpc_name(call), buf_cstr(&why));
    } else if (!edge_agent_known(call->e, job->agent_id.n > 0 ? job->agent_id : SV(EDGE_DEFAULT_AGENT))) {
        rpc_fail(call, "INVALID_REQUEST", "invalid %s params: unknown agent id \"%.*s\"", rpc_name(call),
                 SV_ARG(job->agent_id));
    } else {
        char id[ID_UUID_LEN]; /* ours: the request is repeated until it is answered, and must not add a second job */
        id_uuid(id);
        job->job_id = job->job_id.n > 0 ? job->job_id : sv_of(id);
        job->due_ms = cron_params_due(job, now);
        rpc_store(call, MSG_CRON_JOB, job, fn);
    }
    buf_free(&why);
    arena_free(&a);
}

static void on_declared(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_JOB) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"created\":%s,", call->flag ? "false,\"updated\":true" : "true");
    buf_str(&b, "\"job\":");
    cron_job_row(&b, body);
    buf_ch(&b, '}');
    rpc_done(call, &b);
}

static void on_declared_before(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_JOBS) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_cron_jobs *m = body;
    struct msg_cron_job job = {.job_id = sv_of(call->run_id)};
    call->flag = m->rows_n > 0;
    put(call, &job, call->params, on_declared);
}

void rpc_cron_add(struct rpc_call *call)
{
    sv declared = rpc_str(call, "declarationKey");
    struct msg_cron_job job = {.job_id = SV_NULL};
    json_t *once = json_object_get(call->params, "schedule");
    id_uuid(call->run_id);
    if (declared.n > 0) { /* the id is made of the key: a repeat finds the job */
        uint8_t k[16];
        struct buf id = BUF_INIT(64);
        crypto_key128(k, &declared, 1);
        hex_encode(&id, sv_mem(k, sizeof k));
        sv_copy(call->run_id, sizeof call->run_id, buf_view(&id));
        buf_free(&id);
        ask_job(call, sv_of(call->run_id), on_declared_before);
        return;
    }
    job.job_id = sv_of(call->run_id);
    job.delete_after = sv_eqc(json_sv(once, "kind"), "at");
    put(call, &job, call->params, answer_job);
}

static void on_update(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_cron_job *old = the_job(call, &(struct rpc_answer){err, type, body});
    if (old != NULL) {
        struct msg_cron_job job = *old;
        put(call, &job, json_object_get(call->params, "patch"), answer_job);
    }
}

void rpc_cron_update(struct rpc_call *call)
{
    if (has_id(call)) {
        ask_job(call, job_id(call), on_update);
    }
}

/* ---- remove, run ----------------------------------------------------------------------------------- */

static void on_removed(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK) {
        fail_store(call, &(struct rpc_answer){err, type, body});
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"removed\":true}");
    rpc_done(call, &b);
}

void rpc_cron_remove(struct rpc_call *call)
{
    if (has_id(call)) {
        const struct msg_cron_del del = {.job_id = job_id(call)};
        rpc_store(call, MSG_CRON_DEL, &del, on_removed);
    }
}

static void answer_not_run(struct rpc_call *call, const char *reason)
{
    struct buf b;
    rpc_begin(call, &b);
    buf_printf(&b, "{\"ok\":true,\"ran\":false,\"reason\":\"%s\",\"processInstanceId\":\"%s\"}", reason, call->e->boot_id);
    rpc_done(call, &b);
}

static void on_run(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err == ERR_CONFLICT) {
        answer_not_run(call, "already-running");
        return;
    }
    if (err != OK) {
        fail_store(call, &(struct rpc_answer){err, type, body});
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"ok\":true,\"enqueued\":true,\"runId\":");
    buf_json_str(&b, sv_of(call->run_id));
    buf_printf(&b, ",\"processInstanceId\":\"%s\"}", call->e->boot_id);
    rpc_done(call, &b);
}

static void on_run_job(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_cron_job *job = the_job(call, &(struct rpc_answer){err, type, body});
    sv mode = rpc_str(call, "mode");
    int64_t now = clock_real_ms();
    if (job == NULL) {
        return;
    }
    if (sv_eqc(mode, "due") && (job->due_ms == 0 || job->due_ms > now)) {
        answer_not_run(call, "not-due");
        return;
    }
    if (sv_eqc(mode, "if-enabled") && job->off) {
        answer_not_run(call, "disabled");
        return;
    }
    struct buf id = BUF_INIT(sizeof call->run_id - 1);
    buf_printf(&id, "manual:%.*s:%" PRId64, SV_ARG(job->job_id), now);
    sv_copy(call->run_id, sizeof call->run_id, buf_view(&id));
    buf_free(&id);
    const struct msg_cron_run run = {.job_id = job->job_id, .run_id = sv_of(call->run_id)};
    rpc_store(call, MSG_CRON_RUN, &run, on_run);
}

void rpc_cron_run(struct rpc_call *call)
{
    if (has_id(call)) {
        ask_job(call, job_id(call), on_run_job);
    }
}

/* ---- runs ------------------------------------------------------------------------------------------ */

static void on_runs(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    if (err != OK || type != MSG_CRON_ENTRIES) {
        rpc_fail_store(call, err, type, body);
        return;
    }
    const struct msg_cron_entries *m = body;
    uint64_t offset = (uint64_t)rpc_int(call, "offset", 0), next = offset + m->rows_n;
    bool more = m->rows_n > 0 && next < m->total;
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, "{\"entries\":[");
    for (size_t i = 0; i < m->rows_n; i++) {
        buf_str(&b, i ? "," : "");
        cron_entry_row(&b, &m->rows[i]);
    }
    buf_printf(&b, "],\"total\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"limit\":%" PRId64 ",\"hasMore\":%s,\"nextOffset\":",
               m->total, offset, rpc_int(call, "limit", RUNS_DEFAULT), more ? "true" : "false");
    if (more) {
        buf_printf(&b, "%" PRIu64 "}", next);
    } else {
        buf_str(&b, "null}");
    }
    rpc_done(call, &b);
}

void rpc_cron_runs(struct rpc_call *call)
{
    sv status = rpc_str(call, "status");
    bool all = sv_eqc(rpc_str(call, "scope"), "all");
    if (!all && !has_id(call)) {
        return;
    }
    const struct msg_cron_runs q = {
        .job_id = all ? SV_NULL : job_id(call),
        .run_id = rpc_str(call, "runId"),
        .status = sv_eqc(status, "all") ? SV_NULL : status,
        .limit = (uint64_t)rpc_int(call, "limit", RUNS_DEFAULT),
        .offset = (uint64_t)rpc_int(call, "offset", 0),
    };
    rpc_store(call, MSG_CRON_RUNS, &q, on_runs);
}
