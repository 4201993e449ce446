/*
 * webhook.c: requests on /channels/<channel>/<account> go to the worker of that account and its answer comes
 *            back: the edge does not look inside.
 * Runs in: edge.     Owns: nothing; the request waits in its connection.
 * Never: answers 2xx by itself: only the channel worker knows that the message is durable.
 * Tested in: the scenarios
 */
#include <stdio.h>

#include "common/text.h"
#include "workers/edge/health.h"
#include "workers/edge/http.h"

void route_webhook(struct http_req *r);

/* The worker answers after the store's commit; with ?wait=<s> after the run, up to 120 s (channels.md 2.20). */
#define ANSWER_MS 35000
#define WAIT_MAX_S 120
#define WAIT_SPARE_MS 10000

static void on_answer(void *ctx, int err, uint16_t type, const void *body)
{
    struct http_req *r = ctx;
    list_del(&r->of_account);
    /* No answer in time is no different from no worker: whether the message is stored is not known, and the
     * sender repeats it under the same id. */
    if (err != OK || type != MSG_HTTP_OUT) {
        http_error(r, 503, "service_unavailable", "channel_unavailable",
                   "The channel is not available now; try again.");
        return;
    }
    const struct msg_http_out *out = body;
    char type_text[129], extra[64] = "";
    int status = out->status >= 200 && out->status <= 599 ? (int)out->status : 502;
    sv_copy(type_text, sizeof type_text, out->type.n > 0 ? out->type : SV("application/json"));
    /* A header value with a line break would let a worker write headers of its own. */
    if (sv_chr(sv_of(type_text), '\r') >= 0 || sv_chr(sv_of(type_text), '\n') >= 0) {
        sv_copy(type_text, sizeof type_text, SV("application/octet-stream"));
    }
    if (out->retry_after_s > 0) {
        snprintf(extra, sizeof extra, "Retry-After: %llu\r\n", (unsigned long long)out->retry_after_s);
    }
    http_answer(r, status, type_text, out->body, extra[0] ? extra : NULL);
}

void webhook_restarted(struct chan_row *row)
{
    LIST_EACH(it, &row->calls)
    {
        struct http_req *r = CONTAINER_OF(it, struct http_req, of_account);
        bus_forget(r->e->bus, r);
        on_answer(r, ERR_GONE, MSG_NONE, NULL);
    }
}

static int64_t patience(const struct http_req *r)
{
    uint64_t s = 0;
    if (!sv_u64(url_query(sv_of(r->query), "wait"), &s)) {
        return ANSWER_MS;
    }
    int64_t ms = (int64_t)(s < WAIT_MAX_S ? s : WAIT_MAX_S) * 1000 + WAIT_SPARE_MS;
    return ms > ANSWER_MS ? ms : ANSWER_MS;
}

void route_webhook(struct http_req *r)
{
    char name[130];
    snprintf(name, sizeof name, "%.*s/%.*s", SV_ARG(r->match.arg[0]), SV_ARG(r->match.arg[1]));
    struct chan_row *row = health_channel(r->e, sv_of(name));
    if (row == NULL) {
        http_error(r, 404, "not_found_error", "channel_not_found",
                   "No such channel account is configured.");
        return;
    }
    struct msg_http_header headers[HTTP_HEADERS_MAX];
    for (size_t i = 0; i < r->headers_n; i++) {
        headers[i] = (struct msg_http_header){sv_of(r->headers[i].name), sv_of(r->headers[i].value)};
    }
    const struct msg_http_in in = {
        .method = SV("POST"),
        .path = sv_of(r->path),
        .query = sv_of(r->query),
        .peer = sv_of(r->peer.addr),
        .body = buf_view(&r->body),
        .headers = headers,
        .headers_n = r->headers_n,
    };
    list_add_tail(&row->calls, &r->of_account);
    bus_call(r->e->bus, name, MSG_HTTP_IN, &in, patience(r), on_answer, r);
}
