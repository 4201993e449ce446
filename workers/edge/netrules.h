/*
 * netrules.h: which host names, origins and addresses count as our own.
 * Runs in: edge.     Owns: nothing.
 * Never: resolves names.
 * Tested in: tests/unit/edge/test_netrules.c
 */
#ifndef TENAZA_EDGE_NETRULES_H
#define TENAZA_EDGE_NETRULES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"

/* "127.0.0.1", "::1", "::ffff:127.0.0.1" (numeric address as the kernel gives it). */
bool addr_is_loopback(sv addr);
/* A Host header that names this machine by loopback: localhost, *.localhost, 127.x.y.z, [::1], any port. */
bool host_is_local(sv host);
/* The same, or one of these names. */
bool host_allowed(sv host, const char *const *names, size_t n);
/* Host of a Host header, without port and brackets. */
sv host_name(sv host);
/*
 * Browser origin rule (gateway-ws.md 5.3): same host and port as the Host header, or listed.
 * NULL when allowed, else the reason for details.reason.
 */
const char *origin_refused(sv origin, sv host, const char *const *allowed, size_t allowed_n);

#endif
