/*
 * static.h: the files of the web page, embedded at build time (rows of web.def, generator embed.c).
 * Runs in: edge.     Owns: nothing; the files are read-only data.
 * Never: reads the file system.
 * Tested in: tests/unit/edge/test_static.c
 */
#ifndef TENAZA_EDGE_STATIC_H
#define TENAZA_EDGE_STATIC_H

#include <stdbool.h>

#include "common/sv.h"

struct edge;
struct http_req;

struct web_file {
    const char *url;
    const char *type;
    const char *etag; /* with its quotes */
    const unsigned char *data;
    size_t n;
};

/* Ends with a row without url; generated. */
extern const struct web_file web_files[];

/* NULL: no such file, or the page is switched off (edge.ui.enabled). */
const struct web_file *static_find(const struct edge *e, sv path);
/* Does an If-None-Match header name this tag? Weak tags and lists count, "*" too. */
bool etag_matches(sv header, const char *etag);
void static_serve(struct http_req *r, const struct web_file *f);

#endif
