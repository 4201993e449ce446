/*
 * oai_run.c: see oai_run.h.
 * Runs in: edge.     Owns: struct oai_run.
 * Never: answers before the store has committed the request.
 * Tested in: tests/scn/h2-openai.test.mjs
 */
#include "workers/edge/oai_run.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"
#include "common/text.h"

#define STORE_MS 15000
#define RUN_MAX_MS 86400000    /* the run's own limit ends it before that */
#define KEEP_CHAT_MS 3600000   /* http-surfaces.md 5.1: a session of one request */
#define KEEP_RESP_MS 86400000  /* 6.2: a response can be fetched and continued for a day */

/* ---- failing --------------------------------------------------------------------------------------- */

/* Before the stream has begun an answer, afterwards an event. */
static void fail(struct oai_run *w, const struct http_fail *f)
{
    struct http_req *r = w->r;
    w->ended = true;
    if (r->streaming) {
        w->voice->fail(w, f);
        http_stream_end(r);
    } else {
        http_fail(r, f);
    }
}

static void fail_request(struct oai_run *w)
{
    const struct http_fail f = {
        .status = w->q.bad_status,
        .type = "invalid_request_error",
        .code = w->q.bad_code,
        .param = w->q.bad_param[0] ? w->q.bad_param : NULL,
        .text = sv_of(w->q.bad_text),
    };
    fail(w, &f);
}

struct http_fail oai_run_failure(const struct msg_run *m)
{
    static const struct {
        const char *kind;
        int status;
        const char *type, *code;
    } rows[] = {
        {"context_length", 400, "invalid_request_error", "context_length_exceeded"},
        {"timeout", 504, "api_error", "run_timeout"},
        {"rate_limit", 502, "api_error", "upstream_rate_limit"},
        {"auth", 502, "api_error", "upstream_auth"},
        {"refusal", 502, "api_error", "upstream_refusal"},
        {"unavailable", 502, "api_error", "upstream_unavailable"},
        {"tool_choice_unsatisfied", 502, "api_error", "tool_choice_unsatisfied"},
        {"worker_lost", 502, "api_error", "worker_lost"},
    };
    struct http_fail f = {.status = 502, .type = "api_error", .code = "run_failed",
                          .text = m->error.n > 0 ? m->error : SV("The run failed.")};
    sv kind = sv_eqc(m->state, "timeout") ? SV("timeout") : m->error_kind;
    if (sv_eqc(m->state, "aborted")) {
        f.code = "run_aborted";
        f.text = SV("The run was stopped.");
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (sv_eqc(kind, rows[i].kind)) {
            f.status = rows[i].status;
            f.type = rows[i].type;
            f.code = rows[i].code;
        }
    }
    return f;
}

/* ---- the answer ------------------------------------------------------------------------------------ */

void oai_run_answer_of(struct oai_answer *a, const struct msg_run *m)
{
    a->text = m->reply;
    a->stop = m->stop;
    a->calls = m->calls;
    a->calls_n = m->calls_n;
    a->in_tokens = m->in_tokens;
    a->out_tokens = m->out_tokens;
    a->created_s = m->accepted_ms > 0 ? m->accepted_ms / 1000 : a->created_s;
}

/* White space at both ends belongs to no answer; what ends a piece may still turn out to stand inside. */
static sv sayable(sv text)
{
    return sv_trim(text);
}

static void say(struct oai_run *w, sv all)
{
    if (all.n <= w->said.n) {
        return;
    }
    sv piece = sv_sub(all, w->said.n, all.n);
    w->voice->text(w, piece);
    buf_sv(&w->said, piece);
}

static void pull(struct http_req *r)
{
    struct oai_run *w = r->work;
    if (w->watch.run != NULL && !w->ended) {
        sv all = sayable(delta_all(&w->watch.run->text));
        /* Another attempt says it differently: the end decides what that means. */
        if (sv_starts(all, buf_view(&w->said))) {
            say(w, all);
        }
    }
}

static void end_stream(struct oai_run *w, const struct msg_run *m)
{
    sv said = buf_view(&w->said);
    if (!sv_starts(m->reply, said)) {
        const struct http_fail f = {.status = 502, .type = "api_error", .code = "worker_lost",
                                    .text = SV("The worker that answered was lost, and the answer was begun anew: "
                                               "what was sent of it does not hold.")};
        fail(w, &f);
        return;
    }
    say(w, m->reply);
    w->ended = true;
    w->voice->end(w);
    http_stream_end(w->r);
}

