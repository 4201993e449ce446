/*
 * routes.c: see routes.h.
 * Runs in: edge.     Owns: nothing.
 * Never: backtracks: patterns are matched segment by segment.
 * Tested in: tests/unit/edge/test_routes.c
 */
#include "workers/edge/routes.h"

static bool match_path(sv pattern, sv path, struct route_match *m)
{
    size_t args = 0;
    bool more = true;
    /* Both start with "/": cut away what is in front of it. */
    sv_cut(&pattern, '/');
    sv_cut(&path, '/');
    while (more) {
        more = sv_chr(pattern, '/') >= 0;
        if (more != (sv_chr(path, '/') >= 0)) {
            return false;
        }
        sv want = sv_cut(&pattern, '/');
        sv have = sv_cut(&path, '/');
        if (sv_eqc(want, "*")) {
            if (have.n == 0 || args == ROUTE_ARGS) {
                return false;
            }
            m->arg[args++] = have;
        } else if (!sv_eq(want, have)) {
            return false;
        }
    }
    return true;
}

enum route_result route_find(const struct route *rows, enum http_method method, sv path,
                             struct route_match *m, const char **allow)
{
    enum http_method as = method == HTTP_HEAD ? HTTP_GET : method;
    enum route_result result = ROUTE_NONE;
    if (path.n == 0 || path.p[0] != '/') {
        return ROUTE_NONE;
    }
    for (const struct route *r = rows; r->pattern != NULL; r++) {
        *m = (struct route_match){.route = r};
        if (!match_path(sv_of(r->pattern), path, m)) {
            continue;
        }
        if (r->method == as) {
            return ROUTE_FOUND;
        }
        /* The first row that fits the path names the method that would be right. */
        if (result == ROUTE_NONE) {
            *allow = r->method == HTTP_GET ? "GET, HEAD" : "POST";
            result = ROUTE_WRONG_METHOD;
        }
    }
    m->route = NULL;
    return result;
}
