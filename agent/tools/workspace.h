/*
 * workspace.h: files below one folder, and nothing outside it.
 * Runs in: agent.     Owns: nothing.
 * Never: follows a path, a link or a mount of magic links out of the folder (openat2, RESOLVE_BENEATH).
 * Tested in: tests/unit/agent/test_files.c
 */
#ifndef TENAZA_AGENT_TOOLS_WORKSPACE_H
#define TENAZA_AGENT_TOOLS_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/sv.h"

/*
 * All return 0 or a code of errors.def with a sentence for the model in why. ERR_GONE: no such file; ERR_DENIED:
 * outside the workspace, or not a plain file.
 */
int workspace_read(sv root, sv path, struct buf *dst, char *why, size_t cap) ATTR_NODISCARD;
/* Whole or not at all (temporary file, fsync, rename); folders are made. *same: the file had these bytes already. */
int workspace_write(sv root, sv path, sv bytes, bool *same, char *why, size_t cap) ATTR_NODISCARD;

#endif
