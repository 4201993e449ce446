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

#endif
