/*
 * webhook.c: the generic webhook: signed HTTP requests in, answers by HTTP callback or in the response.
 *            The requests come from the edge over the bus; the answer leaves after the commit (class A).
 * Runs in: channel workers.     Owns: requests that wait for an answer, callbacks under way.
 * Never: says 200 before the message is durable; tells a caller why authentication failed.
 * Tested in: tests/unit/chan/test_webhook_req.c; scenario c2
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/text.h"
#include "workers/chan/bucket.h"
#include "workers/chan/chan.h"
#include "workers/chan/drivers/webhook_int.h"
#include "workers/chan/drivers/webhook_req.h"

/* Callback retries: after the n-th failed attempt wait this long; 5 attempts in about 10 min (2.20). */
static const int64_t retry_ms[] = {3000, 15000, 100000, 480000};

#define WAIT_MAX_S 120
#define PENDING_MAX 256         /* requests that wait for a commit or for an answer */
#define RATE_PER_MINUTE 1200
#define RATE_BURST 200
#define CALLBACK_TOTAL_MS 30000

static struct webhook *hook_of(struct chan *c)
{
    return (struct webhook *)chan_ctx(c);
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static void answer(struct webhook *h, const struct bus_peer *to, unsigned status, unsigned retry_s, sv body)
{
    struct msg_http_out out = {
        .status = status, .type = SV("application/json"), .retry_after_s = retry_s, .body = body};
    bus_reply(worker_bus(chan_worker(h->c)), to, MSG_HTTP_OUT, &out);
}

static void refuse(struct webhook *h, const struct bus_peer *to, unsigned status, unsigned retry_s,
                   const char *field, const char *what)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4096);
    buf_str(&b, "{\"ok\":false,\"error\":");
    buf_json_str(&b, sv_of(what));
    if (field && *field) {
        buf_str(&b, ",\"field\":");
        buf_json_str(&b, sv_of(field));
    }
    buf_ch(&b, '}');
    answer(h, to, status, retry_s, buf_view(&b));
}

static void add_str(struct buf *b, const char *key, sv value)
{
    if (!sv_empty(value)) {
        buf_printf(b, ",\"%s\":", key);
        buf_json_str(b, value);
    }
}

static void accepted(struct pending *p, sv state, sv reply, sv error)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT((size_t)768 * 1024);
    buf_str(&b, "{\"ok\":true,\"eventId\":");
    buf_json_str(&b, sv_of(p->event_id));
    buf_str(&b, ",\"accepted\":\"durable\"");
    if (p->dup) {
        buf_str(&b, ",\"duplicate\":true");
    }
    if (p->wait_ms > 0) {
        add_str(&b, "runId", sv_of(p->run_id));
        add_str(&b, "status", state);
    }
    add_str(&b, "reply", reply);
    add_str(&b, "error", error);
    buf_ch(&b, '}');
    if (b.full) {
        refuse(p->h, &p->from, 413, 0, "reply", "the answer is too large for a response; use a callback");
        return;
    }
    answer(p->h, &p->from, 200, 0, buf_view(&b));
}

static void pending_free(struct pending *p)
{
    struct webhook *h = p->h;
    loop_timer_stop(&p->timer);
    chan_forget(h->c, p);
    store_forget(worker_store(chan_worker(h->c)), p);
    list_del(&p->link);
    h->pending_n--;
    xfree(p);
}

/* ---- ?wait: the run's end ---------------------------------------------------------------------------- */

static bool ended(sv state)
{
    return sv_eqc(state, "ok") || sv_eqc(state, "error") || sv_eqc(state, "aborted") || sv_eqc(state, "timeout");
}

static void look_up(struct pending *p);

/* A run we wait for has this state now. Frees p when it has ended. */
static void on_state(struct pending *p, const struct msg_run *r)
{
    if (sv_eqc(r->state, "merged") && !sv_empty(r->merged_into)) {
        if (sv_copy(p->run_id, sizeof p->run_id, r->merged_into)) {
            look_up(p);
        }
        return;
    }
    if (ended(r->state)) {
        accepted(p, r->state, r->reply, r->error);
        pending_free(p);
    }
}

static void on_run_push(void *ctx, uint16_t type, const void *body)
{
    struct webhook *h = (struct webhook *)ctx;
    const struct msg_run *r = (const struct msg_run *)body;
    UNUSED(type);
    LIST_EACH(e, &h->pending) {
        struct pending *p = CONTAINER_OF(e, struct pending, link);
        if (p->run_id[0] && sv_eqc(r->run_id, p->run_id)) {
            on_state(p, r);
        }
    }
}

static void on_run_get(void *ctx, int err, uint16_t type, const void *body)
{
    struct pending *p = (struct pending *)ctx;
    if (err == OK && type == MSG_RUN) {
        on_state(p, (const struct msg_run *)body);
    }
}

