/*
 * gateway.h: a gateway and a fake model server of their own for one bench run.
 * Runs in: tenaza-bench.     Owns: the processes it started and their temporary directory.
 * Never: touches another gateway's state or port.
 * Tested in: every bench run
 */
#ifndef TENAZA_BENCH_GATEWAY_H
#define TENAZA_BENCH_GATEWAY_H

#include <sys/types.h>

struct gateway {
    char dir[64];
    char token[128];
    int port;
    pid_t gateway, model;
};

/* build: directory of the executables. Ends the program with a message when it cannot start. */
void gateway_prepare(struct gateway *g, const char *build);
/* Starts the supervisor and returns the microseconds until the first authenticated hello. */
long gateway_start(struct gateway *g, const char *build);
void gateway_stop(struct gateway *g);
/* Proportional set size of the supervisor and all its children, in KiB; *n gets the number of processes. */
long gateway_pss_kib(const struct gateway *g, int *n);
/* The same, taken apart: what only we cause (anonymous memory and our shared memory) and pages of files (programs,
 * libraries, the database map), which the kernel may drop at any time. */
struct memory {
    long pss, anon, shmem, file; /* KiB */
    int n;
};
struct memory gateway_memory(const struct gateway *g);
/* Times that threads of these processes went to sleep and woke up again, since each of them began. */
long gateway_wakeups(const struct gateway *g, int *threads);

/* Microseconds of processor time that this worker has used; clock ticks are 10 ms. */
long gateway_cpu_us(const struct gateway *g, const char *exe);
/* Private dirty memory of the worker with this executable, in KiB; 0: no such process. */
long gateway_private_kib(const struct gateway *g, const char *exe);

#endif
