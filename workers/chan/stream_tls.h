/*
 * stream_tls.h: OpenSSL on a non-blocking socket; used by stream.c only.
 * Runs in: channel workers.     Owns: SSL and SSL_CTX of one connection.
 * Never: blocks; negotiates less than TLS 1.2.
 * Tested in: tests/unit/chan/test_stream.c
 */
#ifndef TENAZA_WORKERS_CHAN_STREAM_TLS_H
#define TENAZA_WORKERS_CHAN_STREAM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Returned by reads: the other side has closed. -1 is an error, 0 means "later". */
#define STREAM_EOF (-2)

enum tls_result { TLS_OK, TLS_WANT_READ, TLS_WANT_WRITE, TLS_UNTRUSTED, TLS_CLOSED, TLS_ERROR };

struct stream_tls;

/* host: for SNI and the check of the name. NULL with why filled when a file cannot be used. */
struct stream_tls *stream_tls_new(int fd, const char *host, bool verify, const char *cert_file,
                                  const char *key_file, char *why, size_t cap);
void stream_tls_free(struct stream_tls *t);
enum tls_result stream_tls_handshake(struct stream_tls *t, char *why, size_t cap);
bool stream_tls_wants_write(const struct stream_tls *t);
ssize_t stream_tls_read(struct stream_tls *t, char *p, size_t n);
ssize_t stream_tls_write(struct stream_tls *t, const char *p, size_t n);

#endif
