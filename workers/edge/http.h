/*
 * http.h: one HTTP request and its answer, independent of the library that carries them.
 * Runs in: edge.     Owns: request and answer, until the answer is written or the client is gone.
 * Never: holds more of an answer than OUT_MSG_MAX; a stream is pulled, so it holds what one write takes.
 * Tested in: tests/unit/edge/test_routes.c, the scenarios
 */
#ifndef TENAZA_EDGE_HTTP_H
#define TENAZA_EDGE_HTTP_H

#include "workers/edge/chunked.h"
#include "workers/edge/conn.h"
#include "workers/edge/http_rules.h"
#include "workers/edge/routes.h"

#define HTTP_PATH_MAX 1024 /* messages.def HTTP_IN.path */
#define HTTP_QUERY_MAX 2048
#define HTTP_HEADERS_MAX 48
#define HTTP_BODY_MS 30000 /* http-surfaces.md 1.2: body read deadline */
/* Section 2: a stream says something at least this often, and is cut when nothing can be written for so long. */
#define HTTP_STREAM_ALIVE_MS 15000
#define HTTP_STREAM_STUCK_MS 60000

struct http_header {
    const char *name; /* lower case, static */
    char *value;
};

enum http_auth { HTTP_AUTH_NONE, HTTP_AUTH_PENDING, HTTP_AUTH_OK };

struct http_req {
    struct edge *e;
    void *wsi; /* NULL when the client is gone */
    struct peer peer;
    enum http_method method;
    char path[HTTP_PATH_MAX + 1];
    char query[HTTP_QUERY_MAX + 1];
    char id[REQUEST_ID_MAX + 1]; /* X-Request-Id */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t headers_n;
    struct buf body;
    bool keep_alive, http10;
    struct route_match match;
    bool reading;      /* the body is still coming in */
    bool is_chunked;
    struct chunked chunked;

    enum http_auth auth;
    uint32_t scopes;   /* of the caller */
    bool admitted;     /* work was started for it: no error may invite a repeat (1.4) */

    struct buf answer; /* header and body as they go out; empty: not answered yet */
    bool close_after;
    bool streaming;    /* the answer goes out in pieces: answer holds the one that waits to be written */
    bool ended;        /* the last piece is in `answer` */
    int64_t wrote_ms;
    struct loop_timer alive;
    struct loop_timer deadline;
    struct list of_account; /* chan_row.calls while a channel worker has it */

    /* The handler's own, while it works on the request. */
    void *work;
    void (*pull)(struct http_req *r);      /* a stream can be written: append what is there */
    void (*work_free)(struct http_req *r); /* the request ends, whatever the reason */
};

struct http_req *http_new(struct edge *e, void *wsi, const struct peer *peer);
void http_free(struct http_req *r);
/* SV_NULL when absent. */
sv http_header(const struct http_req *r, const char *name);
/* X-Tenaza-<name>, or X-OpenClaw-<name>. name: lower case. */
sv http_own_header(const struct http_req *r, const char *name);
/* Headers are in: route it. Afterwards either answered, or `reading` says that the body is wanted. */
void http_begin(struct http_req *r);
/* Part of the body; answers 413 when it is more than announced or allowed. */
void http_body(struct http_req *r, sv piece);
void http_dispatch(struct http_req *r); /* the body is complete, or the caller has been looked up */

/* Builds the answer and asks the transport to write it. extra: further header lines ("Name: value\r\n") or
 * NULL. The first answer wins. */
void http_answer(struct http_req *r, int status, const char *type, sv body, const char *extra);
const char *http_reason(int status);

struct http_fail {
    int status;
    const char *type, *code;
    const char *param;  /* the field that is wrong, or NULL */
    sv text;            /* for people */
    int64_t retry_ms;   /* 429 and 503; 0: a second */
    const char *extra;  /* further header lines, or NULL */
};
/* Error body of http-surfaces.md 1.3. */
void http_fail(struct http_req *r, const struct http_fail *f);
void http_fail_body(const struct http_req *r, const struct http_fail *f, struct buf *b);
void http_error(struct http_req *r, int status, const char *type, const char *code, const char *text);
/* A request to the store failed: body is its STATUS or NULL. */
void http_fail_store(struct http_req *r, int err, uint16_t type, const void *body);

/* ---- http_stream.c: server-sent events and other answers in pieces (section 2) ---------------------- */

/* Sends the header; from now on errors are events. */
void http_stream_begin(struct http_req *r, const char *type, const char *extra);
void http_stream_add(struct http_req *r, sv piece);
/* "event: name" (NULL: none) and "data: text" (one line). */
void http_stream_event(struct http_req *r, const char *name, sv data);
void http_stream_end(struct http_req *r);
/* There may be something to pull. */
void http_stream_kick(struct http_req *r);

/* ---- http_auth.c: who asks (section 3) --------------------------------------------------------------- */

/* Looks at the credential; false: answered with the refusal. Sets auth and scopes. */
bool http_auth_begin(struct http_req *r);
/* May this caller do that? False: answered with 403. */
bool http_auth_scope(struct http_req *r, uint32_t need);

/* ---- metrics.c ---- */

void metrics_count_http(const struct http_req *r, int status);

/* ---- http_cors.c: browsers of other origins ------------------------------------------------------------ */

/* False: answered with the refusal. */
bool http_origin_ok(struct http_req *r);
/* Answer to OPTIONS. */
void http_preflight(struct http_req *r);
/* Header lines that let the page read this answer; nothing for requests without a (good) Origin. */
void http_cors_headers(const struct http_req *r, struct buf *b);

#endif
