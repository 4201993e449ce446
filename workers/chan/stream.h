/*
 * stream.h: one outgoing TCP connection, with TLS when asked for: bytes in, bytes out, never blocking.
 * Runs in: channel workers.     Owns: the socket, the TLS state, unsent bytes.
 * Never: blocks; queues more than STREAM_OUT_MAX; accepts a certificate it could not check, unless told to.
 * Tested in: tests/unit/chan/test_stream.c; scenario c1
 */
#ifndef TENAZA_WORKERS_CHAN_STREAM_H
#define TENAZA_WORKERS_CHAN_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/loop.h"
#include "common/sv.h"

#define STREAM_OUT_MAX ((size_t)64 * 1024) /* bytes that wait for the socket */
#define STREAM_READ_MAX ((size_t)64 * 1024) /* bytes handed over per loop turn */

struct stream;

struct stream_opts {
    const char *host;
    uint16_t port;
    bool tls, verify;
    const char *cert_file, *key_file; /* client certificate (SASL EXTERNAL); NULL: none */
    int64_t connect_ms;               /* limit for name, connection and handshake together */
};

/* Callbacks may call stream_free. */
struct stream_ops {
    void (*up)(void *ctx);
    void (*data)(void *ctx, sv bytes);
    /* The connection is over; why is for people and dies with the call. trust: the certificate was refused,
     * trying again will not help. */
    void (*down)(void *ctx, const char *why, bool trust);
};

struct stream *stream_open(struct loop *l, const struct stream_opts *o, const struct stream_ops *ops, void *ctx);
void stream_free(struct stream *s); /* closes at once; no callback follows */
/* Queues and sends what the socket takes. ERR_FULL: nothing was queued; ERR_CLOSED. */
int stream_write(struct stream *s, sv bytes) ATTR_NODISCARD;
/* Bytes queued and bytes that left, both since the beginning: what was queued at or behind `left` when the
 * connection ended never left this machine. */
uint64_t stream_queued(const struct stream *s);
uint64_t stream_left(const struct stream *s);
void stream_pause(struct stream *s, bool on); /* stops reading */

#endif
