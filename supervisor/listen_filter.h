/*
 * listen_filter.h: see listen_filter.c.
 * Runs in: supervisor.     Owns: nothing.
 * Never: touches a connection that a client opened.
 * Tested in: tests/unit/supervisor/test_listen_filter.c
 */
#ifndef TENAZA_SUPERVISOR_LISTEN_FILTER_H
#define TENAZA_SUPERVISOR_LISTEN_FILTER_H

#include "common/attrs.h"

/* For every listening TCP socket before a worker gets it. 0 or -errno. */
int listen_filter(int fd) ATTR_NODISCARD;

#endif
