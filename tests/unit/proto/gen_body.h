/*
 * gen_body.h: random bodies for any message, made and compared by its field table.
 * Runs in: tests.     Owns: nothing; strings live in the arena.
 * Never: random across runs: the same seed gives the same bodies.
 * Tested in: by its users
 */
#ifndef TENAZA_TESTS_GEN_BODY_H
#define TENAZA_TESTS_GEN_BODY_H

#include "common/arena.h"
#include "proto/messages.h"

struct gen {
    uint64_t state; /* seed, not 0 */
    struct arena *arena;
    bool plain; /* only what JSON can carry: no NUL, numbers below 2^63 */
};

uint64_t gen_next(struct gen *g);
/* *body: the zeroed struct of d. Everything is within limits and every REQ field is there. */
void gen_body(struct gen *g, const struct msg_desc *d, void *body);
/* Absent and empty are the same for OPT fields. */
bool body_equal(const struct msg_desc *d, const void *a, const void *b);

#endif
