/*
 * ctl.h: a worker's end of the control channel (fd 3).
 * Runs in: every worker.     Owns: the descriptor and the few packets that the socket did not take yet.
 * Never: blocks; loses a READY or DRAINED (a BEAT may be lost: the next one says the same).
 * Tested in: tests/unit/runtime/test_worker.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_CTL_H
#define TENAZA_WORKERS_RUNTIME_CTL_H

#include "common/loop.h"
#include "proto/control.h"

struct ctl;

/* fd_got: attached descriptor or -1; the handler closes it. p is NULL when the supervisor is gone. */
typedef void ctl_fn(void *ctx, const struct ctl_packet *p, int fd_got);

struct ctl *ctl_new(struct loop *l, int fd, ctl_fn *fn, void *ctx);
void ctl_free(struct ctl *c); /* closes fd */
/* text may be NULL; longer ones are cut. Packets keep their order. */
void ctl_say(struct ctl *c, uint16_t type, uint64_t num, const char *text);
/* Handles everything that waits now. Called once before the loop runs, so that a hub knows its peers before it
 * reads their first messages. */
void ctl_drain(struct ctl *c);

#endif
