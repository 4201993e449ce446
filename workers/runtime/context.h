/*
 * context.h: which message, run and trace the log lines of the moment belong to (common/log.h).
 * Runs in: every worker.     Owns: nothing; the context stands in the flight recorder.
 * Never: changes a message.
 * Tested in: tests/unit/runtime/test_log_context.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_CONTEXT_H
#define TENAZA_WORKERS_RUNTIME_CONTEXT_H

#include <stdbool.h>

#include "common/sv.h"
#include "proto/messages.h"

/* A trace is 16 random bytes that go along with everything one request sets off (envelope.h). */
struct trace {
    char id[16];
    bool is;
};

/* A message is being handled: its run is the field with the key "run", where its row has one. log_context_end ends
 * it; so does the end of the turn of the loop. body may be NULL. */
void context_message(const struct msg_desc *d, const void *body, sv trace);
/* Work that no message started: a model's answer, a timer. */
void context_run(sv run, const struct trace *t);

/* The trace of the moment, none when nothing is being handled. */
struct trace context_trace(void);
struct trace trace_new(void);
struct trace trace_of(sv bytes); /* anything but 16 bytes is none */
sv trace_view(const struct trace *t); /* as the envelope wants it */

#endif
