/*
 * fake_http.h: the HTTP/1.1 server below the fake model server: keep-alive, pipelining, chunked answers.
 * Runs in: fake_llm.     Owns: its listening socket and connections.
 * Never: listens on anything but loopback.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#ifndef TENAZA_FAKES_FAKE_HTTP_H
#define TENAZA_FAKES_FAKE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/sv.h"

struct fh_conn;
struct fh_req {
    sv method, path; /* path without the query */
    sv head;         /* all header lines */
    sv body;
};
/* Views are valid inside the call only. The handler answers now or later; then it calls fh_end or fh_close. */
typedef void fh_handler(struct fh_conn *c, const struct fh_req *r);

/* Listens on 127.0.0.1:port (0: any); returns the port, 0 on failure (errno). */
uint16_t fh_listen(struct loop *l, uint16_t port, fh_handler *fn);
void fh_stop(void); /* closes everything */

struct loop *fh_loop(void);
sv fh_header(const struct fh_req *r, const char *name); /* trimmed value, SV_NULL when absent */

/* What the handler attached; `gone` is called when the peer goes away before the answer ended. */
void fh_attach(struct fh_conn *c, void *data, void (*gone)(void *data));

void fh_answer(struct fh_conn *c, int status, const char *headers, sv body); /* whole; ends the answer */
void fh_open(struct fh_conn *c, int status, const char *content_type);       /* chunked answer begins */
void fh_chunk(struct fh_conn *c, sv bytes);
void fh_raw(struct fh_conn *c, sv bytes); /* bytes as they are */
void fh_end(struct fh_conn *c);   /* last chunk; the connection takes the next request */
void fh_close(struct fh_conn *c); /* closes as soon as what was written has left */

#endif
