/*
 * metrics.h: the numbers of all workers as Prometheus text and as JSON.
 * Runs in: supervisor.     Owns: nothing.
 * Never: wakes or asks a worker: counters are read from shared memory, the rest from /proc.
 * Tested in: tests/unit/supervisor/test_metrics.c, tests/scn/o2-metrics.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_METRICS_H
#define TENAZA_SUPERVISOR_METRICS_H

#include "common/buf.h"

struct child;
struct sup;

/* Text format 0.0.4 of all rows of proto/counters.def and of what the supervisor itself knows. */
void metrics_text(const struct sup *s, struct buf *out);
/* {"workers":[{"name":..,"counters":{id: number, ...}}, ...]}, for `tenaza stats` and `tenaza top`. */
void metrics_json(const struct sup *s, struct buf *out);
/* A worker asked (CTL_METRICS): the text goes back as a sealed descriptor. */
void metrics_answer(struct child *c, uint64_t request);

#endif