static void look_up(struct pending *p)
{
    struct msg_run_get m = {.run_id = sv_of(p->run_id)};
    store_call(worker_store(chan_worker(p->h->c)), MSG_RUN_GET, &m, 10000, on_run_get, p);
}

static void on_watch(void *ctx, int err, uint16_t type, const void *body)
{
    struct webhook *h = (struct webhook *)ctx;
    UNUSED(type);
    UNUSED(body);
    h->watching = err == OK;
}

/* Pushes are lost when the store restarts: the timer looks again. */
static void on_wait_timer(void *ctx)
{
    struct pending *p = (struct pending *)ctx;
    int64_t left = p->until_ms - clock_mono_ms();
    if (left <= 0) {
        accepted(p, SV("pending"), SV_NULL, SV_NULL);
        pending_free(p);
        return;
    }
    look_up(p);
    loop_timer_start(&p->timer, left < 5000 ? left : 5000);
}

static void wait_for_run(struct pending *p, sv run_id)
{
    struct webhook *h = p->h;
    if (!sv_copy(p->run_id, sizeof p->run_id, run_id)) {
        accepted(p, SV("pending"), SV_NULL, SV_NULL);
        pending_free(p);
        return;
    }
    if (!h->watching) {
        struct msg_watch w = {.rows = false};
        store_call(worker_store(chan_worker(h->c)), MSG_WATCH, &w, 10000, on_watch, h);
        h->watching = true;
    }
    p->until_ms = clock_mono_ms() + p->wait_ms;
    look_up(p);
    loop_timer_start(&p->timer, p->wait_ms < 5000 ? p->wait_ms : 5000);
}

/* ---- in ---------------------------------------------------------------------------------------------- */

static void on_done(void *ctx, int err, const struct msg_ingested *a)
{
    struct pending *p = (struct pending *)ctx;
    struct webhook *h = p->h;
    if (err == OK) {
        p->dup = a->dup;
        if (p->wait_ms > 0 && !sv_empty(a->run_id) && sv_empty(a->text)) {
            wait_for_run(p, a->run_id);
            return;
        }
        accepted(p, a->state, a->text, SV_NULL);
    } else if (err == ERR_CONFLICT) {
        refuse(h, &p->from, 422, 0, "id", "this id was used for a different message");
    } else if (err == ERR_BAD || err == ERR_TOOBIG) {
        refuse(h, &p->from, err == ERR_BAD ? 400 : 413, 0, NULL, err_text(err));
    } else {
        unsigned wait_s = err == ERR_BUSY ? (unsigned)((chan_busy_ms(h->c) + 999) / 1000) : 2;
        refuse(h, &p->from, 503, wait_s, NULL, "not stored, try again");
    }
    pending_free(p);
}

static sv header(const struct msg_http_in *req, const char *name)
{
    for (size_t i = 0; i < req->headers_n; i++) {
        if (sv_eqc(req->headers[i].name, name)) {
            return req->headers[i].value;
        }
    }
    return SV_NULL;
}

/* Everything before the body is looked at. true: go on; false: answered. */
static bool admit(struct webhook *h, const struct bus_peer *from, const struct msg_http_in *req)
{
    int64_t now = clock_mono_ms();
    const char *why = "";
    if (!sv_eqc(req->path, h->path)) {
        refuse(h, from, 404, 0, NULL, "there is nothing at this path");
        return false;
    }
    if (!sv_eqc(req->method, "POST")) {
        refuse(h, from, 405, 0, NULL, "use POST");
        return false;
    }
    if (throttle_blocked(&h->throttle, req->peer, now)) {
        refuse(h, from, 429, 60, NULL, "too many failed attempts");
        return false;
    }
    if (webhook_check(&h->auth, header(req, "authorization"), header(req, "x-signature-256"),
                      header(req, "x-timestamp"), req->body, clock_real_ms(), &why) != OK) {
        throttle_failed(&h->throttle, req->peer, now);
        log_warn("refused a request from %.*s: %s", SV_ARG(req->peer), why);
        refuse(h, from, 401, 0, NULL, "not authenticated");
        return false;
    }
    if (!bucket_try(&h->rate, now)) {
        int64_t wait = bucket_wait(&h->rate, now);
        refuse(h, from, 429, (unsigned)(wait / 1000 + 1), NULL, "too many requests");
        return false;
    }
    return true;
}

static struct pending *pending_new(struct webhook *h, const struct bus_peer *from, sv event_id)
{
    struct pending *p = (struct pending *)xcalloc(1, sizeof *p);
    p->h = h;
    p->from = *from;
    loop_timer_init(&p->timer, chan_loop(h->c), on_wait_timer, p);
    list_add_tail(&h->pending, &p->link);
    h->pending_n++;
    if (!sv_copy(p->event_id, sizeof p->event_id, event_id)) {
        p->event_id[0] = '\0'; /* cannot be: webhook_parse limits it */
    }
    return p;
}