static void end_whole(struct oai_run *w)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2), extra = BUF_INIT(1024);
    w->ended = true;
    w->voice->whole(w, &b);
    if (w->replay) {
        buf_str(&extra, "Idempotent-Replay: true\r\n");
    }
    if (w->q.ignored.n > 0) {
        buf_printf(&extra, "x-tenaza-ignored: %.*s\r\n", SV_ARG(buf_view(&w->q.ignored)));
    }
    http_answer(w->r, 200, "application/json", buf_view(&b), extra.n > 0 ? buf_cstr(&extra) : NULL);
    buf_free(&b);
    buf_free(&extra);
}

static void on_end(void *ctx, const struct msg_run *m)
{
    struct oai_run *w = ctx;
    if (w->ended) {
        return;
    }
    loop_timer_stop(&w->r->deadline);
    if (!sv_eqc(m->state, "ok")) {
        const struct http_fail f = oai_run_failure(m);
        fail(w, &f);
        return;
    }
    oai_run_answer_of(&w->a, m);
    if (w->r->streaming) {
        end_stream(w, m);
    } else {
        end_whole(w);
    }
    w->a.text = w->a.stop = SV_NULL; /* views into m */
    w->a.calls_n = 0;
}

static void on_text(void *ctx)
{
    struct oai_run *w = ctx;
    if (w->r->streaming) {
        http_stream_kick(w->r);
    }
}

/* ---- into the store -------------------------------------------------------------------------------- */

static void begin_answer(struct oai_run *w)
{
    struct http_req *r = w->r;
    struct buf extra = BUF_INIT(1024);
    if (!w->q.stream) {
        return;
    }
    if (w->replay) {
        buf_str(&extra, "Idempotent-Replay: true\r\n");
    }
    if (w->q.ignored.n > 0) {
        buf_printf(&extra, "x-tenaza-ignored: %.*s\r\n", SV_ARG(buf_view(&w->q.ignored)));
    }
    r->pull = pull;
    http_stream_begin(r, "text/event-stream; charset=utf-8", extra.n > 0 ? buf_cstr(&extra) : NULL);
    w->voice->begin(w);
    buf_free(&extra);
}

static void on_stored_run(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    struct oai_run *w = r->work;
    if (err != OK || type != MSG_RUN || w->ended) {
        return; /* the watch goes on: its end comes, or the deadline */
    }
    const struct msg_run *m = body;
    if (run_state_ended(m->state)) {
        runs_unwatch(&w->watch);
        on_end(w, m);
    }
}

static void on_ingested(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    struct oai_run *w = r->work;
    const struct msg_ingested *in = body;
    if (err != OK || type != MSG_INGESTED) {
        w->ended = true;
        http_fail_store(r, err, type, body);
        return;
    }
    if (in->run_id.n == 0) { /* refused by the queue's policy */
        const struct http_fail f = {.status = 429, .type = "rate_limit_error", .code = "queue_full",
                                    .text = in->text.n > 0 ? in->text : SV("Too many messages are waiting.")};
        fail(w, &f);
        return;
    }
    r->admitted = true;
    w->replay = in->dup;
    sv_copy(w->run_id, sizeof w->run_id, in->run_id);
    log_debug("request=%s started run=%s", r->id, w->run_id);
    if (w->q.background && !w->q.stream) {
        end_whole(w);
        return;
    }
    begin_answer(w);
    loop_timer_start(&r->deadline, RUN_MAX_MS);
    runs_watch(r->e, sv_of(w->run_id), sv_of(w->key), &w->watch);
    if (in->dup) {
        const struct msg_run_get get = {.run_id = sv_of(w->run_id)};
        store_call(r->e->store, MSG_RUN_GET, &get, STORE_MS, on_stored_run, r);
    }
}

void oai_run_ingest(struct oai_run *w)
{
    struct http_req *r = w->r;
    uint8_t digest[16];
    sv idem = http_header(r, "idempotency-key");
    const sv parts[] = {sv_of(r->path), buf_view(&r->body)};
    crypto_key128(digest, parts, ARRAY_LEN(parts));
    char event[260];
    snprintf(event, sizeof event, "%s%.*s", w->voice->prefix, SV_ARG(idem.n > 0 ? idem : sv_of(w->run_id)));
    sv model = http_own_header(r, "model");
    sv channel = http_own_header(r, "message-channel");
    int64_t now = clock_real_ms();
    const struct msg_ingest m = {
        .channel = SV("http"),
        .account = SV("client"),
        .event_id = sv_of(event),
        .run_id = sv_of(w->run_id),
        .session_key = sv_of(w->key),
        .agent_id = sv_of(w->agent),
        .sender_name = channel.n > 0 && channel.n <= 64 ? channel : SV_NULL,
        .text = w->q.text,
        .queue_mode = SV("followup"),
        .extra_system = buf_view(&w->q.system),
        .model = model.n <= 128 ? model : SV_NULL,
        .digest = sv_mem(digest, sizeof digest),
        .keep_ms = w->keep_ms,
        .prior = w->q.prior,
        .prior_n = w->q.prior_n,
        .results = w->q.results,
        .results_n = w->q.results_n,
        .opts = &w->q.opts,
        .opts_n = 1,
        .ts_ms = now,
        .received_ms = now,
    };
    w->sent = true;
    store_call(r->e->store, MSG_INGEST, &m, STORE_MS, on_ingested, r);
}

