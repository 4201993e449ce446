/*
 * crypto.c: hashes, signatures and guarded memory, each one call into libsodium.
 * Runs in: store, edge, agent, chan, command line.     Owns: nothing.
 * Never: home-made cryptography, comparison of secrets with memcmp.
 * Tested in: tests/unit/common/test_crypto.c
 */
#include "common/crypto.h"

#include <sodium.h>

#include "common/err.h"

static const uint8_t *bytes_of(sv s)
{
    return (const uint8_t *)(const void *)(s.p ? s.p : "");
}

void crypto_init(void)
{
    if (sodium_init() < 0) { /* 1: done before */
        die(EXIT_UNAVAILABLE, "libsodium cannot be initialised");
    }
}

void crypto_key128(uint8_t out[16], const sv *parts, size_t n)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, 16);
    for (size_t i = 0; i < n; i++) {
        /* The length in front keeps ("ab","c") and ("a","bc") apart. Little endian, part of the stored key. */
        uint8_t len[8];
        for (size_t b = 0; b < sizeof len; b++) {
            len[b] = (uint8_t)((uint64_t)parts[i].n >> (8 * b));
        }
        crypto_generichash_update(&st, len, sizeof len);
        crypto_generichash_update(&st, bytes_of(parts[i]), parts[i].n);
    }
    crypto_generichash_final(&st, out, 16);
}

void crypto_sha256(uint8_t out[32], sv bytes)
{
    crypto_hash_sha256(out, bytes_of(bytes), bytes.n);
}

void crypto_hmac_sha256(uint8_t out[32], sv key, sv bytes)
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, bytes_of(key), key.n);
    crypto_auth_hmacsha256_update(&st, bytes_of(bytes), bytes.n);
    crypto_auth_hmacsha256_final(&st, out);
    sodium_memzero(&st, sizeof st);
}

bool crypto_equal(sv a, sv b)
{
    return a.n == b.n && sodium_memcmp(bytes_of(a), bytes_of(b), a.n) == 0;
}

bool crypto_ed25519_verify(const uint8_t pub[32], const uint8_t sig[64], sv message)
{
    return crypto_sign_verify_detached(sig, bytes_of(message), message.n, pub) == 0;
}

void secret_set(struct secret *s, sv value)
{
    secret_free(s);
    crypto_init(); /* sodium_malloc needs its page size and canary; later calls cost nothing */
    s->p = sodium_malloc(value.n + 1);
    if (!s->p) {
        die(EXIT_TEMPFAIL, "no guarded memory for a secret");
    }
    if (value.n > 0) {
        memcpy(s->p, value.p, value.n);
    }
    s->p[value.n] = '\0';
    s->n = value.n;
}

void secret_free(struct secret *s)
{
    if (s->p) {
        sodium_free(s->p); /* wipes */
    }
    *s = (struct secret){NULL, 0};
}
