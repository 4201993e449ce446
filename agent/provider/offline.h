/*
 * offline.h: the offline responder "offline/guide": deterministic, honest, no language model.
 * Runs in: agent.     Owns: nothing; pure.
 * Never: pretends to understand; is chosen because a configured provider failed.
 * Tested in: tests/unit/agent/test_offline.c
 */
#ifndef TENAZA_AGENT_PROVIDER_OFFLINE_H
#define TENAZA_AGENT_PROVIDER_OFFLINE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/sv.h"

#define OFFLINE_PROVIDER "offline"
#define OFFLINE_MODEL "guide"

struct offline_req {
    sv text;             /* what the user wrote */
    const char *date;    /* "Friday 2026-11-20" */
    const char *time;    /* "18:04:31" */
    const char *zone;    /* "Europe/Madrid" */
    const char *session; /* session key */
    const char *agent;
    const char *hint;    /* why there is no model, one sentence; may be empty */
    bool spanish;        /* configured locale; the text itself may decide otherwise */
};

/* Appends the answer; it always starts with "[offline] ". */
void offline_answer(const struct offline_req *q, struct buf *dst);

#endif
