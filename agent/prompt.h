/*
 * prompt.h: the system prompt of a run.
 * Runs in: agent.     Owns: nothing; pure.
 * Never: puts text written by people of a chat into the system prompt.
 * Tested in: tests/unit/agent/test_prompt.c
 */
#ifndef TENAZA_AGENT_PROMPT_H
#define TENAZA_AGENT_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

struct prompt_facts {
    const char *name;        /* of the agent; NULL: Tenaza */
    const char *own_prompt;  /* agents.entries.<id>.systemPrompt, or NULL */
    sv agent_id, session_key, channel, lane, extra_system;
    const char *provider, *model;
    const char *zone;
    int64_t now_ms;
    bool tools;              /* tools are offered in this call */
    uint64_t hidden_tools;   /* bit i: but not tool_at(i) */
};

/* Sections 1, 2, 9 (agent-runtime.md 5.1): the same bytes within a day. */
void prompt_stable(const struct prompt_facts *f, struct buf *dst);
/* Sections 12, 13, 15, 16 and the extra system prompt of this run. */
void prompt_volatile(const struct prompt_facts *f, struct buf *dst);
/* May this run end without words (NO_REPLY)? */
bool prompt_may_be_silent(const struct prompt_facts *f);
/* A room with several people, as the session key says. */
bool prompt_is_group(sv session_key);

#endif
