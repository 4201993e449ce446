/*
 * metrics.c: GET /metrics: the numbers of all workers, which the supervisor puts together.
 * Runs in: edge.     Owns: nothing; who waits stands in edge.metrics_waiting.
 * Never: asks the supervisor more than once for all who wait; waits longer than ASK_MS.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#include <unistd.h>

#include "common/counter.h"
#include "common/file.h"
#include "workers/edge/health.h"
#include "workers/edge/http.h"

#define ASK_MS 3000
#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void route_metrics(struct http_req *r);
void route_healthz(struct http_req *r);
void route_readyz(struct http_req *r);

/* ---- counting ---- */

/* First counter of each class; 2xx, 3xx, 4xx, 5xx follow. */
static enum counter_id class_of(const struct http_req *r, int status)
{
    const struct route *route = r->match.route;
    if (route == NULL || route->pattern == NULL) {
        return status < 400 ? C_http_page_2xx : C_http_none_2xx;
    }
    if (route->handler == route_metrics) {
        return C_http_metrics_2xx;
    }
    if (route->handler == route_healthz || route->handler == route_readyz) {
        return C_http_probe_2xx;
    }
    return sv_starts(sv_of(route->pattern), SV("/channels/")) ? C_http_webhook_2xx : C_http_api_2xx;
}

void metrics_count_http(const struct http_req *r, int status)
{
    unsigned hundreds = status < 200 ? 2 : status > 599 ? 5 : (unsigned)status / 100;
    counter_add((enum counter_id)(class_of(r, status) + hundreds - 2), 1);
}

/* ---- who asks ---- */

static void answer_all(struct edge *e, sv text)
{
    loop_timer_stop(&e->metrics_timer);
    LIST_EACH(it, &e->metrics_waiting)
    {
        struct http_req *r = CONTAINER_OF(it, struct http_req, of_account);
        list_del(&r->of_account);
        if (text.n > 0) {
            http_answer(r, 200, TEXT_TYPE, text, NULL);
        } else {
            http_error(r, 503, "service_unavailable", "no_metrics", "The supervisor did not hand out the metrics in time.");
        }
    }
}

static void on_late(void *ctx)
{
    answer_all(ctx, SV_NULL);
}

void metrics_init(struct edge *e)
{
    list_init(&e->metrics_waiting);
    loop_timer_init(&e->metrics_timer, e->loop, on_late, e);
}

void edge_metrics(struct worker *w, int fd)
{
    struct edge *e = worker_ctx(w);
    struct buf text = BUF_INIT(OUT_MSG_MAX / 2);

    if (e != NULL && lseek(fd, 0, SEEK_SET) == 0 && fd_read_all(fd, &text) == OK) {
        answer_all(e, buf_view(&text));
    }
    fd_close(&fd);
    buf_free(&text);
}

/* Open to direct callers on this machine; others need a credential that may read (http-surfaces.md 11). */
static bool may_read(struct http_req *r)
{
    if (r->peer.loopback || r->auth == HTTP_AUTH_OK) {
        return http_origin_ok(r) && (r->peer.loopback || http_auth_scope(r, SC_READ));
    }
    return http_origin_ok(r) && http_auth_begin(r) && (r->auth == HTTP_AUTH_PENDING || http_auth_scope(r, SC_READ));
}

void route_metrics(struct http_req *r)
{
    struct edge *e = r->e;
    if (!may_read(r) || r->auth == HTTP_AUTH_PENDING) {
        return;
    }
    if (list_empty(&e->metrics_waiting)) {
        worker_ask_metrics(e->w);
        loop_timer_start(&e->metrics_timer, ASK_MS);
    }
    list_add_tail(&e->metrics_waiting, &r->of_account);
}
