/*
 * http_stub.h: a tiny HTTP server inside the test's own loop; each path is a script that misbehaves on demand.
 * Runs in: test_http.     Owns: its sockets and connections.
 * Never: leaves loopback, parses more than a test needs.
 * Tested in: test_http.c, by use.
 */
#ifndef TENAZA_TESTS_HTTP_STUB_H
#define TENAZA_TESTS_HTTP_STUB_H

#include <stdint.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/map.h"
#include "common/sv.h"

struct stub;
struct stub_conn {
    struct list link;
    struct stub *stub;
    ev_io io;
    struct loop_timer timer;
    struct buf in;
    void (*tick)(struct stub_conn *c); /* called when the timer ends */
    int step;     /* for scripts */
    int requests; /* answered or being answered on this connection */
};

struct stub_script {
    const char *path;
    void (*run)(struct stub_conn *c, sv head, sv body);
};

struct stub {
    struct loop *loop;
    ev_io io;
    uint16_t port;
    struct list conns;
    const struct stub_script *scripts; /* ends with a NULL path */
    int accepted, requests;
    struct buf last_head, last_body;
};

extern const struct stub_script http_scripts[]; /* http_scripts.c */

void stub_start(struct stub *s, struct loop *l, const struct stub_script *scripts);
void stub_stop(struct stub *s);
void stub_write(struct stub_conn *c, const char *text);
void stub_write_n(struct stub_conn *c, const void *p, size_t n);
void stub_answer(struct stub_conn *c, int status, const char *headers, sv body); /* with Content-Length */
void stub_after(struct stub_conn *c, int64_t ms, void (*tick)(struct stub_conn *c));
void stub_close(struct stub_conn *c); /* FIN; c is gone afterwards */
void stub_reset(struct stub_conn *c); /* RST */

#endif
