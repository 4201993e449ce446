/*
 * rpc.c: see rpc.h. Order of the checks: role, scope, existence, parameters (gateway-ws.md 9.1, 9.2).
 * Runs in: edge.     Owns: nothing else.
 * Never: looks at what a method does.
 * Tested in: tests/scn/e1-protocol.test.mjs, the other scenarios
 */
#include "workers/edge/rpc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "workers/edge/frame.h"
#include "workers/edge/params.h"
#include "workers/edge/ratelimit.h"
#include "workers/edge/scopes.h"
#include "workers/edge/sesskey.h"

#define WRONG_ROLE_MAX 10 /* 9.1: answers of that kind in a row */

struct rpc_method {
    const char *name;
    uint32_t scope;
    rpc_fn *fn;
    const struct param *params;
    unsigned flags;
    const char *fixed; /* the answer, always the same; fn is NULL then */
};

/* ---- the tables of proto/rpc.def ------------------------------------------------------------------- */

#define OPT false
#define REQ true
#define P(kind, name, need, min, max, one) {name, P_##kind, need, min, max, one, NULL},
#define RPC(fn, name, scope, rows, result, flags, doc)                                             \
    static const struct param params_##fn[] = {rows(P){NULL, P_ANY, false, 0, 0, NULL, NULL}};     \
    rpc_fn rpc_##fn;
#define FIXED(fn, name, scope, rows, result, json, doc)                                             \
    static const struct param params_##fn[] = {rows(P){NULL, P_ANY, false, 0, 0, NULL, NULL}};
#include "proto/rpc.def"
#undef FIXED
#undef RPC
#undef P
#undef OPT
#undef REQ

static const struct rpc_method METHODS[] = {
#define RPC(fn, name, scope, rows, result, flags, doc) {name, scope, rpc_##fn, params_##fn, flags, NULL},
#define FIXED(fn, name, scope, rows, result, json, doc) {name, scope, NULL, params_##fn, RPC_ADVERTISED, json},
#include "proto/rpc.def"
#undef FIXED
#undef RPC
};

struct rpc_table {
    struct map by_name; /* const struct rpc_method, not owned */
    struct buf names;
};

struct rpc_table *rpc_new(void)
{
    struct rpc_table *t = xcalloc(1, sizeof *t);
    t->names = BUF_INIT(65536);
    for (size_t i = 0; i < ARRAY_LEN(METHODS); i++) {
        map_put(&t->by_name, sv_of(METHODS[i].name), (void *)(uintptr_t)&METHODS[i]);
        if (METHODS[i].flags & RPC_ADVERTISED) {
            buf_printf(&t->names, "%c\"%s\"", t->names.n == 0 ? '[' : ',', METHODS[i].name);
        }
    }
    buf_ch(&t->names, ']');
    return t;
}

void rpc_free(struct rpc_table *t)
{
    if (t != NULL) {
        map_free(&t->by_name);
        buf_free(&t->names);
        xfree(t);
    }
}

