/*
 * sesskey.h: the long form of session keys.
 * Runs in: edge.     Owns: nothing.
 * Never: decides whether a session exists.
 * Tested in: tests/unit/edge/test_sesskey.c
 */
#ifndef TENAZA_EDGE_SESSKEY_H
#define TENAZA_EDGE_SESSKEY_H

#include <stdbool.h>

#include "common/sv.h"

#define SESSKEY_MAX 512 /* bytes, gateway-ws.md 15.5 and messages.def */

/*
 * "main" -> "agent:<agent>:main"; "agent:X:Rest" -> lower case; anything else -> "agent:<agent>:<key>".
 * agent empty: "main". Lower-cased and trimmed (agent-runtime.md 2.4).
 * False when it is empty, too long, or has no agent id or no rest.
 */
bool sesskey_canonical(sv key, sv agent, char dst[SESSKEY_MAX + 1]);
/* The agent id inside a canonical key; SV_NULL when it is not one. */
sv sesskey_agent(sv key);
/* What follows "agent:<id>:". */
sv sesskey_rest(sv key);

#endif
