/*
 * doctor.h: what the checks of `tenaza doctor` share.
 * Runs in: command line.     Owns: declarations.
 * Never: a check that changes something.
 * Tested in: tests/scn/s3-doctor.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CLI_DOCTOR_H
#define TENAZA_SUPERVISOR_CLI_DOCTOR_H

#include "supervisor/cli/cli.h"
#include "supervisor/conf_tree.h"

/* WARN: it works, with less than it could. BAD: it does not, or somebody else can get in. */
enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD };

struct doctor {
    struct cli *cli;
    struct cfg cfg;       /* read, secrets not resolved yet when the checks begin */
    char file[PATH_MAX];  /* "" when there is none */
    json_t *status;       /* of the running gateway; NULL: not running */
    enum doctor_state state; /* what the check found */
    struct buf text, fix;    /* in words; fix: what to type, empty when nothing */
};

/* The finding of a check; the worst one stays when a check calls it more than once. */
void doctor_say(struct doctor *d, enum doctor_state state, const char *fix, const char *fmt, ...) ATTR_PRINTF(4, 5);

typedef void doctor_fn(struct doctor *d);
#define CHECK(word, fn, doc) doctor_fn fn;
#include "supervisor/cli/doctor.def"
#undef CHECK

#endif
