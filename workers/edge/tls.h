/*
 * tls.h: certificate and key of the edge, from the configuration into OpenSSL's context.
 * Runs in: edge.     Owns: nothing; OpenSSL keeps its own copies.
 * Never: reads a file (the supervisor did, before the walls stood), logs a key.
 * Tested in: tests/scn/h4-tls.test.mjs
 */
#ifndef TENAZA_EDGE_TLS_H
#define TENAZA_EDGE_TLS_H

#include <stdbool.h>

#include "common/sv.h"

/* ctx: SSL_CTX. certificate: PEM, the server's own first, then those that lead to the root. False: what is wrong has
 * been logged. */
bool tls_load(void *ctx, sv certificate, sv key);

#endif
