/*
 * routes.h: which handler a method and path belong to.
 * Runs in: edge.     Owns: nothing.
 * Never: decodes paths (they come decoded), looks at headers.
 * Tested in: tests/unit/edge/test_routes.c
 */
#ifndef TENAZA_EDGE_ROUTES_H
#define TENAZA_EDGE_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"
#include "workers/edge/scopes.h"

struct http_req;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS, HTTP_OTHER };

/* Who may ask: everybody, or somebody with this scope. */
enum route_need {
    NEED_NOBODY = 0,
    NEED_READ = SC_READ,
    NEED_WRITE = SC_WRITE,
    NEED_ADMIN = SC_ADMIN,
};

struct route {
    enum http_method method;
    const char *pattern;
    size_t cap;
    enum route_need need;
    void (*handler)(struct http_req *r);
};

#define ROUTE_ARGS 2
struct route_match {
    const struct route *route;
    sv arg[ROUTE_ARGS]; /* segments that "*" stood for; views into the path */
};

enum route_result { ROUTE_FOUND, ROUTE_NONE, ROUTE_WRONG_METHOD };

/* rows: table ending with a NULL pattern. allow: on ROUTE_WRONG_METHOD the value of the Allow header. */
enum route_result route_find(const struct route *rows, enum http_method method, sv path,
                             struct route_match *m, const char **allow);
/* The table of routes.def. */
extern const struct route routes[];

#endif
