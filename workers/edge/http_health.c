/*
 * http_health.c: GET /api/health: what the edge and the store know about the gateway, in one document.
 * Runs in: edge.     Owns: nothing.
 * Never: answers without a caller that may read; the probes (health.c) are for the others.
 * Tested in: tests/scn/h5-routes.test.mjs
 */
#include <inttypes.h>

#include "workers/edge/health.h"
#include "workers/edge/http.h"
#include "workers/edge/server.h"

void route_api_health(struct http_req *r);

#define STORE_MS 5000

static void add_accounts(struct buf *b, const struct edge *e)
{
    bool first = true;
    buf_str(b, ",\"accounts\":[");
    LIST_EACH(it, &e->channels)
    {
        const struct chan_row *row = CONTAINER_OF(it, struct chan_row, all);
        buf_str(b, first ? "{\"channel\":" : ",{\"channel\":");
        first = false;
        buf_json_str(b, sv_of(row->channel));
        buf_str(b, ",\"account\":");
        buf_json_str(b, sv_of(row->account));
        buf_str(b, ",\"state\":");
        buf_json_str(b, sv_of(row->state));
        buf_str(b, ",\"detail\":");
        buf_json_str(b, sv_of(row->detail));
        buf_printf(b, ",\"sinceMs\":%" PRId64 ",\"reconnects\":%" PRIu64 "}", row->since_ms, row->reconnects);
    }
    buf_ch(b, ']');
}

static void add_model(struct buf *b, const struct edge *e)
{
    buf_str(b, ",\"model\":{\"provider\":");
    buf_json_str(b, sv_of(e->model.provider));
    buf_str(b, ",\"model\":");
    buf_json_str(b, sv_of(e->model.model));
    buf_str(b, ",\"why\":");
    buf_json_str(b, sv_of(e->model.why));
    buf_ch(b, '}');
}

static void add_store(struct buf *b, const struct msg_store_info *i)
{
    buf_printf(b,
               ",\"ledger\":{\"received\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"queued\":%" PRIu64
               ",\"running\":%" PRIu64 "},\"outbox\":{\"queued\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"dead\":%" PRIu64
               "},\"store\":{\"sessions\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"mapBytes\":%" PRIu64 ",\"degraded\":",
               i->received, i->answered, i->failed, i->queued, i->running, i->out_queued, i->out_unknown, i->out_dead, i->sessions,
               i->db_bytes, i->map_bytes);
    buf_json_str(b, i->degraded);
    buf_ch(b, '}');
}

static void answer(struct http_req *r, const struct msg_store_info *info)
{
    struct edge *e = r->e;
    struct buf b = BUF_INIT(262144);
    buf_printf(&b, "{\"ok\":%s,\"version\":", info != NULL && info->degraded.n == 0 && bus_is_up(e->bus) ? "true" : "false");
    buf_json_str(&b, sv_of(e->conf.version));
    buf_printf(&b, ",\"uptimeMs\":%" PRId64 ",\"connections\":%zu,\"clients\":%zu", edge_uptime_ms(e), server_sockets(e->server),
               e->ready_n);
    add_accounts(&b, e);
    add_model(&b, e);
    if (info != NULL) {
        add_store(&b, info);
    } else {
        buf_str(&b, ",\"store\":null");
    }
    buf_ch(&b, '}');
    http_answer(r, 200, "application/json", buf_view(&b), NULL);
    buf_free(&b);
}

static void on_numbers(void *ctx, int err, uint16_t type, const void *body)
{
    answer(ctx, err == OK && type == MSG_STORE_INFO ? body : NULL);
}

void route_api_health(struct http_req *r)
{
    const struct msg_store_stats ask = {.check = false};
    store_call(r->e->store, MSG_STORE_STATS, &ask, STORE_MS, on_numbers, r);
}
