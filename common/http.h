/*
 * http.h: HTTP client requests on libcurl's multi interface inside the libev loop.
 * Runs in: agent, chan.     Owns: the multi handle and its transfers.
 * Never: follows redirects, speaks anything but http and https, logs a URL's query or a header value.
 * Tested in: tests/unit/common/test_http.c
 */
#ifndef TENAZA_COMMON_HTTP_H
#define TENAZA_COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/sv.h"

struct http_client;
struct http_req;

struct http_opts {
    const char *method;         /* "GET", "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; copied */
    sv body;                    /* copied */
    int64_t connect_ms;         /* 0: 10000 */
    int64_t idle_ms;            /* no byte for this long ends the transfer; 0: 120000 */
    int64_t total_ms;           /* 0: no limit */
    size_t max_body;            /* response cap in bytes; 0: 1 MiB. Streaming counts too */
    bool allow_private;         /* false: refuses loopback, private and link-local addresses (SSRF guard) */
};

enum http_fail {
    HTTP_OK,            /* a response arrived completely, whatever its status */
    HTTP_NOT_SENT,      /* refused, DNS, TLS: the request never left */
    HTTP_UNKNOWN,       /* broken or timed out after bytes left: the server may have acted on it */
    HTTP_TOO_BIG,
    HTTP_CANCELLED,
};

struct http_result {
    enum http_fail fail;
    int status;             /* 0 when no status line arrived */
    int64_t retry_after_ms; /* from Retry-After, -1 when absent */
    sv body;                /* whole body, or the rest that on_data did not take (error bodies) */
    const char *error;      /* one phrase for people: "connection refused" */
};

/* on_data: called with bytes of a 2xx response as they come; NULL: collected into result.body. */
typedef void http_data_fn(void *ctx, sv bytes);
typedef void http_done_fn(void *ctx, const struct http_result *r);

struct http_client *http_client_new(struct loop *l);
void http_client_free(struct http_client *c); /* cancels what is under way, done callbacks are called */
struct http_req *http_start(struct http_client *c, const struct http_opts *o, http_data_fn *on_data,
                            http_done_fn *on_done, void *ctx);
/* done is called (deferred) with HTTP_CANCELLED; the request is freed by the client after done. */
void http_cancel(struct http_req *r);

#endif
