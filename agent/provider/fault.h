/*
 * fault.h: classes of failed model calls: recognition, retry plan, the one line for the user.
 * Runs in: agent.     Owns: nothing; all functions are pure.
 * Never: shows a key or raw JSON of a provider.
 * Tested in: tests/unit/agent/test_fault.c
 */
#ifndef TENAZA_AGENT_PROVIDER_FAULT_H
#define TENAZA_AGENT_PROVIDER_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

enum fault {
    FAULT_NONE,
#define FAULT(NAME, kind, retries, what_en, do_en, what_es, do_es) FAULT_##NAME,
#include "agent/provider/faults.def"
#undef FAULT
    FAULT_COUNT
};

#define FAULT_WAIT_MAX_MS 30000 /* a longer Retry-After is not waited for (task of the first issue) */

const char *fault_name(enum fault f); /* "RATE_LIMIT", for logs */
const char *fault_kind(enum fault f); /* FINISH.error_kind */
/* Class of an error answer: HTTP status (0: error inside a stream), the provider's type or code, its text. */
enum fault fault_classify(int status, sv type, sv message);
/* Wait before try number `tries_done` + 1, or -1: give up. retry_after_ms: what the server asked for, or -1. */
int64_t fault_retry_ms(enum fault f, unsigned tries_done, int64_t retry_after_ms);

struct fault_line {
    enum fault fault;
    const char *provider, *model, *base_url;
    int status;            /* 0: none */
    const char *detail;    /* short text of the server or the transport; may be empty */
    int64_t retry_after_ms; /* -1: none */
    bool spanish;
};
/* Appends the line for the user; details are cut, cleaned and keys are masked. */
void fault_print(struct buf *dst, const struct fault_line *l);

#endif
