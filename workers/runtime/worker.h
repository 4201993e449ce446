/*
 * worker.h: the skeleton of every worker process. A worker supplies hooks; its main() is one call.
 * Runs in: every worker.     Owns: loop, config section, planes, control channel (fd 3), beats, exit code.
 * Never: product logic.
 * Tested in: tests/unit/runtime/, and by every scenario
 */
#ifndef TENAZA_WORKERS_RUNTIME_WORKER_H
#define TENAZA_WORKERS_RUNTIME_WORKER_H

#include "common/attrs.h"
#include "common/conf.h"
#include "common/loop.h"
#include "workers/runtime/plane_bus.h"
#include "workers/runtime/plane_store.h"

struct worker;

enum worker_planes { PLANES_NONE, PLANES_BOTH };

struct worker_ops {
    const char *kind; /* as in workers.def */
    enum worker_planes planes;
    /* Config is read; planes are connecting. Set everything up; call worker_ready when useful. 0 or an exit
     * code of err.h after worker_fail. */
    int (*init)(struct worker *w) ATTR_NODISCARD;
    /* Take no new work; call worker_drained when nothing is in progress. NULL: drained at once. */
    void (*drain)(struct worker *w, int64_t within_ms);
    /* The loop has ended; free everything (leaks are errors in sanitizer builds). */
    void (*stop)(struct worker *w);
    /* The section has changed, only in keys whose rows say LIVE: read again what was kept of them. Texts of changed
     * keys that were borrowed from worker_conf are dead. NULL: nothing was kept. */
    void (*reconfigure)(struct worker *w);
    /* Nothing to do for some seconds after work: free what is only kept for speed. Free memory goes back to the kernel
     * right after. May be NULL. */
    void (*quiet)(struct worker *w);
    /* edge: the answer to worker_ask_metrics, text in a sealed descriptor that the hook closes. NULL elsewhere. */
    void (*metrics)(struct worker *w, int fd);
    /* store and bus: registry of live peers, fed by the supervisor. NULL elsewhere. */
    void (*peer)(struct worker *w, bool up, const char *name, uint64_t inc, int32_t pid);
};

/* Reads --name NAME --inc N [--peer NAME], inherited descriptors (proto/control.h), runs the loop, returns the exit code. */
int worker_main(int argc, char **argv, const struct worker_ops *ops);

struct loop *worker_loop(struct worker *w);
const struct conf *worker_conf(struct worker *w);
const char *worker_name(struct worker *w);      /* "agent-1", "irc/default" */
uint64_t worker_inc(struct worker *w);
const char *worker_run_dir(struct worker *w);   /* config item run.dir */
const char *worker_state_dir(struct worker *w); /* config item state.dir */
/* "ipc://<run.dir>/<file>" into dst (160 bytes are enough). A path too long for a Unix socket ends the process. */
void worker_endpoint(struct worker *w, const char *file, char *dst, size_t cap);
struct plane_store *worker_store(struct worker *w); /* NULL with PLANES_NONE */
struct plane_bus *worker_bus(struct worker *w);
void *worker_ctx(struct worker *w); /* the worker's own state */
void worker_set_ctx(struct worker *w, void *ctx);

void worker_ready(struct worker *w); /* once; later calls do nothing */
void worker_drained(struct worker *w);
/* While draining: a successor serves already, so there is time, and whoever is sent away can come back at once. */
bool worker_hands_over(const struct worker *w);
/* edge: asks the supervisor for the numbers of all workers; ops.metrics gets them. */
void worker_ask_metrics(struct worker *w);
/* Shown in `tenaza status` next to the worker. */
void worker_status(struct worker *w, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Something the operator must know. */
void worker_alarm(struct worker *w, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Ends the process with this exit code after telling the supervisor why. */
void worker_fail(struct worker *w, int exit_code, const char *fmt, ...) ATTR_PRINTF(3, 4);

#endif
