/*
 * oai_voice_resp.c: /v1/responses: how a response tells what its run does, and a stored response afterwards.
 * Runs in: edge.     Owns: nothing.
 * Never: decides anything about the run.
 * Tested in: tests/conformance/openai.test.mjs
 */
#include "workers/edge/oai_run.h"

#include <stdio.h>
#include <string.h>

void route_responses(struct http_req *r);
void route_response_get(struct http_req *r);
void route_response_cancel(struct http_req *r);

#define STORE_MS 15000
#define PREFIX "resp_"

/* ---- stream ---------------------------------------------------------------------------------------- */

static struct buf begin(struct oai_run *w, const char *type)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    oai_resp_event(&b, type, w->seq++);
    return b;
}

static void send(struct oai_run *w, const char *type, struct buf *b)
{
    buf_ch(b, '}');
    http_stream_event(w->r, type, buf_view(b));
    buf_free(b);
}

static void say_state(struct oai_run *w, const char *type, const struct oai_state *s)
{
    struct buf b = begin(w, type);
    buf_str(&b, ",\"response\":");
    oai_resp_whole(&b, &w->a, s);
    send(w, type, &b);
}

static void say_item(struct oai_run *w, const char *type, size_t i, bool done)
{
    struct buf b = begin(w, type);
    buf_printf(&b, ",\"output_index\":%zu,\"item\":", i);
    oai_resp_item(&b, &w->a, i, done);
    send(w, type, &b);
}

/* Where the following member belongs: item i, part 0 of it. */
static struct buf begin_in(struct oai_run *w, const char *type, size_t i, bool part)
{
    struct buf b = begin(w, type);
    buf_str(&b, ",\"item_id\":");
    oai_resp_item_id(&b, &w->a, i);
    buf_printf(&b, ",\"output_index\":%zu%s", i, part ? ",\"content_index\":0" : "");
    return b;
}

static void resp_begin(struct oai_run *w)
{
    static const struct oai_state s = {.status = "in_progress"};
    say_state(w, "response.created", &s);
    say_state(w, "response.in_progress", &s);
}

static void open_item(struct oai_run *w)
{
    if (w->item_open) {
        return;
    }
    w->item_open = true;
    say_item(w, "response.output_item.added", 0, false);
    struct buf b = begin_in(w, "response.content_part.added", 0, true);
    buf_str(&b, ",\"part\":");
    oai_resp_part(&b, SV(""));
    send(w, "response.content_part.added", &b);
}

static void resp_text(struct oai_run *w, sv piece)
{
    open_item(w);
    struct buf b = begin_in(w, "response.output_text.delta", 0, true);
    buf_str(&b, ",\"delta\":");
    buf_json_str(&b, piece);
    buf_str(&b, ",\"logprobs\":[]");
    send(w, "response.output_text.delta", &b);
}

static void close_message(struct oai_run *w)
{
    open_item(w);
    struct buf b = begin_in(w, "response.output_text.done", 0, true);
    buf_str(&b, ",\"text\":");
    buf_json_str(&b, w->a.text);
    buf_str(&b, ",\"logprobs\":[]");
    send(w, "response.output_text.done", &b);
    b = begin_in(w, "response.content_part.done", 0, true);
    buf_str(&b, ",\"part\":");
    oai_resp_part(&b, w->a.text);
    send(w, "response.content_part.done", &b);
    say_item(w, "response.output_item.done", 0, true);
}

static void say_call(struct oai_run *w, size_t item, sv args)
{
    say_item(w, "response.output_item.added", item, false);
    struct buf b = begin_in(w, "response.function_call_arguments.delta", item, false);
    buf_str(&b, ",\"delta\":");
    buf_json_str(&b, args);
    send(w, "response.function_call_arguments.delta", &b);
    b = begin_in(w, "response.function_call_arguments.done", item, false);
    buf_str(&b, ",\"arguments\":");
    buf_json_str(&b, args);
    send(w, "response.function_call_arguments.done", &b);
    say_item(w, "response.output_item.done", item, true);
}

