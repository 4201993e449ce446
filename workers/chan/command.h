/*
 * command.h: control commands that bypass the queue: /stop and its natural phrases, /new.
 * Runs in: channel workers.     Owns: nothing.
 * Never: decides who may give a command (gate.h does).
 * Tested in: tests/unit/chan/test_command.c
 */
#ifndef TENAZA_WORKERS_CHAN_COMMAND_H
#define TENAZA_WORKERS_CHAN_COMMAND_H

#include <stdbool.h>

#include "common/sv.h"

/*
 * text: what the sender typed, without a leading mention. Returns "stop" or "new", the values of
 * INGEST.command, or NULL. *slash: it was typed as a /command, which also counts as speaking to us in a
 * group; the natural phrases of agent-runtime.md 3.4 do not.
 */
const char *command_of(sv text, bool *slash);

#endif
