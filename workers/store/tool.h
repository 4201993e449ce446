/*
 * tool.h: the store's executable as a tool of the command line: check, backup.
 * Runs in: store executable, started by `tenaza`.     Owns: nothing.
 * Never: serves requests; writes into the database.
 * Tested in: tests/scn/f8-store-care.test.mjs
 */
#ifndef TENAZA_WORKERS_STORE_TOOL_H
#define TENAZA_WORKERS_STORE_TOOL_H

#include "common/attrs.h"

/* argv[1] is the name of a tool. Returns the exit code of the command (supervisor/cli/cli.h). */
int tool_main(int argc, char **argv) ATTR_NODISCARD;

#endif
