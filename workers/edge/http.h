/*
 * http.h: one HTTP request and its answer, independent of the library that carries them.
 * Runs in: edge.     Owns: request and answer, until the answer is written or the client is gone.
 * Never: streams; answers are built whole (bounded by OUT_MSG_MAX).
 * Tested in: tests/unit/edge/test_routes.c, the scenarios
 */
#ifndef TENAZA_EDGE_HTTP_H
#define TENAZA_EDGE_HTTP_H

#include "workers/edge/conn.h"
#include "workers/edge/routes.h"

#define HTTP_PATH_MAX 1024 /* messages.def HTTP_IN.path */
#define HTTP_QUERY_MAX 2048
#define HTTP_HEADERS_MAX 32
#define HTTP_BODY_MS 30000 /* http-surfaces.md 1.2: body read deadline */

struct http_header {
    const char *name; /* lower case, static */
    char *value;
};

struct http_req {
    struct edge *e;
    void *wsi; /* NULL when the client is gone */
    struct peer peer;
    enum http_method method;
    char path[HTTP_PATH_MAX + 1];
    char query[HTTP_QUERY_MAX + 1];
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t headers_n;
    struct buf body;
    bool keep_alive;
    struct route_match match;
    bool reading;      /* the body is still coming in */
    struct buf answer; /* header and body as they go out; empty: not answered yet */
    bool close_after;
    struct loop_timer deadline;
    struct list of_account; /* chan_row.calls while a channel worker has it */
};

struct http_req *http_new(struct edge *e, void *wsi, const struct peer *peer);
void http_free(struct http_req *r);
sv http_header(const struct http_req *r, const char *name);
/* Headers are in: route it. Afterwards either answered, or `reading` says that the body is wanted. */
void http_begin(struct http_req *r, bool has_length, uint64_t length);
/* Part of the body; answers 413 when it is more than announced or allowed. */
void http_body(struct http_req *r, sv piece);
void http_dispatch(struct http_req *r); /* the body is complete */

/* Builds the answer and asks the transport to write it. extra: further header lines ("Name: value\r\n") or
 * NULL. The first answer wins. */
void http_answer(struct http_req *r, int status, const char *type, sv body, const char *extra);
/* Error body of http-surfaces.md 1.3. */
void http_error(struct http_req *r, int status, const char *type, const char *code, const char *text);
const char *http_reason(int status);

#endif
