/*
 * paths.h: where state and configuration are when nobody says (cli.md 1.1); the same for gateway and command.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: makes a directory.
 * Tested in: tests/unit/supervisor/test_paths.c
 */
#ifndef TENAZA_SUPERVISOR_PATHS_H
#define TENAZA_SUPERVISOR_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attrs.h"

/* given: --state or NULL. Order: given, TENAZA_STATE_DIR, NULL (the configuration may say; else paths_default_state). */
const char *paths_state_given(const char *given);
/* /var/lib/tenaza for root, $XDG_STATE_HOME/tenaza, ~/.local/state/tenaza. False: no home directory either. */
bool paths_default_state(char *dst, size_t cap) ATTR_NODISCARD;
/*
 * The configuration file: given (--config), TENAZA_CONFIG, <state>/tenaza.conf when a state directory was named,
 * /etc/tenaza/tenaza.conf (root) or ~/.config/tenaza/tenaza.conf. The first two need not exist (reading them then
 * fails with a clear text); of the others the first that exists. False: none, the defaults apply.
 */
bool paths_config(const char *given, const char *state, char *dst, size_t cap) ATTR_NODISCARD;

#endif
