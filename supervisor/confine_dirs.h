/*
 * confine_dirs.h: the directories that workers write to: made, and given to the user of the kind that has them.
 * Runs in: supervisor.     Owns: nothing.
 * Never: follows a link; touches what is below a directory that belongs to a worker already.
 * Tested in: tests/unit/supervisor/test_confine.c, tests/scn/s1-walls.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CONFINE_DIRS_H
#define TENAZA_SUPERVISOR_CONFINE_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/confine.h"

/* Whether other users can get as far as these directories; opens our own two to passing through (0711). */
bool confine_reachable(const struct confine_dirs *dirs, char *why, size_t cap);
/* Every row of sandbox.def below the state or runtime directory that somebody may write to. */
void confine_make_dirs(const struct confine *k, const struct confine_dirs *dirs);

#endif
