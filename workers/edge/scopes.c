/*
 * scopes.c: see scopes.h.
 * Runs in: edge.     Owns: nothing.
 * Never: grants by prefix.
 * Tested in: tests/unit/edge/test_scopes.c
 */
#include "workers/edge/scopes.h"

#include "common/names.h"

static const struct {
    const char *name;
    uint32_t bit, more;
} SCOPES[] = {
#define SCOPE(b, n, m) {n, SC_##b, (uint32_t)(m)},
#include "workers/edge/scopes.def"
#undef SCOPE
};

static uint32_t bit_of(sv name)
{
    for (size_t i = 0; i < ARRAY_LEN(SCOPES); i++) {
        if (sv_eqc(name, SCOPES[i].name)) {
            return SCOPES[i].bit | SCOPES[i].more;
        }
    }
    return SC_NONE;
}

uint32_t scopes_of(sv list)
{
    uint32_t bits = SC_NONE;
    while (list.n > 0) {
        bits |= bit_of(sv_cut(&list, ','));
    }
    return bits;
}

const char *scope_name(uint32_t bit)
{
    for (size_t i = 0; i < ARRAY_LEN(SCOPES); i++) {
        if (SCOPES[i].bit == bit) {
            return SCOPES[i].name;
        }
    }
    return "";
}

bool scopes_cover(sv held, sv wanted)
{
    uint32_t bits = scopes_of(held);
    bool admin = names_has(held, SV("operator.admin"));
    while (wanted.n > 0) {
        sv name = sv_cut(&wanted, ',');
        uint32_t need = bit_of(name);
        bool known = need != SC_NONE;
        if (names_has(held, name) || (admin && sv_starts(name, SV("operator.")))) {
            continue;
        }
        /* A scope that brings others along is covered only by itself or by one that brings it. */
        if (!known || (bits & need) != need) {
            return false;
        }
    }
    return true;
}
