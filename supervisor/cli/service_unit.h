/*
 * service_unit.h: the text of a systemd unit from the rows of service_units.def.
 * Runs in: command line.     Owns: nothing.
 * Never: writes a file.
 * Tested in: tests/unit/supervisor/test_service_unit.c
 */
#ifndef TENAZA_SUPERVISOR_CLI_SERVICE_UNIT_H
#define TENAZA_SUPERVISOR_CLI_SERVICE_UNIT_H

#include "common/buf.h"

enum unit_file { UNIT_SERVICE, UNIT_SOCKET };
/* The two kinds of installation; a row for both has both bits. */
enum unit_scope { UNIT_SYSTEM = 1, UNIT_USER = 2, UNIT_BOTH = 3 };

/* Appends the unit; bin: absolute path of the `tenaza` command. */
void unit_print(struct buf *out, enum unit_file file, enum unit_scope scope, const char *bin);

#endif
