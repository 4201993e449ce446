/*
 * lastwords.h: what a dying worker still says: signal, address and return addresses, on one log line.
 * Runs in: every worker.     Owns: the handlers of fatal signals, the alternate stack, panic_hook.
 * Never: allocates or locks inside a handler; survives: the signal is raised again with its default action.
 * Tested in: tests/unit/runtime/test_worker.c
 */
#ifndef TENAZA_WORKERS_RUNTIME_LASTWORDS_H
#define TENAZA_WORKERS_RUNTIME_LASTWORDS_H

#include <stdbool.h>
#include <stdint.h>

/* name, inc: for the line. log_fd gets it as a JSON line, stderr as text; -1: none. Once per process. */
void lastwords_install(const char *name, uint64_t inc, int log_fd);
/* False in sanitizer builds, whose own handlers stay. */
bool lastwords_active(void);
/* A panic's text is also sent to the supervisor over this descriptor (CTL_FAIL), -1: no more. */
void lastwords_tell(int ctl_fd);

#endif
