/*
 * conf_workers.c: the workers that a configuration asks for, by name.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: knows what runs.
 * Tested in: tests/unit/supervisor/test_conf_plan.c
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/conf_tree.h"

/* The i-th account that is switched on. */
static bool enabled_account(const struct cfg *c, size_t want, struct cfg_account *out)
{
    for (size_t i = 0; cfg_account_at(c, i, out); i++) {
        if (out->enabled && want-- == 0) {
            return true;
        }
    }
    return false;
}

/* The i-th worker of a kind. */
static bool worker_of_kind(const struct cfg *c, const struct worker_kind *kind, size_t i, struct cfg_worker *out)
{
    *out = (struct cfg_worker){.kind = kind->id};
    switch (kind->instances) {
    case WI_COUNT:
        snprintf(out->name, sizeof out->name, "%s-%zu", kind->name, i + 1);
        return (int64_t)i < cfg_int(c, "agents.workers");
    case WI_ACCOUNT:
        if (!enabled_account(c, i, &out->account)) {
            return false;
        }
        snprintf(out->name, sizeof out->name, "%s/%s", out->account.channel, out->account.account);
        return true;
    case WI_ONE:
    default:
        snprintf(out->name, sizeof out->name, "%s", kind->name);
        return i == 0;
    }
}

bool cfg_worker_at(const struct cfg *c, size_t want, struct cfg_worker *out)
{
    /* The table stands in the order of starting. */
    for (size_t k = 0; k < WK_COUNT; k++) {
        for (size_t i = 0; worker_of_kind(c, &worker_kinds[k], i, out); i++) {
            if (want-- == 0) {
                return true;
            }
        }
    }
    return false;
}
