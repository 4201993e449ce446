/*
 * resolve.c: see resolve.h.
 * Runs in: channel workers.     Owns: requests; one that libc will not let go of is left to it on purpose.
 * Never: blocks.
 * Tested in: tests/unit/chan/test_stream.c
 */
#include "workers/chan/resolve.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"

#define POLL_FIRST_MS 1 /* doubles up to POLL_MAX_MS */
#define POLL_MAX_MS 50

struct resolve {
    struct gaicb req;
    struct addrinfo hints;
    char host[256], service[8];
    struct loop_timer poll;
    int64_t until_ms, wait_ms;
    resolve_fn *fn;
    void *ctx;
};

static void destroy(struct resolve *r)
{
    loop_timer_stop(&r->poll);
    int rc = gai_error(&r->req);
    if (rc == EAI_INPROGRESS && gai_cancel(&r->req) == EAI_NOTCANCELED) {
        return; /* libc still writes into it: leaking one request is the only safe thing */
    }
    if (r->req.ar_result) {
        freeaddrinfo(r->req.ar_result);
    }
    xfree(r);
}

static void on_poll(void *ctx)
{
    struct resolve *r = (struct resolve *)ctx;
    int rc = gai_error(&r->req);
    if (rc == EAI_INPROGRESS && clock_mono_ms() < r->until_ms) {
        loop_timer_start(&r->poll, r->wait_ms);
        r->wait_ms = r->wait_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : r->wait_ms * 2;
        return;
    }
    const char *why = rc == EAI_INPROGRESS ? "the name server does not answer" : gai_strerror(rc);
    if (rc == 0) {
        r->fn(r->ctx, r->req.ar_result, NULL);
    } else {
        r->fn(r->ctx, NULL, why);
    }
    destroy(r);
}

struct resolve *resolve_start(struct loop *l, const char *host, uint16_t port, int64_t within_ms,
                              resolve_fn *fn, void *ctx)
{
    struct resolve *r = (struct resolve *)xcalloc(1, sizeof *r);
    struct gaicb *list[1] = {&r->req};
    r->fn = fn;
    r->ctx = ctx;
    r->hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (!sv_copy(r->host, sizeof r->host, sv_of(host)) ||
        snprintf(r->service, sizeof r->service, "%u", (unsigned)port) < 0) {
        r->host[0] = '\0';
    }
    r->req.ar_name = r->host;
    r->req.ar_service = r->service;
    r->req.ar_request = &r->hints;
    r->until_ms = clock_mono_ms() + within_ms;
    r->wait_ms = POLL_FIRST_MS;
    loop_timer_init(&r->poll, l, on_poll, r);
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
        r->until_ms = 0;
    }
    loop_timer_start(&r->poll, r->wait_ms);
    return r;
}

void resolve_cancel(struct resolve *r)
{
    destroy(r);
}
