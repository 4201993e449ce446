/*
 * http_guard.h: which addresses a guarded request may not reach (private to common/http*.c and its test).
 * Runs in: agent, chan.     Owns: nothing.
 * Never: resolves names; it judges the address that is really being connected to.
 * Tested in: tests/unit/common/test_http_guard.c
 */
#ifndef TENAZA_COMMON_HTTP_GUARD_H
#define TENAZA_COMMON_HTTP_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

/* True unless the address is an ordinary public one; unknown families count as private. */
bool http_guard_private(const struct sockaddr *sa);
/* The same for a numeric text form ("127.0.0.1", "fe80::1%eth0"); text that is no address is private. */
bool http_guard_private_text(const char *ip);

#endif