static struct oai_state state_of(const struct oai_answer *a)
{
    bool cut = sv_eqc(a->stop, "length");
    return (struct oai_state){.status = cut ? "incomplete" : "completed", .output = true};
}

static void resp_end(struct oai_run *w)
{
    const struct oai_state s = state_of(&w->a);
    size_t items = oai_resp_items(&w->a), calls_from = items - w->a.calls_n;
    if (calls_from > 0) {
        close_message(w);
    }
    for (size_t i = 0; i < w->a.calls_n; i++) {
        say_call(w, calls_from + i, w->a.calls[i].args);
    }
    say_state(w, strcmp(s.status, "incomplete") == 0 ? "response.incomplete" : "response.completed", &s);
    http_stream_event(w->r, NULL, SV("[DONE]"));
}

static void resp_fail(struct oai_run *w, const struct http_fail *f)
{
    const struct oai_state s = {.status = "failed", .error_code = f->code, .error = f->text};
    say_state(w, "response.failed", &s);
    http_stream_event(w->r, NULL, SV("[DONE]"));
}

static void resp_whole(struct oai_run *w, struct buf *b)
{
    struct oai_state s = state_of(&w->a);
    if (w->q.background) {
        s = (struct oai_state){.status = "in_progress"};
    }
    oai_resp_whole(b, &w->a, &s);
}

const struct oai_voice oai_resp_voice = {
    .api = OAI_RESPONSES,
    .prefix = PREFIX,
    .begin = resp_begin,
    .text = resp_text,
    .end = resp_end,
    .fail = resp_fail,
    .whole = resp_whole,
};

void route_responses(struct http_req *r)
{
    oai_run_start(r, &oai_resp_voice);
}

/* ---- afterwards ------------------------------------------------------------------------------------ */

static void answer_stored(struct http_req *r, const struct msg_run *m)
{
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    char id[129], model[80];
    sv_copy(id, sizeof id, m->run_id);
    snprintf(model, sizeof model, "tenaza/%.*s", SV_ARG(m->agent_id));
    struct oai_answer a = {.id = id, .model = model};
    struct oai_state s = {.status = "in_progress"};
    const struct http_fail f = oai_run_failure(m);
    oai_run_answer_of(&a, m);
    if (sv_eqc(m->state, "ok")) {
        s = state_of(&a);
    } else if (sv_eqc(m->state, "aborted")) {
        s.status = "cancelled";
    } else if (run_state_ended(m->state)) {
        s = (struct oai_state){.status = "failed", .error_code = f.code, .error = f.text};
    }
    oai_resp_whole(&b, &a, &s);
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}

static void no_response(struct http_req *r)
{
    http_error(r, 404, "not_found_error", "response_not_found", "There is no response with this id.");
}

static void on_run(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    if (err == OK && type == MSG_RUN) {
        answer_stored(r, body);
    } else if (err == ERR_GONE) {
        no_response(r);
    } else {
        http_fail_store(r, err, type, body);
    }
}

static void ask(struct http_req *r)
{
    const struct msg_run_get get = {.run_id = r->match.arg[0]};
    store_call(r->e->store, MSG_RUN_GET, &get, STORE_MS, on_run, r);
}

void route_response_get(struct http_req *r)
{
    if (!sv_starts(r->match.arg[0], SV(PREFIX))) {
        no_response(r);
        return;
    }
    ask(r);
}

static void on_aborted(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    if (err != OK) {
        http_fail_store(r, err, type, body);
        return;
    }
    ask(r);
}

void route_response_cancel(struct http_req *r)
{
    if (!sv_starts(r->match.arg[0], SV(PREFIX))) {
        no_response(r);
        return;
    }
    const struct msg_abort abort = {.run_id = r->match.arg[0], .reason = SV("client")};
    store_call(r->e->store, MSG_ABORT, &abort, STORE_MS, on_aborted, r);
}
