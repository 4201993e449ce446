/*
 * runs.c: see runs.h.
 * Runs in: edge.     Owns: the rows.
 * Never: keeps more than RUNS_LIVE_MAX texts or RUNS_ENDED_MAX ended runs.
 * Tested in: the scenarios
 */
#include "workers/edge/runs.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/edge/sesskey.h"

#define RUNS_LIVE_MAX 4096
#define RUNS_ENDED_MAX 1000 /* so that late events of an ended run are known for what they are */
#define RUNS_SILENT_MS 60000 /* nothing heard of a run for so long: ask the store */
#define TEXT_WITHIN_MS 5000

struct runs {
    struct edge *e;
    struct map by_id; /* struct run_live */
    struct list live, ended;
    size_t live_n, ended_n;
};

bool run_state_ended(sv state)
{
    /* "started" is how INGESTED spells "running". */
    return !sv_eqc(state, "queued") && !sv_eqc(state, "running") && !sv_eqc(state, "started");
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static void on_flush(void *ctx)
{
    emit_text(ctx, true, true);
}

static void row_free(struct runs *rs, struct run_live *r)
{
    list_del(&r->all);
    if (r->ended) {
        rs->ended_n--;
    } else {
        rs->live_n--;
    }
    LIST_EACH(it, &r->waiters)
    {
        list_del(it); /* the call lives on until its deadline */
    }
    LIST_EACH(w, &r->watches)
    {
        runs_unwatch(CONTAINER_OF(w, struct run_watch, of_run));
    }
    loop_timer_stop(&r->flush);
    bus_forget(rs->e->bus, r);
    store_forget(rs->e->store, r);
    delta_free(&r->text);
    map_del(&rs->by_id, sv_of(r->run_id));
    xfree(r->run_id);
    xfree(r->key);
    xfree(r);
}

static void shrink(struct runs *rs)
{
    if (rs->live_n > RUNS_LIVE_MAX) {
        row_free(rs, CONTAINER_OF(rs->live.next, struct run_live, all));
    }
    if (rs->ended_n > RUNS_ENDED_MAX) {
        row_free(rs, CONTAINER_OF(rs->ended.next, struct run_live, all));
    }
}

static struct run_live *find(const struct edge *e, sv run_id)
{
    return map_get(&e->runs->by_id, run_id);
}

static struct run_live *find_or_add(struct edge *e, sv run_id, sv key)
{
    struct runs *rs = e->runs;
    struct run_live *r = find(e, run_id);
    if (r != NULL) {
        if (r->key[0] == '\0' && key.n > 0) {
            xfree(r->key);
            r->key = xsvdup(key);
        }
        return r;
    }
    r = xcalloc(1, sizeof *r);
    r->e = e;
    r->run_id = xsvdup(run_id);
    r->key = xsvdup(key);
    sv agent = sesskey_agent(key);
    sv_copy(r->agent_id, sizeof r->agent_id, agent.n > 0 ? agent : SV(EDGE_DEFAULT_AGENT));
    r->touched_ms = clock_mono_ms();
    delta_init(&r->text);
    list_init(&r->waiters);
    list_init(&r->watches);
    loop_timer_init(&r->flush, e->loop, on_flush, r);
    list_add_tail(&rs->live, &r->all);
    map_put(&rs->by_id, run_id, r);
    rs->live_n++;
    shrink(rs);
    return r;
}

struct runs *runs_new(struct edge *e)
{
    struct runs *rs = xcalloc(1, sizeof *rs);
    rs->e = e;
    list_init(&rs->live);
    list_init(&rs->ended);
    return rs;
}

void runs_free(struct runs *rs)
{
    if (rs == NULL) {
        return;
    }
    LIST_EACH(a, &rs->live)
    {
        row_free(rs, CONTAINER_OF(a, struct run_live, all));
    }
    LIST_EACH(b, &rs->ended)
    {
        row_free(rs, CONTAINER_OF(b, struct run_live, all));
    }
    map_free(&rs->by_id);
    xfree(rs);
}

void runs_started(struct edge *e, sv run_id, sv key, sv session_id, const struct conn *c)
{
    struct run_live *r = find_or_add(e, run_id, key);
    sv_copy(r->session_id, sizeof r->session_id, session_id);
    sv_copy(r->starter, sizeof r->starter, sv_of(c->conn_id));
}

void runs_wait(struct rpc_call *call, sv run_id)
{
    struct run_live *r = find_or_add(call->e, run_id, SV(""));
    list_del(&call->of_run);
    list_add_tail(&r->waiters, &call->of_run);
}

void runs_watch(struct edge *e, sv run_id, sv key, struct run_watch *w)
{
    struct run_live *r = find_or_add(e, run_id, key);
    runs_unwatch(w);
    list_add_tail(&r->watches, &w->of_run);
    w->run = r;
}

void runs_unwatch(struct run_watch *w)
{
    list_del(&w->of_run);
    w->run = NULL;
}

bool runs_watched(const struct edge *e, sv run_id)
{
    const struct run_live *r = find(e, run_id);
    return r != NULL && !list_empty(&r->watches);
}

const struct run_live *runs_of_session(const struct edge *e, sv key)
{
    LIST_EACH(it, &e->runs->live)
    {
        const struct run_live *r = CONTAINER_OF(it, struct run_live, all);
        if (sv_eqc(key, r->key) && r->said_start) {
            return r;
        }
    }
    return NULL;
}

void runs_snapshot(const struct edge *e, struct buf *b)
{
    bool first = true;
    buf_ch(b, '[');
    LIST_EACH(it, &e->runs->live)
    {
        const struct run_live *r = CONTAINER_OF(it, struct run_live, all);
        if (!r->said_start || r->key[0] == '\0') {
            continue;
        }
        buf_str(b, first ? "{\"runId\":" : ",{\"runId\":");
        first = false;
        buf_json_str(b, sv_of(r->run_id));
        buf_str(b, ",\"sessionKey\":");
        buf_json_str(b, sv_of(r->key));
        buf_str(b, ",\"text\":");
        buf_json_str(b, delta_all(&r->text));
        buf_printf(b, ",\"startedAt\":%lld}", (long long)r->started_ms);
    }
    buf_ch(b, ']');
}

/* ---- live events from the bus ---------------------------------------------------------------------- */

static void schedule(struct run_live *r)
{
    LIST_EACH(it, &r->watches)
    {
        struct run_watch *w = CONTAINER_OF(it, struct run_watch, of_run);
        w->on_text(w->ctx);
    }
    int64_t since = clock_mono_ms() - r->flushed_ms;
    if (since >= RUNS_MERGE_MS) {
        emit_text(r, true, true);
    } else if (!loop_timer_active(&r->flush)) {
        loop_timer_start(&r->flush, RUNS_MERGE_MS - since);
    }
}

static void on_text(void *ctx, int err, uint16_t type, const void *body)
{
    struct run_live *r = ctx;
    r->asked_text = false;
    if (err == OK && type == MSG_RUN_TEXT && !r->ended) {
        const struct msg_run_text *t = body;
        r->seq = t->seq > r->seq ? t->seq : r->seq;
        if (delta_set(&r->text, t->text)) {
            schedule(r);
        }
    }
    /* Otherwise the stored reply closes the gap at the end. */
}

static void fetch_text(struct run_live *r)
{
    if (r->asked_text || r->worker[0] == '\0') {
        return;
    }
    r->asked_text = true;
    const struct msg_run_text_get get = {.run_id = sv_of(r->run_id)};
    bus_call(r->e->bus, r->worker, MSG_RUN_TEXT_GET, &get, TEXT_WITHIN_MS, on_text, r);
}

static void add_piece(struct run_live *r, const struct msg_run_event *ev)
{
    enum delta_result got = delta_add(&r->text, ev->off, ev->item_id, ev->delta);
    if (got == DELTA_ITEM) {
        emit_text(r, true, true);
        got = delta_add(&r->text, ev->off, ev->item_id, ev->delta);
    }
    if (got == DELTA_GAP) {
        fetch_text(r);
    } else if (got == DELTA_ADDED) {
        schedule(r);
    }
}

void runs_on_event(void *ctx, uint16_t type, const void *body, bool gap)
{
    struct edge *e = ctx;
    if (type != MSG_RUN_EVENT) {
        return;
    }
    const struct msg_run_event *ev = body;
    struct run_live *r = find_or_add(e, ev->run_id, ev->session_key);
    if (r->ended || ev->fence < r->fence) {
        return;
    }
    bool text = sv_eqc(ev->stream, "assistant");
    if (ev->fence > r->fence) {
        r->fence = ev->fence;
        r->seq = 0;
        if (text) {
            delta_rewind(&r->text, ev->off);
        }
    }
    if (ev->seq <= r->seq) {
        return;
    }
    r->seq = ev->seq;
    r->touched_ms = clock_mono_ms();
    if (ev->session_id.n > 0) {
        sv_copy(r->session_id, sizeof r->session_id, ev->session_id);
    }
    if (gap || ev->gap) {
        fetch_text(r);
    }
    if (text) {
        add_piece(r, ev);
    } else {
        emit_stream(r, ev);
    }
}

/* ---- state from the store -------------------------------------------------------------------------- */

static void wake(struct run_live *r, const struct msg_run *m)
{
    LIST_EACH(it, &r->waiters)
    {
        struct rpc_call *call = CONTAINER_OF(it, struct rpc_call, of_run);
        list_del(&call->of_run);
        call->on_run(call, m);
    }
    LIST_EACH(wt, &r->watches)
    {
        struct run_watch *w = CONTAINER_OF(wt, struct run_watch, of_run);
        runs_unwatch(w);
        w->on_end(w->ctx, m);
    }
}

static void on_run(void *ctx, int err, uint16_t type, const void *body)
{
    struct run_live *r = ctx;
    if (err == OK && type == MSG_RUN) {
        runs_take(r->e, body);
    } else if (err == ERR_GONE && list_empty(&r->waiters) && list_empty(&r->watches)) {
        row_free(r->e->runs, r); /* nobody knows it and nobody waits */
    }
}

static void ask(struct run_live *r)
{
    const struct msg_run_get get = {.run_id = sv_of(r->run_id)};
    r->touched_ms = clock_mono_ms();
    store_call(r->e->store, MSG_RUN_GET, &get, RPC_STORE_MS, on_run, r);
}

/* Who waited for a merged input waits for the run that answers it. */
static void move_waiters(struct run_live *from, sv into)
{
    if ((list_empty(&from->waiters) && list_empty(&from->watches)) || into.n == 0) {
        return;
    }
    struct run_live *to = find_or_add(from->e, into, sv_of(from->key));
    LIST_EACH(it, &from->waiters)
    {
        list_del(it);
        list_add_tail(&to->waiters, it);
    }
    LIST_EACH(w, &from->watches)
    {
        list_del(w);
        list_add_tail(&to->watches, w);
        CONTAINER_OF(w, struct run_watch, of_run)->run = to;
    }
    ask(to);
}

static void retire(struct run_live *r)
{
    struct runs *rs = r->e->runs;
    loop_timer_stop(&r->flush);
    delta_free(&r->text);
    delta_init(&r->text);
    list_del(&r->all);
    list_add_tail(&rs->ended, &r->all);
    r->ended = true;
    rs->live_n--;
    rs->ended_n++;
}

static void finish(struct run_live *r, const struct msg_run *m)
{
    struct edge *e = r->e;
    const char *status = sv_eqc(m->state, "ok")        ? "done"
                         : sv_eqc(m->state, "aborted") ? "killed"
                         : sv_eqc(m->state, "timeout") ? "timeout"
                                                       : "failed";
    if (sv_eqc(m->state, "merged")) {
        retire(r);
        emit_merged(e, m->run_id, m->session_key);
        move_waiters(r, m->merged_into);
    } else {
        emit_end(r, m);
        retire(r);
        emit_session_changed(e, m->session_key, m->session_id, m->run_id, NULL, "end", status, false);
        emit_session_changed(e, m->session_key, m->session_id, SV_NULL, "agent.input.settled", NULL, status,
                             false);
    }
    wake(r, m);
    shrink(e->runs);
}

void runs_take(struct edge *e, const struct msg_run *m)
{
    struct run_live *r = find_or_add(e, m->run_id, m->session_key);
    r->touched_ms = clock_mono_ms();
    if (r->ended) {
        wake(r, m); /* somebody asked for a run that had ended before */
        return;
    }
    if (m->session_id.n > 0) {
        sv_copy(r->session_id, sizeof r->session_id, m->session_id);
    }
    if (m->agent_id.n > 0) {
        sv_copy(r->agent_id, sizeof r->agent_id, m->agent_id);
    }
    r->started_ms = m->started_ms ? m->started_ms : r->started_ms;
    if (run_state_ended(m->state)) {
        finish(r, m);
        return;
    }
    if (sv_eqc(m->state, "running")) {
        sv_copy(r->worker, sizeof r->worker, m->worker);
        emit_session_changed(e, m->session_key, m->session_id, SV_NULL, "agent.run.started", NULL,
                             "running", true);
    }
}

void runs_on_push(void *ctx, uint16_t type, const void *body)
{
    if (type == MSG_RUN) {
        runs_take(ctx, body);
    }
}

void runs_on_row(void *ctx, uint16_t type, const void *body)
{
    if (type == MSG_ROW) {
        emit_row(ctx, body);
    }
}

void runs_recheck(struct edge *e, bool all)
{
    int64_t now = clock_mono_ms();
    LIST_EACH(it, &e->runs->live)
    {
        struct run_live *r = CONTAINER_OF(it, struct run_live, all);
        if (all || now - r->touched_ms > RUNS_SILENT_MS) {
            ask(r);
        }
    }
}
