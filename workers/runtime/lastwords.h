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

#include "common/recorder.h"

/* Where last words go; absent: -1, NULL. */
struct lastwords_to {
    int log_fd;     /* as a JSON line */
    int console_fd; /* as text */
    struct recorder *recorder;
};
/* name, inc: for the line. Once per process. */
void lastwords_install(const char *name, uint64_t inc, const struct lastwords_to *to);
/* False in sanitizer builds, whose own handlers stay. */
bool lastwords_active(void);
/* A panic's text is also sent to the supervisor over this descriptor (CTL_FAIL), -1: no more. */
void lastwords_tell(int ctl_fd);

#endif
