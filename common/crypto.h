/*
 * crypto.h: the few primitives we use, all from libsodium.
 * Runs in: store, edge, agent, chan, command line.     Owns: nothing.
 * Never: home-made cryptography, comparison of secrets with memcmp.
 * Tested in: tests/unit/common/test_crypto.c (with the vector of gateway-ws.md 6.4)
 */
#ifndef TENAZA_COMMON_CRYPTO_H
#define TENAZA_COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

void crypto_init(void); /* once per process, before anything else here */
/* BLAKE2b-128 of the parts with length prefixes: natural keys of the store. */
void crypto_key128(uint8_t out[16], const sv *parts, size_t n);
void crypto_sha256(uint8_t out[32], sv bytes);
void crypto_hmac_sha256(uint8_t out[32], sv key, sv bytes);
bool crypto_equal(sv a, sv b); /* constant time in the content; lengths are not secret */
bool crypto_ed25519_verify(const uint8_t pub[32], const uint8_t sig[64], sv message);

/* Guarded memory for a secret: never swapped, never in a core dump, wiped on free. */
struct secret {
    char *p; /* NUL-terminated; do not print */
    size_t n;
};
void secret_set(struct secret *s, sv value);
void secret_free(struct secret *s);
static inline sv secret_sv(const struct secret *s)
{
    return (sv){s->p, s->n};
}

#endif
