/*
 * scopes.h: operator scopes as bits, and lists of them as comma separated text.
 * Runs in: edge.     Owns: nothing.
 * Never: drops a name it does not know: unknown scopes are kept as they are, they just grant nothing.
 * Tested in: tests/unit/edge/test_scopes.c
 */
#ifndef TENAZA_EDGE_SCOPES_H
#define TENAZA_EDGE_SCOPES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

enum scope_index {
#define SCOPE(bit, name, more) SCI_##bit,
#include "workers/edge/scopes.def"
#undef SCOPE
    SCI_COUNT
};

enum scope_bits {
    SC_NONE = 0,
#define SCOPE(bit, name, more) SC_##bit = 1 << SCI_##bit,
#include "workers/edge/scopes.def"
#undef SCOPE
};

/* Bits that "a,b,c" grants, implications included. */
uint32_t scopes_of(sv list);
const char *scope_name(uint32_t bit); /* "operator.read"; "" for no bit */
/* True when everything in `wanted` is in `held` or implied by it (unknown names must be there literally). */
bool scopes_cover(sv held, sv wanted);

#endif
