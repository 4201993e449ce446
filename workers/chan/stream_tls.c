/*
 * stream_tls.c: see stream_tls.h.
 * Runs in: channel workers.     Owns: SSL and SSL_CTX of one connection.
 * Never: blocks.
 * Tested in: tests/unit/chan/test_stream.c
 */
#include "workers/chan/stream_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "common/attrs.h"
#include "common/buf.h"
#include "common/sv.h"

struct stream_tls {
    SSL_CTX *ctx;
    SSL *ssl;
    bool wants_write;
};

static void explain(char *why, size_t cap, const char *what)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    if (snprintf(why, cap, "%s%s%s", what, reason ? ": " : "", reason ? reason : "") < 0) {
        why[0] = '\0';
    }
    ERR_clear_error();
}

static bool set_host(struct stream_tls *t, const char *host)
{
    unsigned char addr[16];
    bool numeric = inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    if (numeric) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    }
    char name[256]; /* SSL_set_tlsext_host_name casts const away, so the same call with a copy */
    return sv_copy(name, sizeof name, sv_of(host)) && SSL_set1_host(t->ssl, name) == 1 &&
           SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) == 1;
}

struct stream_tls *stream_tls_new(int fd, const char *host, bool verify, const char *cert_file,
                                  const char *key_file, char *why, size_t cap)
{
    struct stream_tls *t = (struct stream_tls *)xcalloc(1, sizeof *t);
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1) {
        explain(why, cap, "TLS cannot be set up");
        stream_tls_free(t);
        return NULL;
    }
    SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(t->ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (verify && SSL_CTX_set_default_verify_paths(t->ctx) != 1) {
        explain(why, cap, "no certificate authorities");
        stream_tls_free(t);
        return NULL;
    }
    if (cert_file && (SSL_CTX_use_certificate_chain_file(t->ctx, cert_file) != 1 ||
                      SSL_CTX_use_PrivateKey_file(t->ctx, key_file ? key_file : cert_file, SSL_FILETYPE_PEM) != 1)) {
        explain(why, cap, "the client certificate cannot be used");
        stream_tls_free(t);
        return NULL;
    }
    t->ssl = SSL_new(t->ctx);
    if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1 || !set_host(t, host)) {
        explain(why, cap, "TLS cannot be set up");
        stream_tls_free(t);
        return NULL;
    }
    return t;
}

void stream_tls_free(struct stream_tls *t)
{
    if (!t) {
        return;
    }
    if (t->ssl && SSL_is_init_finished(t->ssl) && SSL_shutdown(t->ssl) < 0) {
        ERR_clear_error(); /* politeness only */
    }
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    xfree(t);
}

enum tls_result stream_tls_handshake(struct stream_tls *t, char *why, size_t cap)
{
    ERR_clear_error();
    int rc = SSL_connect(t->ssl);
    if (rc == 1) {
        t->wants_write = false;
        return TLS_OK;
    }
    int err = SSL_get_error(t->ssl, rc);
    t->wants_write = err == SSL_ERROR_WANT_WRITE;
    if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE) {
        return t->wants_write ? TLS_WANT_WRITE : TLS_WANT_READ;
    }
    long verdict = SSL_get_verify_result(t->ssl);
    if (verdict != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) {
        ERR_clear_error();
        if (snprintf(why, cap, "the server's certificate is refused: %s",
                     X509_verify_cert_error_string(verdict)) < 0) {
            why[0] = '\0';
        }
        return TLS_UNTRUSTED;
    }
    explain(why, cap, "TLS handshake failed");
    return TLS_ERROR;
}

bool stream_tls_wants_write(const struct stream_tls *t)
{
    return t->wants_write;
}

/* "Later" covers both directions: a renegotiation is not done by our side, and TLS 1.3 key updates are
 * answered with the next write. */
static ssize_t result(struct stream_tls *t, int rc, size_t done)
{
    if (rc == 1) {
        return (ssize_t)done;
    }
    int err = SSL_get_error(t->ssl, rc);
    if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE) {
        return 0;
    }
    ERR_clear_error();
    return err == SSL_ERROR_ZERO_RETURN ? STREAM_EOF : -1;
}

ssize_t stream_tls_read(struct stream_tls *t, char *p, size_t n)
{
    size_t done = 0;
    ERR_clear_error();
    int rc = SSL_read_ex(t->ssl, p, n, &done);
    return result(t, rc, done);
}

ssize_t stream_tls_write(struct stream_tls *t, const char *p, size_t n)
{
    size_t done = 0;
    ERR_clear_error();
    int rc = SSL_write_ex(t->ssl, p, n, &done);
    return result(t, rc, done);
}
