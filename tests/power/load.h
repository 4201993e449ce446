/*
 * load.h: traffic of all kinds for a store inside this process, whose acknowledgements are marked in the recorder's log.
 * Runs in: tests.     Owns: the store during load_run.
 * Never: opens a socket; depends on the time of day (the clock is frozen and moved by hand).
 * Tested in: tests/power/power.c
 */
#ifndef TENAZA_TESTS_POWER_LOAD_H
#define TENAZA_TESTS_POWER_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct store;
struct load_conf {
    const char *dir; /* of the database; does not exist yet */
    uint64_t seed;
    unsigned turns;
    bool nosync;  /* a store that acknowledges before the sync: the test must catch it */
    bool refused; /* requests may be answered BUSY (the disk is made to fail); time goes faster */
    void (*mark)(const char *text);                   /* instead of the recorder's power_mark */
    void (*before_turn)(struct store *s, unsigned t); /* may be NULL */
};

/* Returns how many acknowledgements there were. Marks: "e <event id>" a message was accepted, "f <run id>" a run was
 * finished, "r <delivery id>" a delivery has arrived. */
unsigned load_run(const struct load_conf *conf);
/* Whether the database holds what a mark promises. tx: of look_tx. */
struct tx;
bool load_holds(struct tx *tx, const char *mark);

#endif
