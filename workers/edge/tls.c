/*
 * tls.c: see tls.h.
 * Runs in: edge.     Owns: nothing.
 * Never: offers anything older than TLS 1.2.
 * Tested in: tests/scn/h4-tls.test.mjs
 */
#include "workers/edge/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "common/log.h"

#define CHAIN_MAX 16

static bool failed(const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    log_error("edge.tls: %s: %s", what, text);
    return false;
}

static bool load_chain(SSL_CTX *ctx, sv pem)
{
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    size_t n = 0;
    bool good = true;
    while (in != NULL && good && n < CHAIN_MAX) {
        X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (cert == NULL) {
            break;
        }
        /* add1 takes a reference of its own, and so does use_certificate. */
        good = n == 0 ? SSL_CTX_use_certificate(ctx, cert) == 1 : SSL_CTX_add1_chain_cert(ctx, cert) == 1;
        X509_free(cert);
        n++;
    }
    BIO_free(in);
    if (n == 0 || !good) {
        return failed("edge.tls.certificate holds no usable PEM certificate");
    }
    ERR_clear_error(); /* the end of the chain counts as one */
    return true;
}

static bool load_key(SSL_CTX *ctx, sv pem)
{
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
    bool is_key = key != NULL;
    bool fits = is_key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    BIO_free(in);
    if (!is_key) {
        return failed("edge.tls.key holds no usable PEM key (without a passphrase)");
    }
    return fits || failed("edge.tls.key does not belong to edge.tls.certificate");
}

bool tls_load(void *ctx, sv certificate, sv key)
{
    SSL_CTX *ssl = ctx;
    ERR_clear_error();
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1) {
        return failed("TLS 1.2 is not available");
    }
    /* Idle connections give their buffers back: 10,000 of them otherwise hold 340 MB. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    return load_chain(ssl, certificate) && load_key(ssl, key);
}
