/*
 * guard.h: memory for one secret: own pages between two that cannot be touched, not swapped, not in a core dump.
 * Runs in: every process that gets a secret.     Owns: the pages, until guard_free.
 * Never: more than a few hundred (three pages each); prints what it holds.
 * Tested in: tests/unit/common/test_guard.c
 */
#ifndef TENAZA_COMMON_GUARD_H
#define TENAZA_COMMON_GUARD_H

#include "common/sv.h"

/* A copy of the text with a NUL behind it. Without memory the process ends. */
char *guard_new(sv text);
/* Wipes it and gives it back; NULL is fine. */
void guard_free(char *p);

#endif
