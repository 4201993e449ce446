/*
 * context.c: which message, run and trace the log lines of the moment belong to.
 * Runs in: every worker.     Owns: the trace of the moment.
 * Never: changes a message.
 * Tested in: tests/unit/runtime/test_log_context.c
 */
#include "workers/runtime/context.h"

#include <string.h>

#include "common/id.h"
#include "common/log.h"

static struct trace now;

static sv run_of(const struct msg_desc *d, const void *body)
{
    for (size_t i = 0; body != NULL && i < d->n; i++) {
        const struct field *f = &d->fields[i];
        if (f->kind == FK_STR && strcmp(f->key, "run") == 0) {
            sv run;
            memcpy(&run, (const char *)body + f->off, sizeof run);
            return run;
        }
    }
    return SV_NULL;
}

void context_message(const struct msg_desc *d, const void *body, sv trace)
{
    now = trace_of(trace);
    log_context_set(d->type, run_of(d, body), trace_view(&now));
}

void context_run(sv run, const struct trace *t)
{
    now = *t;
    log_context_set(MSG_NONE, run, trace_view(t));
}

struct trace context_trace(void)
{
    return log_context_now()->busy ? now : (struct trace){.is = false};
}

struct trace trace_new(void)
{
    struct trace t = {.is = true};
    id_random(t.id, sizeof t.id);
    return t;
}

struct trace trace_of(sv bytes)
{
    struct trace t = {.is = bytes.n == sizeof t.id};
    if (t.is) {
        memcpy(t.id, bytes.p, sizeof t.id);
    }
    return t;
}

sv trace_view(const struct trace *t)
{
    return t->is ? sv_mem(t->id, sizeof t->id) : SV_NULL;
}
