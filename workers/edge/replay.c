/*
 * replay.c: see replay.h. A client that is away has a stand-in: a connection that gets numbers, and nowhere to send.
 * Runs in: edge.     Owns: the rows, the stand-ins.
 * Never: lets a stand-in into edge.conns.
 * Tested in: tests/unit/edge/test_evring.c, tests/scn/e10-resume.test.mjs
 */
#include "workers/edge/replay.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/edge/evring.h"
#include "workers/edge/runs.h"
#include "workers/edge/scopes.h"
#include "workers/edge/subs.h"

/* struct replay: see conn.h users; the row of one client. */
struct replay {
    struct list all; /* edge.replays, longest known first */
    struct edge *e;
    char *key;       /* who: device and instance */
    struct conn *c;  /* its connection, or its stand-in while it is away */
    bool away;
    uint64_t missed_after; /* replay_send starts behind this number */
    struct evring ring;
    struct loop_timer expire;
};

/* ---- rows ------------------------------------------------------------------------------------------ */

static void free_stand_in(struct replay *r)
{
    if (r->away) {
        subs_drop_all(r->c);
        xfree(r->c->scopes);
        xfree(r->c->device_id);
        xfree(r->c);
    }
    r->c = NULL;
    r->away = false;
}

static void row_free(struct replay *r)
{
    loop_timer_stop(&r->expire);
    list_del(&r->all);
    r->e->replays_n--;
    if (r->c != NULL && !r->away) {
        r->c->replay = NULL;
    }
    free_stand_in(r);
    evring_free(&r->ring);
    xfree(r->key);
    xfree(r);
}

static void on_expire(void *ctx)
{
    row_free(ctx);
}

static struct replay *find(const struct edge *e, sv key)
{
    LIST_EACH(it, &e->replays)
    {
        struct replay *r = CONTAINER_OF(it, struct replay, all);
        if (sv_eqc(key, r->key)) {
            return r;
        }
    }
    return NULL;
}

static void make_room(struct edge *e)
{
    if (e->replays_n < REPLAY_CLIENTS_MAX) {
        return;
    }
    LIST_EACH(it, &e->replays)
    {
        struct replay *r = CONTAINER_OF(it, struct replay, all);
        if (r->away) {
            row_free(r);
            return;
        }
    }
    row_free(CONTAINER_OF(e->replays.next, struct replay, all));
}

static struct replay *row_new(struct edge *e, sv key)
{
    make_room(e);
    struct replay *r = xcalloc(1, sizeof *r);
    r->e = e;
    r->key = xsvdup(key);
    loop_timer_init(&r->expire, e->loop, on_expire, r);
    list_add_tail(&e->replays, &r->all);
    e->replays_n++;
    return r;
}

/* A device with its key; without one what the client calls itself, which is worth as much as the shared secret. */
static bool key_of(const struct connect_params *p, struct buf *key)
{
    if (!p->has_device && p->instance_id.n == 0) {
        return false;
    }
    buf_sv(key, p->has_device ? p->device.id : p->client_id);
    buf_ch(key, '/');
    buf_sv(key, p->role);
    buf_ch(key, '/');
    buf_sv(key, p->instance_id);
    return !key->full;
}

/* ---- resuming -------------------------------------------------------------------------------------- */

static void add_limits(struct buf *b)
{
    buf_printf(b, ",\"windowEvents\":%u,\"windowBytes\":%u,\"keepMs\":%d}", EVRING_COUNT, EVRING_BYTES, REPLAY_KEEP_MS);
}

static void say_gap(const struct conn *c, const char *reason, struct buf *b)
{
    buf_printf(b, "{\"status\":\"gap\",\"reason\":\"%s\",\"lastSeq\":0,\"snapshot\":{\"runs\":", reason);
    if (conn_has(c, SC_READ)) {
        runs_snapshot(c->e, b);
    } else {
        buf_str(b, "[]");
    }
    buf_ch(b, '}');
    add_limits(b);
}

/* NULL: the client can go on where it was. */
static const char *gap_reason(const struct replay *r, const struct conn *c, const struct connect_params *p)
{
    if (p->resume_boot.n > 0 && !sv_eqc(p->resume_boot, c->e->boot_id)) {
        return "restart";
    }
    if (r == NULL || r->c == NULL) {
        return "unknown";
    }
    if (strcmp(r->c->scopes, c->scopes) != 0 || r->c->caps != c->caps) {
        return "rights";
    }
    return evring_covers(&r->ring, p->resume_seq, r->c->seq) ? NULL : "window";
}