static void take(struct webhook *h, const struct bus_peer *from, const struct msg_http_in *req,
                 const struct webhook_msg *m, int64_t wait_s)
{
    char made[48];
    webhook_make_id(req->body, clock_real_ms(), made, sizeof made);
    struct chan_event e = {
        .event_id = sv_empty(m->id) ? sv_of(made) : m->id,
        .chat_type = "direct",
        .chat_id = sv_empty(m->chat) ? m->from : m->chat,
        .thread_id = m->thread,
        .message_id = sv_empty(m->id) ? sv_of(made) : m->id,
        .sender_id = m->from,
        .sender_name = m->from,
        .text = m->text,
        .typed = m->text,
        .raw = req->body.n <= 262144 ? req->body : SV_NULL,
        .own_key = !sv_empty(m->id),
        .no_deliver = wait_s > 0 || h->callback == NULL,
        .ts_ms = m->ts_ms,
        .media = m->media,
        .media_n = m->media_n,
    };
    struct pending *p = pending_new(h, from, e.event_id);
    p->wait_ms = wait_s * 1000;
    int rc = chan_inbound(h->c, &e, on_done, p);
    if (rc == OK) {
        return;
    }
    if (rc == ERR_BUSY) {
        refuse(h, from, 503, 2, NULL, "too much is waiting, try again");
    } else {
        refuse(h, from, 403, 0, "from", "this sender is not allowed here");
    }
    pending_free(p);
}

/* Seconds of ?wait=; 0 when absent, -1 when it is not a number from 0 to 120. */
static int64_t wait_of(sv query)
{
    sv text = url_query(query, "wait");
    uint64_t s = 0;
    if (!text.p) {
        return 0;
    }
    return sv_u64(text, &s) && s <= WAIT_MAX_S ? (int64_t)s : -1;
}

static void on_http(struct chan *c, const struct bus_peer *from, const struct msg_http_in *req)
{
    struct webhook *h = hook_of(c);
    if (!admit(h, from, req)) {
        return;
    }
    int64_t wait_s = wait_of(req->query);
    if (wait_s < 0) {
        refuse(h, from, 400, 0, "wait", "wait must be a number of seconds from 0 to 120");
        return;
    }
    if (h->pending_n >= PENDING_MAX) {
        refuse(h, from, 503, 2, NULL, "too many requests wait for an answer");
        return;
    }
    struct arena a = ARENA_INIT;
    struct webhook_msg m;
    const char *field = NULL;
    char why[200];
    int rc = webhook_parse(req->body, &a, &m, &field, why, sizeof why);
    if (rc == OK) {
        take(h, from, req, &m, wait_s);
    } else {
        refuse(h, from, rc == ERR_TOOBIG ? 413 : 400, 0, field, why);
    }
    arena_free(&a);
}

/* ---- out: the callback ------------------------------------------------------------------------------- */

struct post {
    struct webhook *h;
    struct chan_part *part;
};

static enum chan_outcome outcome_of(const struct http_result *r)
{
    if (r->fail == HTTP_OK && r->status >= 200 && r->status < 300) {
        return SENT_DELIVERED;
    }
    bool later = r->fail != HTTP_OK || r->status >= 500 || r->status == 408 || r->status == 429;
    return later ? SENT_RETRYABLE : SENT_REJECTED;
}

static void on_posted(void *ctx, const struct http_result *r)
{
    struct post *po = (struct post *)ctx;
    struct webhook *h = po->h;
    struct chan_part *p = po->part;
    xfree(po);
    if (r->fail == HTTP_CANCELLED) {
        return; /* only at the end of the process: the store sends it again with the same key */
    }
    char error[200];
    if (snprintf(error, sizeof error, "callback: %s %d", r->error ? r->error : "HTTP status", r->status) < 0) {
        error[0] = '\0';
    }
    enum chan_outcome out = outcome_of(r);
    if (out == SENT_DELIVERED) {
        chan_state(h->c, CHAN_UP, "accepting requests on %s", h->path);
        chan_receipt(h->c, p, out, SV_NULL, NULL, 0);
        return;
    }
    chan_state(h->c, CHAN_DEGRADED, "%s", error);
    uint64_t failed = p->attempt > 0 ? p->attempt : 1; /* this was attempt number `failed` */
    if (out == SENT_RETRYABLE && failed > ARRAY_LEN(retry_ms)) {
        out = SENT_REJECTED; /* the keyed request may be repeated, but not for ever */
    }
    int64_t wait = out == SENT_RETRYABLE ? retry_ms[failed - 1] : 0;
    chan_receipt(h->c, p, out, SV_NULL, error, r->retry_after_ms > wait ? r->retry_after_ms : wait);
}

