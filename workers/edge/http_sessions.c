/*
 * http_sessions.c: /sessions/<key>/history and /sessions/<key>/kill (http-surfaces.md 8).
 * Runs in: edge.     Owns: nothing.
 * Never: keeps rows: the store answers each time.
 * Tested in: tests/scn/h5-routes.test.mjs
 */
#include <inttypes.h>

#include "common/text.h"
#include "workers/edge/http.h"
#include "workers/edge/rows.h"
#include "workers/edge/sesskey.h"

void route_session_history(struct http_req *r);
void route_session_kill(struct http_req *r);

#define STORE_MS 15000
#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

struct session_work {
    char key[SESSKEY_MAX + 1];
    uint64_t limit, before; /* before: position of the row in front of which the page ends; 0: the newest */
};

static void work_free(struct http_req *r)
{
    xfree(r->work);
    r->work = NULL;
}

static void no_session(struct http_req *r)
{
    http_error(r, 404, "not_found_error", "session_not_found", "There is no session with this key.");
}

/* A number of the query; false: answered, it is none or out of bounds. */
static bool number(struct http_req *r, const char *name, uint64_t max, uint64_t dflt, uint64_t *out)
{
    sv text = url_query(sv_of(r->query), name);
    *out = dflt;
    if (text.p == NULL || (sv_u64(text, out) && *out >= 1 && *out <= max)) {
        return true;
    }
    const struct http_fail f = {.status = 400, .type = "invalid_request_error", .code = "invalid_value", .param = name,
                                .text = SV("A positive number is wanted here.")};
    http_fail(r, &f);
    return false;
}

static struct session_work *begin(struct http_req *r)
{
    struct session_work *w = xcalloc(1, sizeof *w);
    r->work = w;
    r->work_free = work_free;
    if (!sesskey_canonical(r->match.arg[0], SV_NULL, w->key)) {
        no_session(r);
        return NULL;
    }
    return w;
}

/* ---- history --------------------------------------------------------------------------------------- */

static void add_rows(struct buf *b, const struct msg_history_page *page)
{
    for (size_t i = 0; i < page->rows_n; i++) {
        buf_str(b, i ? "," : "");
        row_entry(b, &page->rows[i], 0);
    }
}

static void on_page(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    const struct session_work *w = r->work;
    if (err != OK || type != MSG_HISTORY_PAGE) {
        http_fail_store(r, err, type, body);
        return;
    }
    const struct msg_history_page *page = body;
    struct buf b = BUF_INIT(OUT_MSG_MAX / 2);
    buf_str(&b, "{\"sessionKey\":");
    buf_json_str(&b, sv_of(w->key));
    buf_str(&b, ",\"items\":[");
    add_rows(&b, page);
    buf_str(&b, "]");
    if (sv_eqc(url_query(sv_of(r->query), "compat"), "1")) {
        buf_str(&b, ",\"messages\":[");
        add_rows(&b, page);
        buf_str(&b, "]");
    }
    bool more = page->more && page->rows_n > 0;
    buf_printf(&b, ",\"hasMore\":%s,\"nextCursor\":", more ? "true" : "false");
    if (more) {
        buf_printf(&b, "\"%" PRIu64 "\"}", page->rows[0].n);
    } else {
        buf_str(&b, "null}");
    }
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}

static void on_session(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    const struct session_work *w = r->work;
    const struct msg_session *s = body;
    if (err == ERR_GONE) {
        no_session(r);
        return;
    }
    if (err != OK || type != MSG_SESSION) {
        http_fail_store(r, err, type, body);
        return;
    }
    /* The store counts from the newest row, a cursor is a row's own number: it stays right when rows are added. */
    bool inside = w->before > 0 && w->before <= s->entries;
    const struct msg_history h = {
        .session_key = sv_of(w->key),
        .limit = w->limit,
        .offset = inside ? s->entries - w->before + 1 : 0,
    };
    store_call(r->e->store, MSG_HISTORY, &h, STORE_MS, on_page, r);
}

void route_session_history(struct http_req *r)
{
    struct session_work *w = begin(r);
    if (w == NULL || !number(r, "limit", LIMIT_MAX, LIMIT_DEFAULT, &w->limit) ||
        !number(r, "before", INT64_MAX, 0, &w->before)) {
        return;
    }
    const struct msg_session_get get = {.key = sv_of(w->key)};
    store_call(r->e->store, MSG_SESSION_GET, &get, STORE_MS, on_session, r);
}

/* ---- kill ------------------------------------------------------------------------------------------ */

static void on_aborted(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    if (err != OK || type != MSG_ABORTED) {
        http_fail_store(r, err, type, body);
        return;
    }
    const struct msg_aborted *a = body;
    struct buf b = BUF_INIT(65536);
    buf_printf(&b, "{\"ok\":true,\"killed\":%s,\"runIds\":[", a->runs_n > 0 ? "true" : "false");
    for (size_t i = 0; i < a->runs_n; i++) {
        buf_str(&b, i ? "," : "");
        buf_json_str(&b, a->runs[i].run_id);
    }
    buf_str(&b, "]}");
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}

static void on_known(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    const struct session_work *w = r->work;
    if (err == ERR_GONE) {
        no_session(r);
    } else if (err != OK) {
        http_fail_store(r, err, type, body);
    } else {
        const struct msg_abort abort = {.session_key = sv_of(w->key), .reason = SV("rpc")};
        store_call(r->e->store, MSG_ABORT, &abort, STORE_MS, on_aborted, r);
    }
}

void route_session_kill(struct http_req *r)
{
    struct session_work *w = begin(r);
    if (w != NULL) {
        const struct msg_session_get get = {.key = sv_of(w->key)};
        store_call(r->e->store, MSG_SESSION_GET, &get, STORE_MS, on_known, r);
    }
}
