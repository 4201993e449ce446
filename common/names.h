/*
 * names.h: small sets of names as comma separated text ("operator.read,operator.write").
 * Runs in: every process.     Owns: nothing.
 * Never: trims or folds: names are compared byte by byte.
 * Tested in: tests/unit/common/test_names.c
 */
#ifndef TENAZA_COMMON_NAMES_H
#define TENAZA_COMMON_NAMES_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/sv.h"

bool names_has(sv list, sv name);
/* Appends to `dst` (a list) the names of `more` that are not in it yet. */
void names_add(struct buf *dst, sv more);
/* Appends the names of `list` but `name` to `dst`. */
void names_without(struct buf *dst, sv list, sv name);
/* Appends the list as a JSON array of strings. */
void names_json(struct buf *dst, sv list);

#endif