/* ---- which session --------------------------------------------------------------------------------- */

static bool refuse_key(struct oai_run *w, const char *code, const char *text)
{
    const struct http_fail f = {.status = 400, .type = "invalid_request_error", .code = code,
                                .param = "x-tenaza-session-key", .text = sv_of(text)};
    fail(w, &f);
    return false;
}

/* Keys that belong to work of the gateway itself. */
static bool is_reserved(sv key)
{
    static const char *const prefixes[] = {"subagent:", "cron:", "acp:", "hook:"};
    sv rest = sesskey_rest(key);
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        if (sv_starts(rest, sv_of(prefixes[i]))) {
            return true;
        }
    }
    return false;
}

static void hex(char *dst, sv text)
{
    uint8_t k[16];
    crypto_key128(k, &text, 1);
    for (size_t i = 0; i < sizeof k; i++) {
        snprintf(dst + 2 * i, 3, "%02x", k[i]);
    }
}

/* The header wins, then `user`; else the session is this request's alone. */
static bool pick_session(struct oai_run *w)
{
    char tail[160], digest[33];
    sv wanted = http_own_header(w->r, "session-key");
    if (wanted.n > 0) {
        if (!sesskey_canonical(wanted, sv_of(w->agent), w->key)) {
            return refuse_key(w, "invalid_session_key", "The session key is not valid.");
        }
        if (is_reserved(sv_of(w->key))) {
            return refuse_key(w, "reserved_session_key", "Session keys that begin with subagent:, cron:, acp: or hook: are the gateway's own.");
        }
        sv_copy(w->agent, sizeof w->agent, sesskey_agent(sv_of(w->key)));
        return edge_agent_known(w->r->e, sv_of(w->agent)) ||
               refuse_key(w, "agent_not_found", "The session key names an agent that does not exist.");
    }
    w->fresh = w->q.user.n == 0;
    hex(digest, w->q.user);
    snprintf(tail, sizeof tail, "%s%s", w->fresh ? "openai:" : "openai-user:", w->fresh ? w->run_id : digest);
    w->keep_ms = !w->fresh ? 0 : w->q.api == OAI_RESPONSES && w->q.keep ? KEEP_RESP_MS : KEEP_CHAT_MS;
    return sesskey_canonical(sv_of(tail), sv_of(w->agent), w->key);
}

/* The run's id is the answer's id. One Idempotency-Key, one id. */
static bool name_run(struct oai_run *w)
{
    sv idem = http_header(w->r, "idempotency-key");
    char digest[33];
    if (idem.p != NULL && !idempotency_key_ok(idem)) {
        http_error(w->r, 400, "invalid_request_error", "bad_idempotency_key",
                   "An Idempotency-Key has 1 to 200 printable characters.");
        return false;
    }
    if (idem.n > 0) {
        struct buf whole = BUF_INIT(512);
        buf_printf(&whole, "%s%.*s", w->voice->prefix, SV_ARG(idem));
        hex(digest, buf_view(&whole));
        buf_free(&whole);
    } else {
        uint8_t random[16];
        id_random(random, sizeof random);
        for (size_t i = 0; i < sizeof random; i++) {
            snprintf(digest + 2 * i, 3, "%02x", random[i]);
        }
    }
    snprintf(w->run_id, sizeof w->run_id, "%s%s", w->voice->prefix, digest);
    return true;
}