/* What the old connection, or its stand-in, had. */
static void take_over(struct replay *r, struct conn *c)
{
    struct conn *old = r->c;
    c->seq = old->seq;
    memcpy(c->conn_id, old->conn_id, sizeof c->conn_id);
    subs_move(old, c);
}

static void let_go(struct replay *r)
{
    struct conn *old = r->c;
    if (old == NULL) {
        return;
    }
    if (r->away) {
        free_stand_in(r);
        return;
    }
    old->replay = NULL;
    r->c = NULL;
    conn_close(old, 4001, SV("client invalidated: it resumed on another connection"));
}

void replay_resume(struct conn *c, const struct connect_params *p, struct buf *dst)
{
    struct edge *e = c->e;
    struct buf key = BUF_INIT(512);
    if (!key_of(p, &key)) {
        buf_free(&key);
        say_gap(c, "unnamed", dst);
        return;
    }
    struct replay *r = find(e, buf_view(&key));
    const char *gap = p->resume_seq == 0 && r == NULL ? "" : gap_reason(r, c, p);
    if (r != NULL && gap != NULL) {
        let_go(r);
        row_free(r);
        r = NULL;
    }
    if (r == NULL) {
        r = row_new(e, buf_view(&key));
    } else {
        loop_timer_stop(&r->expire);
        take_over(r, c);
        let_go(r);
    }
    buf_free(&key);
    r->c = c;
    r->missed_after = p->resume_seq;
    c->replay = r;
    if (gap != NULL && gap[0] != '\0') {
        say_gap(c, gap, dst);
        r->missed_after = 0;
        return;
    }
    buf_printf(dst, "{\"status\":\"%s\",\"events\":%" PRIu64 ",\"lastSeq\":%" PRIu64, gap != NULL ? "new" : "replayed",
               c->seq - r->missed_after, c->seq);
    add_limits(dst);
}

void replay_send(struct conn *c)
{
    const struct replay *r = c->replay;
    for (uint64_t seq = r->missed_after + 1; seq <= c->seq && c->state != CONN_CLOSING; seq++) {
        struct buf msg;
        out_begin(&msg);
        buf_sv(&msg, evring_get(&r->ring, seq));
        conn_send(c, &msg);
    }
}

/* ---- keeping --------------------------------------------------------------------------------------- */

void replay_note(const struct conn *c, sv text)
{
    if (c->replay != NULL) {
        evring_add(&c->replay->ring, c->seq, text);
    }
}

void replay_detach(struct conn *c)
{
    struct replay *r = c->replay;
    if (r == NULL) {
        return;
    }
    c->replay = NULL;
    if (c->scopes == NULL || c->e->draining) {
        r->c = NULL;
        row_free(r);
        return;
    }
    struct conn *s = xcalloc(1, sizeof *s);
    s->e = c->e;
    s->state = CONN_READY;
    s->scopes = xstrdup(c->scopes);
    s->device_id = xstrdup(c->device_id);
    s->scope_bits = c->scope_bits;
    s->caps = c->caps;
    s->node = c->node;
    s->seq = c->seq;
    s->replay = r;
    memcpy(s->conn_id, c->conn_id, sizeof s->conn_id);
    subs_move(c, s);
    r->c = s;
    r->away = true;
    loop_timer_start(&r->expire, REPLAY_KEEP_MS);
}

void replay_forget(struct edge *e, sv device_id)
{
    LIST_EACH(it, &e->replays)
    {
        struct replay *r = CONTAINER_OF(it, struct replay, all);
        if (r->c != NULL && sv_eqc(device_id, r->c->device_id)) {
            row_free(r);
        }
    }
}

void replay_free_all(struct edge *e)
{
    LIST_EACH(it, &e->replays)
    {
        row_free(CONTAINER_OF(it, struct replay, all));
    }
}

void replay_each_away(struct edge *e, void (*fn)(struct conn *stand_in, void *ctx), void *ctx)
{
    LIST_EACH(it, &e->replays)
    {
        struct replay *r = CONTAINER_OF(it, struct replay, all);
        if (r->away) {
            fn(r->c, ctx);
        }
    }
}
