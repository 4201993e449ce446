/*
 * static.c: see static.h.
 * Runs in: edge.     Owns: nothing.
 * Never: sends a page without its content security policy.
 * Tested in: tests/unit/edge/test_static.c
 */
#include "workers/edge/static.h"

#include "workers/edge/http.h"

/* http-surfaces.md 14: no inline script or style, no other host, no framing. */
#define CSP                                                                                        \
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; "             \
    "form-action 'none'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; "                \
    "script-src 'self'; style-src 'self'"

const struct web_file *static_find(const struct edge *e, sv path)
{
    if (!e->conf.ui) {
        return NULL;
    }
    for (const struct web_file *f = web_files; f->url != NULL; f++) {
        if (sv_eqc(path, f->url)) {
            return f;
        }
    }
    return NULL;
}

bool etag_matches(sv header, const char *etag)
{
    while (header.n > 0) {
        sv one = sv_trim(sv_cut(&header, ','));
        if (sv_starts(one, SV("W/"))) {
            one = sv_sub(one, 2, one.n);
        }
        if (sv_eqc(one, etag) || sv_eqc(one, "*")) {
            return true;
        }
    }
    return false;
}

void static_serve(struct http_req *r, const struct web_file *f)
{
    struct buf extra = BUF_INIT(1024);
    /* Names carry no content hash, so a browser asks each time and mostly gets 304. */
    buf_printf(&extra, "ETag: %s\r\nCache-Control: no-cache\r\nContent-Security-Policy: " CSP "\r\n",
               f->etag);
    if (etag_matches(http_header(r, "if-none-match"), f->etag)) {
        http_answer(r, 304, NULL, SV(""), buf_cstr(&extra));
    } else {
        http_answer(r, 200, f->type, sv_mem(f->data, f->n), buf_cstr(&extra));
    }
    buf_free(&extra);
}
