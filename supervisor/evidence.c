/*
 * evidence.c: flight recorder, other output and counters of each worker, from its spawn to its end.
 * Runs in: supervisor.     Owns: struct evidence of each child.
 * Never: trusts what a worker left there; fails a spawn because evidence cannot be kept.
 * Tested in: tests/unit/supervisor/test_evidence.c
 */
#include "supervisor/evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

/* ---- counters ------------------------------------------------------------------------------------------ */

static uint64_t cell_of(const struct counters *c, unsigned at)
{
    return __atomic_load_n(&c->cells[at], __ATOMIC_RELAXED);
}

static void add_histogram(struct histogram *sum, const struct histogram *h)
{
    for (size_t i = 0; i < ARRAY_LEN(sum->buckets); i++) {
        sum->buckets[i] += __atomic_load_n(&h->buckets[i], __ATOMIC_RELAXED);
    }
    sum->sum_us += __atomic_load_n(&h->sum_us, __ATOMIC_RELAXED);
}

uint64_t evidence_cell(const struct child *c, const struct counter_row *row)
{
    const struct evidence *e = &c->evidence;
    uint64_t now = e->recorder ? cell_of(&e->recorder->counters, row->at) : 0;
    return row->kind == CK_COUNTER ? e->past.cells[row->at] + now : now;
}

void evidence_histogram(const struct child *c, const struct counter_row *row, struct histogram *out)
{
    const struct evidence *e = &c->evidence;
    *out = e->past.histograms[row->at];
    if (e->recorder != NULL) {
        add_histogram(out, &e->recorder->counters.histograms[row->at]);
    }
}

/* What this incarnation counted joins what earlier ones did; its recorder goes. */
static void retire(struct evidence *e)
{
    if (e->recorder == NULL) {
        return;
    }
    for (unsigned i = 0; i < counter_rows_n; i++) {
        const struct counter_row *row = &counter_rows[i];
        if (row->kind == CK_COUNTER) {
            e->past.cells[row->at] += cell_of(&e->recorder->counters, row->at);
        } else if (row->kind == CK_HISTOGRAM) {
            add_histogram(&e->past.histograms[row->at], &e->recorder->counters.histograms[row->at]);
        }
    }
    recorder_unmap(e->recorder);
    e->recorder = NULL;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

int evidence_recorder(struct child *c)
{
    retire(&c->evidence);
    int fd = recorder_new(&c->evidence.recorder);
    if (fd < 0) {
        log_warn("%s: starts without a flight recorder: %s", c->name, strerror(errno));
    }
    return fd;
}

int evidence_outpipe(struct child *c)
{
    int ends[2];

    outpipe_close(c);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_warn("%s: its other output is not read: %s", c->name, strerror(errno));
        return -1;
    }
    /* Only our end: a worker's printf must not meet EAGAIN. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    c->evidence.out.fd = ends[0];
    return ends[1];
}

void evidence_spawned(struct child *c, bool ok)
{
    struct evidence *e = &c->evidence;

    e->killed_by_us = false;
    if (!ok) {
        outpipe_close(c);
        recorder_unmap(e->recorder);
        e->recorder = NULL;
        return;
    }
    e->oom_kills = obituary_oom_kills();
    outpipe_watch(c);
}

void evidence_ended(struct child *c)
{
    outpipe_drain(c);
    outpipe_close(c);
}

void evidence_free(struct child *c)
{
    outpipe_close(c);
    retire(&c->evidence);
}