sv rpc_names(const struct rpc_table *t)
{
    return buf_view(&t->names);
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void begin(struct buf *b, sv id, bool ok)
{
    out_begin(b);
    buf_str(b, "{\"type\":\"res\",\"id\":");
    buf_json_str(b, id);
    buf_str(b, ok ? ",\"ok\":true" : ",\"ok\":false");
}

static void add_error(struct buf *b, const struct rpc_error *err)
{
    buf_printf(b, ",\"error\":{\"code\":\"%s\",\"message\":", err->code);
    buf_json_str(b, err->message);
    if (err->details.n > 0) {
        buf_str(b, ",\"details\":");
        buf_sv(b, err->details);
    }
    if (err->retryable) {
        buf_str(b, ",\"retryable\":true");
    }
    if (err->retry_after_ms > 0) {
        buf_printf(b, ",\"retryAfterMs\":%" PRId64, err->retry_after_ms);
    }
    buf_str(b, "}}");
}

void rpc_send_error(struct conn *c, sv id, const struct rpc_error *err)
{
    struct buf b;
    begin(&b, id, false);
    add_error(&b, err);
    conn_send(c, &b);
}

void rpc_begin(struct rpc_call *call, struct buf *b)
{
    begin(b, sv_of(call->id), true);
    buf_str(b, ",\"payload\":");
}

void rpc_more(struct rpc_call *call, struct buf *b)
{
    buf_ch(b, '}');
    if (b->full) {
        buf_free(b);
        log_warn("an answer of %s is too large and cannot be sent", call->m->name);
        return;
    }
    conn_send(call->c, b);
}

static void count_call(const struct rpc_call *call, bool ok)
{
    uint32_t scope = call->m->scope;
    if (scope == SC_READ || scope == SC_NONE) {
        counter_add(ok ? C_rpc_read_ok : C_rpc_read_error, 1);
    } else if (scope == SC_WRITE) {
        counter_add(ok ? C_rpc_write_ok : C_rpc_write_error, 1);
    } else {
        counter_add(ok ? C_rpc_admin_ok : C_rpc_admin_error, 1);
    }
}

void rpc_done(struct rpc_call *call, struct buf *b)
{
    if (b->full) {
        buf_free(b);
        rpc_fail(call, "UNAVAILABLE", "the answer is too large; ask for less");
        return;
    }
    count_call(call, true);
    rpc_more(call, b);
    rpc_end(call);
}

void rpc_end(struct rpc_call *call)
{
    struct edge *e = call->e;
    /* An answer that is still under way must not find the call. */
    if (call->pending > 0) {
        store_forget(e->store, call);
    }
    loop_timer_stop(&call->deadline);
    list_del(&call->of_run);
    list_del(&call->of_conn);
    call->c->calls_n--;
    json_free(&call->root);
    if (call->on_free != NULL) {
        call->on_free(call);
    }
    xfree(call->data);
    buf_free(&call->extra);
    xfree(call->id);
    xfree(call);
}

static void on_store(void *ctx, int err, uint16_t type, const void *body)
{
    struct rpc_call *call = ctx;
    call->pending--;
    call->on_reply(call, err, type, body);
}

void rpc_store(struct rpc_call *call, uint16_t type, const void *body, rpc_reply_fn *fn)
{
    call->pending++;
    call->on_reply = fn;
    store_call(call->e->store, type, body, RPC_STORE_MS, on_store, call);
}

void rpc_store_try(struct rpc_call *call, uint16_t type, const void *body, rpc_reply_fn *fn)
{
    call->pending++;
    call->on_reply = fn;
    store_try(call->e->store, type, body, RPC_STORE_MS, on_store, call);
}

void rpc_fail_with(struct rpc_call *call, const struct rpc_error *err)
{
    count_call(call, false);
    rpc_send_error(call->c, sv_of(call->id), err);
    rpc_end(call);
}

void rpc_fail(struct rpc_call *call, const char *code, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const struct rpc_error err = {.code = code, .message = sv_of(text)};
    rpc_fail_with(call, &err);
}

void rpc_fail_store(struct rpc_call *call, int err, uint16_t type, const void *body)
{
    const struct msg_status *s = body != NULL && type == MSG_STATUS ? body : NULL;
    bool ours = err == ERR_BAD || err == ERR_TOOBIG || err == ERR_DENIED || err == ERR_CONFLICT ||
                err == ERR_GONE;
    const struct rpc_error out = {
        .code = ours ? "INVALID_REQUEST" : "UNAVAILABLE",
        .message = s != NULL && s->text.n > 0 ? s->text : sv_of(err_text(err)),
        .retryable = !ours,
        .retry_after_ms = ours ? 0 : s != NULL && s->retry_ms > 0 ? (int64_t)s->retry_ms : 1000,
    };
    rpc_fail_with(call, &out);
}

static void on_deadline(void *ctx)
{
    struct rpc_call *call = ctx;
    call->on_deadline(call);
}

void rpc_deadline(struct rpc_call *call, int64_t ms, void (*fn)(struct rpc_call *call))
{
    call->on_deadline = fn;
    loop_timer_start(&call->deadline, ms > 0 ? ms : 1);
}

void rpc_cancel_all(struct conn *c)
{
    LIST_EACH(it, &c->calls)
    {
        rpc_end(CONTAINER_OF(it, struct rpc_call, of_conn));
    }
}

/* ---- parameters ------------------------------------------------------------------------------------ */

const char *rpc_name(const struct rpc_call *call)
{
    return call->m->name;
}

sv rpc_str(const struct rpc_call *call, const char *param)
{
    const json_t *v = json_object_get(call->params, param);
    return json_is_string(v) ? sv_mem(json_string_value(v), json_string_length(v)) : SV_NULL;
}

int64_t rpc_int(const struct rpc_call *call, const char *param, int64_t dflt)
{
    const json_t *v = json_object_get(call->params, param);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : dflt;
}

bool rpc_bool(const struct rpc_call *call, const char *param, bool dflt)
{
    const json_t *v = json_object_get(call->params, param);
    return json_is_boolean(v) ? json_is_true(v) : dflt;
}

bool rpc_session(struct rpc_call *call, const char *name)
{
    if (sesskey_canonical(rpc_str(call, name), rpc_str(call, "agentId"), call->session_key)) {
        return true;
    }
    rpc_fail(call, "INVALID_REQUEST", "invalid %s params: at /%s: must be a session key", call->m->name,
             name);
    return false;
}

/* ---- dispatch -------------------------------------------------------------------------------------- */

static void refuse(struct conn *c, sv id, const char *code, const char *message, sv details)
{
    const struct rpc_error err = {.code = code, .message = sv_of(message), .details = details};
    rpc_send_error(c, id, &err);
}

static void refuse_scope(struct conn *c, sv id, const char *name)
{
    char message[96], details[200];
    snprintf(message, sizeof message, "missing scope: %s", name);
    snprintf(details, sizeof details,
             "{\"code\":\"MISSING_SCOPE\",\"missingScope\":\"%s\",\"requiredScopes\":[\"%s\"]}", name,
             name);
    refuse(c, id, "FORBIDDEN", message, sv_of(details));
}

void rpc_fail_scope(struct rpc_call *call, const char *scope)
{
    refuse_scope(call->c, sv_of(call->id), scope);
    rpc_end(call);
}

/* 9.1: the other role's methods; a client that insists is disconnected, after this answer. */
static bool role_good(struct conn *c, const struct rpc_method *m, sv id)
{
    bool good = m == NULL ? !c->node : (m->flags & RPC_ANYONE) || c->node == ((m->flags & RPC_NODE) != 0);
    if (good) {
        c->wrong_role_n = 0;
        return true;
    }
    refuse(c, id, "INVALID_REQUEST", c->node ? "unauthorized role: node" : "unauthorized role: operator", SV_NULL);
    if (++c->wrong_role_n > WRONG_ROLE_MAX) {
        conn_close(c, 1008, SV("repeated unauthorized calls"));
    }
    return false;
}

static bool rate_good(struct conn *c, const struct rpc_method *m, sv id)
{
    char key[256], message[160], details[160];
    if (!(m->flags & RPC_LIMITED)) {
        return true;
    }
    snprintf(key, sizeof key, "%s %s %s", m->name, c->device_id, c->peer.addr);
    int64_t wait = ratelimit_take(&c->e->writes, sv_of(key), clock_mono_ms());
    if (wait == 0) {
        return true;
    }
    snprintf(message, sizeof message, "rate limit exceeded for %s; retry after %" PRId64 "s", m->name, (wait + 999) / 1000);
    snprintf(details, sizeof details, "{\"method\":\"%s\",\"limit\":\"%d per %ds\"}", m->name, RATELIMIT_MAX,
             RATELIMIT_WINDOW_MS / 1000);
    const struct rpc_error err = {.code = "UNAVAILABLE",
                                  .message = sv_of(message),
                                  .details = sv_of(details),
                                  .retryable = true,
                                  .retry_after_ms = wait};
    rpc_send_error(c, id, &err);
    return false;
}

static bool params_good(struct conn *c, const struct rpc_method *m, const struct frame *f)
{
    if ((m->flags & RPC_TARGET) && json_object_get(f->params, "sessionKey") == NULL) {
        char details[128];
        snprintf(details, sizeof details,
                 "{\"code\":\"SESSION_MUTATION_TARGET_REQUIRED\",\"method\":\"%s\"}", m->name);
        refuse(c, f->id, "INVALID_REQUEST", "session mutation target is unavailable", sv_of(details));
        return false;
    }
    struct buf why = BUF_INIT(400);
    enum param_strict strict = m->flags & RPC_LENIENT ? PARAM_LENIENT : PARAM_STRICT;
    bool good = json_is_null(f->params) || params_check(f->params, m->params, strict, &why);
    if (!good) {
        char text[512];
        snprintf(text, sizeof text, "invalid %s params: %s", m->name, buf_cstr(&why));
        refuse(c, f->id, "INVALID_REQUEST", text, SV_NULL);
    }
    buf_free(&why);
    return good;
}

static void call_method(struct conn *c, const struct rpc_method *m, struct frame *f)
{
    struct rpc_call *call = xcalloc(1, sizeof *call);
    call->c = c;
    call->e = c->e;
    call->m = m;
    call->id = xsvdup(f->id);
    call->root = f->root;
    call->params = f->params;
    call->started_ms = clock_real_ms();
    f->root = NULL;
    list_init(&call->of_run);
    loop_timer_init(&call->deadline, c->e->loop, on_deadline, call);
    list_add_tail(&c->calls, &call->of_conn);
    c->calls_n++;
    if (m->fn != NULL) {
        m->fn(call);
        return;
    }
    struct buf b;
    rpc_begin(call, &b);
    buf_str(&b, m->fixed);
    rpc_done(call, &b);
}

static void dispatch(struct conn *c, struct frame *f)
{
    const struct rpc_method *m = map_get(&c->e->rpc->by_name, f->method);
    if (sv_eqc(f->method, "connect")) {
        refuse(c, f->id, "INVALID_REQUEST", "connect is only valid as the first request", SV_NULL);
    } else if (!role_good(c, m, f->id)) {
        return;
    } else if (m == NULL && !conn_has(c, SC_ADMIN)) {
        refuse_scope(c, f->id, scope_name(SC_ADMIN));
    } else if (m == NULL) {
        char text[200];
        snprintf(text, sizeof text, "unknown method: %.*s", SV_ARG(f->method));
        refuse(c, f->id, "INVALID_REQUEST", text, SV_NULL);
    } else if (!conn_has(c, m->scope)) {
        refuse_scope(c, f->id, scope_name(m->scope));
    } else if (c->calls_n >= CONN_CALLS_MAX) {
        const struct rpc_error err = {.code = "UNAVAILABLE",
                                      .message = SV("too many requests under way; retry shortly"),
                                      .retryable = true,
                                      .retry_after_ms = 500};
        rpc_send_error(c, f->id, &err);
    } else if (params_good(c, m, f) && rate_good(c, m, f->id)) {
        call_method(c, m, f);
    }
}

void rpc_message(struct conn *c, sv text)
{
    struct frame f;
    frame_parse(text, &f);
    if (f.kind == FRAME_BAD) {
        char message[400];
        snprintf(message, sizeof message, "invalid request frame: %s", f.why);
        refuse(c, f.id, "INVALID_REQUEST", message, SV_NULL);
    } else if (f.kind == FRAME_REQUEST) {
        dispatch(c, &f);
    }
    frame_free(&f);
}
