/*
 * fake_script.h: what the fake model does with one request, read out of the words of the last user message.
 * Runs in: fake_llm.     Owns: nothing; a plan owns its chunks.
 * Never: knows a wire format.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#ifndef TENAZA_FAKES_FAKE_SCRIPT_H
#define TENAZA_FAKES_FAKE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

enum plan_kind { PLAN_TEXT, PLAN_TOOL, PLAN_STATUS, PLAN_HANG, PLAN_GARBAGE };

struct plan {
    enum plan_kind kind;
    int64_t delay_ms; /* before the first byte */
    int64_t gap_ms;   /* between chunks */
    int status;       /* PLAN_STATUS */
    long break_after; /* chunks before the connection is closed, -1: never */
    struct buf text;  /* PLAN_TEXT: the whole text */
    size_t *cut;      /* ends of the chunks in it */
    size_t chunks;
    char tool[128];   /* PLAN_TOOL */
    struct buf args;
};

/* `text`: the last user message; `tool_result`: what a tool answered last, SV_NULL when the user spoke last. */
void plan_make(struct plan *p, sv text, sv tool_result);
void plan_free(struct plan *p);
sv plan_chunk(const struct plan *p, size_t i);
void plan_forget(void); /* FAILONCE keys */

#endif