static bool pick_agent(struct oai_run *w)
{
    sv wanted = http_own_header(w->r, "agent-id");
    enum oai_model found = oai_agent_of(w->r->e, w->q.model, w->agent);
    if (found == OAI_MODEL_OK && wanted.n > 0) {
        found = edge_agent_known(w->r->e, wanted) && sv_copy(w->agent, sizeof w->agent, wanted) ? OAI_MODEL_OK : OAI_AGENT_UNKNOWN;
    }
    if (found != OAI_MODEL_OK) {
        w->ended = true;
        oai_no_model(w->r, found, wanted.n > 0 ? wanted : w->q.model);
        return false;
    }
    snprintf(w->model, sizeof w->model, "%.*s", SV_ARG(w->q.model.n > 0 ? w->q.model : SV("tenaza/default")));
    return true;
}

/* ---- previous_response_id -------------------------------------------------------------------------- */

static void no_previous(struct oai_run *w)
{
    const struct http_fail f = {.status = 404, .type = "not_found_error", .code = "previous_response_not_found",
                                .param = "previous_response_id",
                                .text = SV("There is no such response of this agent and session, or it is older than a day.")};
    fail(w, &f);
}

static void on_session(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    UNUSED(body);
    if (err == OK && type == MSG_SESSION) {
        oai_run_ingest(r->work);
    } else {
        no_previous(r->work);
    }
}

static void on_previous(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    struct oai_run *w = r->work;
    const struct msg_run *m = body;
    bool other = err == OK && type == MSG_RUN && !w->fresh && !sv_eqc(m->session_key, w->key);
    if (err != OK || type != MSG_RUN || !run_state_ended(m->state) || !sv_eqc(m->agent_id, w->agent) || other) {
        no_previous(w);
        return;
    }
    sv_copy(w->key, sizeof w->key, m->session_key);
    const struct msg_session_get get = {.key = sv_of(w->key)};
    store_call(r->e->store, MSG_SESSION_GET, &get, STORE_MS, on_session, r);
}

static void continue_previous(struct oai_run *w)
{
    if (!sv_starts(w->q.previous, sv_of(w->voice->prefix))) {
        no_previous(w);
        return;
    }
    const struct msg_run_get get = {.run_id = w->q.previous};
    store_call(w->r->e->store, MSG_RUN_GET, &get, STORE_MS, on_previous, w->r);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_aborted(void *ctx, int err, uint16_t type, const void *body)
{
    UNUSED(ctx);
    UNUSED(err);
    UNUSED(type);
    UNUSED(body);
}

/* Nobody is left to read the answer: the run ends, unless it was asked for in the background or somebody else
 * watches the same run (the same Idempotency-Key once more). */
static void abandon(struct oai_run *w)
{
    if (!w->sent || w->ended || w->q.background || runs_watched(w->r->e, sv_of(w->run_id))) {
        return;
    }
    log_debug("the client of request=%s is gone: run %s is stopped", w->r->id, w->run_id);
    const struct msg_abort abort = {.run_id = sv_of(w->run_id), .reason = SV("client_gone")};
    store_call(w->r->e->store, MSG_ABORT, &abort, STORE_MS, on_aborted, w->r->e);
}

static void work_free(struct http_req *r)
{
    struct oai_run *w = r->work;
    runs_unwatch(&w->watch);
    abandon(w);
    oai_req_free(&w->q);
    buf_free(&w->said);
    xfree(w);
    r->work = NULL;
}

static void too_long(void *ctx)
{
    struct http_req *r = ctx;
    const struct http_fail f = {.status = 504, .type = "api_error", .code = "run_timeout",
                                .text = SV("The run has not ended in a day.")};
    fail(r->work, &f);
}

void oai_run_start(struct http_req *r, const struct oai_voice *voice)
{
    struct oai_run *w = xcalloc(1, sizeof *w);
    w->r = r;
    w->voice = voice;
    w->said = BUF_INIT(DELTA_TEXT_MAX);
    w->watch = (struct run_watch){.on_text = on_text, .on_end = on_end, .ctx = w};
    list_init(&w->watch.of_run);
    r->work = w;
    r->work_free = work_free;
    loop_timer_init(&r->deadline, r->e->loop, too_long, r);
    if (!oai_req_parse(&w->q, voice->api, buf_view(&r->body))) {
        fail_request(w);
        return;
    }
    if (!pick_agent(w) || !name_run(w) || !pick_session(w)) {
        return;
    }
    w->a = (struct oai_answer){.id = w->run_id, .model = w->model, .created_s = clock_real_ms() / 1000};
    if (!oai_req_settle(&w->q, w->fresh && w->q.previous.n == 0)) {
        fail_request(w);
    } else if (w->q.previous.n > 0) {
        w->a.previous = arena_strndup(&w->q.mem, w->q.previous.p, w->q.previous.n);
        continue_previous(w);
    } else {
        oai_run_ingest(w);
    }
}