static void callback_body(const struct chan_part *p, struct buf *b)
{
    buf_str(b, "{\"deliveryId\":");
    buf_json_str(b, p->key);
    add_str(b, "chat", p->chat_id);
    add_str(b, "thread", p->thread_id);
    add_str(b, "replyTo", p->reply_to);
    add_str(b, "runId", p->run_id);
    buf_str(b, ",\"format\":\"markdown\"");
    add_str(b, "text", p->text);
    buf_printf(b, ",\"ts\":%lld}", (long long)clock_real_ms());
}

static void send_part(struct chan *c, struct chan_part *p)
{
    struct webhook *h = hook_of(c);
    if (!h->callback) {
        chan_receipt(c, p, SENT_REJECTED, SV_NULL, "no callbackUrl is configured", 0);
        return;
    }
    struct buf body ATTR_CLEANUP(buf_free) = BUF_INIT((size_t)8 * 1024 * 1024);
    struct buf mac ATTR_CLEANUP(buf_free) = BUF_INIT(128);
    struct arena a = ARENA_INIT;
    callback_body(p, &body);
    sv ts = arena_printf(&a, "%lld", (long long)(clock_real_ms() / 1000));
    const char *headers[6] = {"Content-Type: application/json"};
    size_t n = 1;
    headers[n++] = arena_printf(&a, "X-Delivery-Id: %.*s", SV_ARG(p->key)).p;
    headers[n++] = arena_printf(&a, "X-Timestamp: %.*s", SV_ARG(ts)).p;
    if (!sv_empty(h->auth.secret)) {
        webhook_sign(&mac, h->auth.secret, ts, buf_view(&body));
        headers[n++] = arena_printf(&a, "X-Signature-256: %s", buf_cstr(&mac)).p;
    } else {
        headers[n++] = arena_printf(&a, "Authorization: Bearer %.*s", SV_ARG(h->auth.bearer)).p;
    }
    headers[n] = NULL;
    struct http_opts o = {
        .method = "POST",
        .url = h->callback,
        .headers = headers,
        .body = buf_view(&body),
        .total_ms = CALLBACK_TOTAL_MS,
        .max_body = 65536,
        .allow_private = h->allow_private,
    };
    struct post *po = (struct post *)xcalloc(1, sizeof *po);
    *po = (struct post){h, p};
    http_start(h->http, &o, NULL, on_posted, po);
    arena_free(&a);
}

static void limits(struct chan *c, sv chat_id, struct chunk_opts *out)
{
    UNUSED(c);
    UNUSED(chat_id);
    out->limit = 0; /* none: one delivery is one callback */
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static int start(struct chan *c)
{
    const struct conf *conf = chan_conf(c);
    struct webhook *h = (struct webhook *)xcalloc(1, sizeof *h);
    h->c = c;
    list_init(&h->pending);
    h->auth.secret = sv_of(conf_secret(conf, "secret", ""));
    h->auth.bearer = sv_of(conf_secret(conf, "bearer", ""));
    const char *url = conf_str(conf, "callbackUrl", "");
    h->callback = *url ? url : NULL;
    h->allow_private = conf_bool(conf, "allowPrivateCallback", false);
    bucket_init(&h->rate, RATE_PER_MINUTE, RATE_BURST, clock_mono_ms());
    h->path = xasprintf("/channels/webhook/%s", chan_account(c));
    h->http = http_client_new(chan_loop(c));
    chan_set_ctx(c, h);
    store_on_push(worker_store(chan_worker(c)), MSG_RUN, on_run_push, h);
    if (sv_empty(h->auth.secret) && sv_empty(h->auth.bearer)) {
        worker_fail(chan_worker(c), EXIT_CONFIG, "channels.webhook: set secret (signed requests) or bearer");
        return EXIT_CONFIG;
    }
    chan_state(c, CHAN_UP, "accepting requests on %s", h->path);
    return 0;
}

static void stop(struct chan *c)
{
    struct webhook *h = hook_of(c);
    LIST_EACH(e, &h->pending) {
        pending_free(CONTAINER_OF(e, struct pending, link));
    }
    store_forget(worker_store(chan_worker(c)), h);
    http_client_free(h->http);
    xfree(h->path);
    xfree(h);
}

const struct chan_driver chan_webhook = {
    .name = "webhook",
    .markup = MARKUP_MARKDOWN,
    .window = 16,
    .can_mention = false,
    .start = start,
    .stop = stop,
    .limits = limits,
    .send_part = send_part,
    .http = on_http,
};
